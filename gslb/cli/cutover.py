"""`gslb cutover check`: is a name ready to be moved here? Arguments and printing only."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gslb.cli.outside import JSON, POLICY, PORT, RESOLVER, SERVER, finding_lines, policy_of, progress, verdict
from gslb.cli.tables import add_row, console, new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["cutover"]


@click.group()
def cutover() -> None:
    """Move a name here without an interruption."""


def _name(_context: click.Context, _argument: click.Parameter, value: str) -> str:
    from pydantic import TypeAdapter, ValidationError

    from gslb.model.words import DnsName

    try:
        return str(TypeAdapter(DnsName).validate_python(value))
    except ValidationError as error:
        raise click.BadParameter(error.errors()[0]["msg"].removeprefix("Value error, ")) from None


@cutover.command(short_help="Is NAME ready, what to write, and the way back.")
@click.argument("name", metavar="NAME", callback=_name)
@click.option(
    "--to", metavar="HOST", help="The host of an app that NAME shall lead to. Default: of the app that has it."
)
@POLICY
@SERVER
@RESOLVER
@PORT
@JSON
def check(*, name: str, to: str | None, folder: Path | None, server: str | None, as_json: bool, **asking: Any) -> None:
    """Is NAME ready to be moved here, by a CNAME to an app's host, or by delegation where NAME is in a zone of ours?

    Looked at: its TTLs today, as its own servers give them; whether it is a zone itself; records that a CNAME would
    hide; certificates now and then, and whether CAA records let them be renewed; whether every edge answers for NAME
    already; the delegation of our zone. Then the record to write, and the way back with how long it takes. Nothing is
    changed. Exit code 0: ready; 1: something stands in the way; 2: no resolver.

    \b
    Examples:
      gslb cutover check shop.example.com
      gslb cutover check www.example.com --to shop --json | jq .way_back
    """
    from gslb.outside.cutover_facts import Ports, check_cutover
    from gslb.outside.cutover_report import cutover_report, plan_of
    from gslb.outside.delegation_report import wanted_zones

    policy, revision = policy_of(folder, server)
    plan = plan_of(policy, name, to)
    (wanted,) = wanted_zones(policy, revision, [plan.zone])
    with progress() as say:
        found = asyncio.run(check_cutover(plan, wanted, asking["resolver"], say, Ports(dns=asking["port"])))
    seen = cutover_report(*found)
    if as_json:
        click.echo(json.dumps(seen, indent=2))
    else:
        _print(seen)
    if not seen["ready"]:
        raise click.exceptions.Exit(1)


def _print(seen: Mapping[str, Any]) -> None:
    out = console()
    for part in _facts(seen):
        out.print(part, markup=False)
    for finding in seen["findings"]:
        click.echo("\n".join(finding_lines(finding)))
    click.echo(f"{seen['name']}: {verdict(seen['findings'], 'ready to be moved')}")
    for title, lines in (("to move it, write", seen["write"]), ("the way back", seen["way_back"])):
        if lines:
            click.echo("\n  ".join([f"{title}:", *lines]))
    if seen["back_s"] is not None:
        click.echo(f"going back takes {seen['back_s']:,} s at most")


def _facts(seen: Mapping[str, Any]) -> Iterator[RenderableType]:
    signed = {True: "signed", False: "not signed"}
    today = f"{seen['zone_today'] or 'not found'} ({signed[seen['signed_today']]})"
    then = f"{seen['zone_then']} ({signed[seen['signed_then']]})"
    yield f"{seen['name']} is in the zone {today}; then {then} answers, by {seen['how']}"
    if seen["records_today"]:
        table = new_table("Today", "type", "TTL", "data")
        for rtype, records in seen["records_today"].items():
            add_row(table, rtype, records["ttl_s"], ", ".join(records["data"]))
        yield table
    shown = [(side, row) for side, rows in seen["certificates"].items() for row in rows]
    if shown:
        table = new_table("Certificates", "when", "address", "names", "issuer", "until")
        for side, row in shown:
            told = (row["failure"],) if row["failure"] else (", ".join(row["names"]), row["issuer"], row["until"])
            add_row(table, side, row["address"], *told)
        yield table
    if seen["edges"]:
        table = new_table(f"Edges of {seen['app']}", "address", "port", "GET /")
        for row in seen["edges"]:
            add_row(table, row["address"], row["port"], row["failure"] or row["status"])
        yield table
