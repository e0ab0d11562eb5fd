"""`gslb node token`, `join` and `remove`: machines that come and go. Arguments and printing only."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Any

import click

from gslb.cli.identity import machine_name
from gslb.cli.operate import FOR, JSON, REASON, SERVER, Wish, author, taking
from gslb.control.http.client import path_of

__all__ = ["join", "remove", "token"]

HOUR_S = 3600.0


@click.command()
@click.option("--roles", default="", metavar="ROLES", help="What the machine may run, with commas: dns,edge,control.")
@click.option("--site", "sites", multiple=True, metavar="NAME", help="Whose edge it runs. Repeatable.")
@click.option("--rejoin", "rejoins", metavar="NAME", help="For a machine that is known: new certificates, same roles.")
@taking(FOR, REASON, SERVER, JSON)
def token(*, roles: str, sites: tuple[str, ...], rejoins: str | None, wish: Wish) -> None:
    """Make a token by which one machine joins, once, within an hour (--for: 7 days at most). It is a secret until then.

    \b
    Examples:
      gslb node token --roles dns
      gslb node token --roles dns,edge --site aws --for 30m
      gslb node token --rejoin m2
    """
    names = [name.strip() for name in roles.split(",") if name.strip()]
    if bool(names) == bool(rejoins):
        raise click.UsageError("say what the machine may run (--roles), or which known one it is (--rejoin)")
    body = {"roles": names, "sites": list(sites), "rejoins": rejoins, "expires_in_s": wish.lasting or HOUR_S}
    made = wish.client.post("/v1/join-tokens", {**body, "reason": wish.reason, "author": author()})
    if wish.as_json:
        click.echo(json.dumps(made, indent=2))
        return
    click.echo(f"for one machine with {', '.join(made['roles'])}, until {made['expires']}; on it:", err=True)
    click.echo("  gslb node join - --control https://HOST:PORT --address HOST:PORT, and this on its input:", err=True)
    click.echo(made["token"])


@click.command(epilog="Example: gslb node join - --control https://10.0.0.4:8053 --address 10.0.0.7:8900 < token")
@click.argument("token", metavar="[TOKEN|-]", required=False)
@click.option("--control", required=True, metavar="URL", help="Any control of the installation: https://HOST:PORT.")
@click.option("--address", metavar="HOST:PORT", help="Where others reach this machine's nodes: the first of the ports.")
@click.option("--api", metavar="URL", help="Of a machine with a control: where others reach it, https://HOST:PORT.")
@click.option("--name", default=machine_name, metavar="NAME", help="This machine.  [default: its host name]")
@click.option("--data", type=click.Path(path_type=Path, file_okay=False), default=Path("/var/lib/gslb"),
              show_default=True, help="Folder of everything that must survive a restart.")  # fmt: skip
@JSON
def join(*, token: str | None, control: str, as_json: bool, **given: Any) -> None:
    """Make this machine part of an installation: keys, certificates, trust, secrets and configuration in one step.

    Without TOKEN it is taken from $GSLB_JOIN_TOKEN, with - from standard input. Nothing is told to a control that is
    not of the installation that made the token. Afterwards: gslb run.
    """
    from gslb.roles.identities.joining import Joiner
    from gslb.roles.identities.joining import join as do_join
    from gslb.trust.join import parse_token

    joined = do_join(parse_token(_token(token)), control, Joiner(**given))
    if as_json:
        click.echo(joined.model_dump_json(indent=2))
        return
    click.echo(f"joined {joined.domain} as {joined.machine}, with {', '.join(joined.roles)}")
    sites = "".join(f" --site {site}" for site in joined.sites)
    click.echo(f"start it: gslb run --roles {','.join(joined.roles)}{sites} --data {given['data']}")


def _token(given: str | None) -> str:
    if given == "-":
        return sys.stdin.readline(8192).strip()
    text = given or os.environ.get("GSLB_JOIN_TOKEN", "")
    if not text:
        raise click.UsageError("give the token: as $GSLB_JOIN_TOKEN, or - and on standard input")
    return text


@click.command(epilog="Example: gslb node remove m2 --reason 'given back'")
@click.argument("name", metavar="NAME")
@taking(REASON, SERVER, JSON)
def remove(*, name: str, wish: Wish) -> None:
    """Believe a machine no more: no further certificates, and control does not talk to it."""
    answer = wish.client.delete(path_of("machines", name), {"author": author(), "reason": wish.reason})
    if wish.as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(f"{name} is removed; what it has of certificates ends by {answer['certificates_end']}")
    if "control" in answer["processes"]:
        click.echo("it had a control, and knows the installation's secrets: docs/operations.md, A control that is lost")
