"""`gslb explain`: why a client gets this answer. Arguments and printing; control explains."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gslb.cli.offline import OFFLINE, explain_offline
from gslb.cli.server import SERVER, client_of
from gslb.cli.tables import add_row, console, new_table

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["explain"]


@click.command(
    epilog="Examples: gslb explain shop --client 203.0.113.7 --path /checkout; gslb explain shop --type HTTPS"
)
@click.argument("host", metavar="HOST")
@click.option("--client", metavar="ADDRESS", help="Who asks DNS: a resolver's or a user's address.")
@click.option("--type", "qtype", default="A", show_default=True, metavar="TYPE", help="Type of the records.")
@click.option("--path", metavar="PATH", help="A request that follows: for this path, with its query.")
@click.option("--method", metavar="METHOD", default="GET", show_default=True, help="Its method.")
@click.option("--header", "headers", metavar="NAME:VALUE", multiple=True, help="A header of it; may be repeated.")
@click.option("--user", metavar="VALUE", help="The value of the app's cookie in that request.")
@OFFLINE
@SERVER
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
def explain(
    *, server: str | None, offline: Path | None, as_json: bool, headers: tuple[str, ...], **asked: str | None
) -> None:
    """Why HOST is answered as it is: the chain filter by filter, every possible answer, and the one for this client.

    With --path also which route takes a request, and with --user to which backend it sends that user, and whether that
    user is mirrored: as every edge would choose, and no edge is asked.
    """
    if asked["user"] is not None and asked["path"] is None:
        raise click.UsageError("--user is of a request: say which with --path")
    if headers and asked["path"] is None:
        raise click.UsageError("--header is of a request: say which with --path")
    asked["headers"] = "\n".join(headers)
    asked["type"] = asked.pop("qtype")
    seen = explain_offline(offline, asked) if offline else client_of(server).get("/v1/explain", asked)
    if as_json:
        click.echo(json.dumps(seen, indent=2))
        return
    out = console()
    for part in (*_answer(seen), *(_request(seen) if seen["request"] else ())):
        out.print(part, markup=False)


def _answer(seen: Mapping[str, Any]) -> Iterator[RenderableType]:
    who = f" for {seen['client']}" if seen["client"] else ""
    yield f"{seen['host']} {seen['type']}{who}: {seen['rcode']}, {seen['why']}"
    yield from (f"note: {note}" for note in seen["notes"])
    if seen["steps"]:
        yield _steps(seen)
    if seen["outcomes"]:
        yield _outcomes(seen)
    facts = {"clients": _clients(seen), "draw": seen["draw"]} if seen["steps"] else {}
    if seen["ttl_s"] is not None:
        facts["ttl"] = f"{seen['ttl_s']} s: {seen['ttl_why']}"
    yield from (f"{name:<8} {text}" for name, text in facts.items())
    yield from (f"answer   {record}" for record in seen["answer"])


def _clients(seen: Mapping[str, Any]) -> str:
    if seen["clients"] is None:
        return "everybody is told the same (scope 0)"
    return f"all of {seen['clients']} are told the same (scope {seen['scope_bits']})"


def _steps(seen: Mapping[str, Any]) -> RenderableType:
    steps = new_table(f"Chain of {seen['app']}", "filter", "leaves", "why")
    for step in seen["steps"]:
        add_row(steps, step["filter"], ", ".join(step["kept"]) or "nobody", step["reason"])
    return steps


def _outcomes(seen: Mapping[str, Any]) -> RenderableType:
    outcomes = new_table("Possible answers", "sites", "addresses", "probability", "")
    for outcome in seen["outcomes"]:
        now = "<- this client, now" if seen["drawn"] and outcome["sites"] == seen["drawn"]["sites"] else ""
        share = f"{100 * outcome['probability']:.4g} %"
        add_row(outcomes, ", ".join(outcome["sites"]), ", ".join(outcome["addresses"]) or "-", share, now)
    return outcomes


def _request(seen: Mapping[str, Any]) -> Iterator[RenderableType]:
    asked = seen["request"]
    routes = new_table(f"{asked['method']} {asked['path'] or 'refused'}", "route", "takes it", "why")
    for step in asked["steps"]:
        add_row(routes, step["route"], "yes" if step["takes"] else "no", step["reason"])
    yield routes
    yield f"route    {asked['route'] or 'none'}: {asked['why']}"
    if asked["route"] is None:
        return
    yield f"action   {asked['action']}"
    if not asked["split"]:
        return
    yield f"split    {_shares(asked['split'])}  (source: {asked['source']})"
    yield f"side     {asked['side'] or 'any of them'}: {asked['side_why']}"
    yield from (f"mirror   to {name}: {text}" for name, text in asked["copies"].items())


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{name} {percent:g} %" for name, percent in shares.items())
