"""`gslb trust`: whose signatures this machine believes, and signing what nobody did. Arguments and printing only."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable
from typing import Any

import click

from gslb.cli.operate import JSON, author
from gslb.cli.where import WHERE, found, require_folder

__all__ = ["trust"]


def _where(command: Callable[..., None]) -> Callable[..., None]:
    return functools.reduce(lambda inner, option: option(inner), reversed((*WHERE, JSON)), command)


@click.group()
def trust() -> None:
    """Whose signatures this machine believes. Works on its files, also while nothing runs."""


@trust.command()
@_where
def signers(*, as_json: bool, **where: Any) -> None:
    """Show the keys that this machine believes: those of controls, and those for emergencies.

    \b
    Examples:
      gslb trust signers
      gslb trust signers --json
    """
    from gslb.cli.tables import add_row, console, new_table
    from gslb.trust.signer_files import FOLDER, TrustFolder

    data, *_ = found(where)
    require_folder(data)
    known = TrustFolder(data / FOLDER).signers()
    if as_json:
        click.echo(known.model_dump_json(indent=2))
        return
    table = new_table(f"Signers, list {known.number}", "key", "kind", "whose")
    for signer in known.signers:
        add_row(table, signer.id, signer.kind, signer.name)
    console().print(table)


@trust.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@_where
def tell(*, yes: bool, as_json: bool, **where: Any) -> None:
    """Write the keys that this machine believes to the store, in place of those that stand there, for every machine.

    For when the list in the store is of nobody who is believed: control says so in its log. Run it on the machine of a
    control, and look at the keys first.

    \b
    Example:
      gslb trust tell
    """
    from gslb.errors import RefusedError
    from gslb.roles.publishing.believing import believing_at

    data, *_ = found(where)
    require_folder(data)
    believing = believing_at(data)
    if believing is None:
        raise RefusedError("no-control", "no control has run on this machine", "run it on the machine of a control")
    if not yes and not click.confirm("Let every machine believe the keys of gslb trust signers, and no others?"):
        raise click.Abort
    made = believing.replace()
    if as_json:
        click.echo(made.model_dump_json(indent=2))
        return
    click.echo(f"list {made.number} of {len(made.signers)} keys is the installation's")


@trust.command()
@click.option("--yes", is_flag=True, help="Do not ask.")
@_where
def adopt(*, yes: bool, as_json: bool, **where: Any) -> None:
    """Sign what is in the store and nobody who is believed has signed: from gslb 0.1, or of a control that is gone.

    Look well at what it shows: whoever may write to the store may have written it. It comes into force as a newer
    version. Run it on the machine of a control. To take something else instead: gslb restore.

    \b
    Examples:
      gslb trust adopt
      gslb trust adopt --store etcd://10.0.0.1:2379/gslb --data /var/lib/gslb
    """
    from gslb import clock
    from gslb.roles.publishing import adoption
    from gslb.store import open_store
    from gslb.trust.signer_files import FOLDER, TrustFolder

    data, store_url, _ = found(where)
    require_folder(data)
    believed, store = TrustFolder(data / FOLDER), open_store(store_url, data)
    try:
        seen = adoption.look(store, believed)
        intent, overrides = seen.intent, seen.intent.overrides
        told: dict[str, Any] = {
            "environment": intent.policy.environment, "rule": seen.why.rule, "revision": intent.revision,
            "overrides": overrides.version, "sites": sorted(intent.policy.sites), "apps": sorted(intent.policy.apps),
            "drains": [drain.site for drain in overrides.drains],
            "shifts": [f"{shift.app}/{shift.route}" for shift in overrides.shifts],
            "tokens": [token.name for token in overrides.tokens],
        }  # fmt: skip
        click.echo(f"version {seen.bundle.version} in the store is not believed: {seen.why.message}", err=True)
        for name in ("environment", "sites", "apps", "drains", "shifts", "tokens"):
            value = told[name]
            click.echo(f"  {name}: {value if isinstance(value, str) else ', '.join(value) or 'none'}", err=True)
        if not yes and not click.confirm("Sign it with the key of this machine?", err=True):
            raise click.Abort
        made = adoption.adopt(store, believed, seen, author(), clock.wall_s())
    finally:
        store.close()
    if as_json:
        click.echo(json.dumps(told | {"adopted_as": str(made.version)}, indent=2))
        return
    click.echo(f"environment {intent.policy.environment}: it is in force as version {made.version}")
