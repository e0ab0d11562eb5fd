"""`gslb check-delegation`: does the real parent know our zones as they are? Arguments and printing only."""

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

__all__ = ["check_delegation"]


@click.command()
@click.argument("zones", metavar="[ZONE]...", nargs=-1)
@POLICY
@SERVER
@RESOLVER
@PORT
@JSON
def check_delegation(
    *, zones: tuple[str, ...], folder: Path | None, server: str | None, as_json: bool, **asking: Any
) -> None:
    """Ask the real parent of each zone, and every name server of the zone, what they say.

    Judged against the policy in force, or the one in --policy: NS records, glue, DS records and the chain of trust,
    serials, servers that do not answer over UDP or TCP, or not for the zone. Each finding says what to do. Without
    ZONE all zones of the policy. Takes 15 s at most. Exit code 0: good; 1: something must be put right; 2: no resolver.

    \b
    Examples:
      gslb check-delegation
      gslb check-delegation gslb.example.com --resolver 9.9.9.9
      gslb check-delegation --policy policies --json | jq '.zones[].findings'
    """
    from gslb.outside.delegation import check
    from gslb.outside.delegation_report import report, wanted_zones

    policy, revision = policy_of(folder, server)
    wanted = wanted_zones(policy, revision, zones)
    with progress() as say:
        checked = asyncio.run(check(wanted, asking["resolver"], say, port=asking["port"]))
    reports = [report(*item) for item in checked]
    if as_json:
        click.echo(json.dumps({"ok": all(item["ok"] for item in reports), "zones": reports}, indent=2))
    else:
        for item in reports:
            _print(item)
    if not all(item["ok"] for item in reports):
        raise click.exceptions.Exit(1)


def _print(seen: Mapping[str, Any]) -> None:
    out = console()
    for part in _tables(seen):
        out.print(part, markup=False)
    for finding in seen["findings"]:
        click.echo("\n".join(finding_lines(finding)))
    click.echo(f"{seen['zone']}: {verdict(seen['findings'], 'the delegation is good')}\n")


def _tables(seen: Mapping[str, Any]) -> Iterator[RenderableType]:
    if seen["parents"]:
        table = new_table(f"Parent {seen['parent']}", "server", "address", "name servers", "DS")
        for row in seen["parents"]:
            names = row["failure"] or ", ".join(row["nameservers"]) or "none"
            add_row(table, row["name"], row["address"], names, ", ".join(_tag(ds) for ds in row["ds"]))
        yield table
    if seen["servers"]:
        table = new_table(f"Zone {seen['zone']}", "server", "address", "UDP", "TCP", "serial", "signed")
        for row in seen["servers"]:
            signed = "" if row["serial"] is None else "yes" if row["signed"] else "no"
            add_row(table, *(row[key] for key in ("name", "address", "udp", "tcp", "serial")), signed)
        yield table
    kept = {"NS records": seen["ns_ttl_s"], "DS records": seen["ds_ttl_s"]}
    told = [f"{what} for {seconds:,} s" for what, seconds in kept.items() if seconds is not None]
    if told:
        yield f"Resolvers keep {', '.join(told)}: a change at the parent takes as long."


def _tag(ds: str) -> str:
    return ds.split(" ", 1)[0]
