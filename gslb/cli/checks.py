"""`gslb checks`: what is known of named checks, and telling the state of one. Arguments and printing."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gslb.cli.operate import JSON, REASON, SERVER, Wish, author, taking
from gslb.cli.tables import add_row, checks_table, console, new_table
from gslb.control.http.client import path_of
from gslb.errors import RefusedError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["checks"]

_PATH = "/v1/checks"


@click.group()
def checks() -> None:
    """Named checks (`checks:` in the policy): their state, and pushing one.

    \b
    Examples:
      gslb checks show
      gslb checks show db-writable
      gslb checks push maintenance down --reason 'nightly load'
    """


@checks.command()
@click.argument("name", required=False)
@taking(SERVER, JSON)
def show(*, name: str | None, wish: Wish) -> None:
    """Every check, or what each node knows of NAME, with its last changes.

    \b
    Examples:
      gslb checks show
      gslb checks show db-writable --json
    """
    seen = wish.client.get(_PATH)
    if name is not None and name not in seen["checks"]:
        raise RefusedError("unknown-check", f"there is no check {name}", "gslb checks show lists them")
    shown = seen["checks"] if name is None else seen["checks"][name]
    if wish.as_json:
        click.echo(json.dumps(seen if name is None else shown, indent=2))
    elif name is None:
        console().print(checks_table(shown))
    else:
        console().print(_nodes(name, shown), _history(shown))


@checks.command()
@click.argument("name")
@click.argument("state", type=click.Choice(("up", "down")))
@taking(REASON, SERVER, JSON)
def push(*, name: str, state: str, wish: Wish) -> None:
    """Tell the STATE of the check NAME, which must be a `pushed` one.

    It holds for as long as the policy says (`expires`); push again before, or it is unknown (or down: `then`).

    \b
    Examples:
      gslb checks push maintenance down --reason 'nightly load'
      gslb checks push maintenance up
    """
    wanted = {"state": state, "reason": wish.reason, "author": author()}
    answer = wish.client.put(path_of("checks", name, "state"), wanted)
    if wish.as_json:
        click.echo(json.dumps(answer, indent=2))
        return
    click.echo(f"environment {answer['environment']}: {name} is {state} for {answer['holds_s']:g} s")
    click.echo(f"told: {', '.join(answer['nodes']) or 'no node yet; each gets it when it is reached'}")


def _nodes(name: str, check: Mapping[str, Any]) -> Table:
    table = new_table(f"{name}: {check['state']}", "node", "state", "since", "looked", "took", "last")
    for node, one in check["nodes"].items():
        took = "-" if one["duration_ms"] is None else f"{one['duration_ms']:g} ms"
        last = f"cannot look: {one['cannot']}" if one["cannot"] else one["last"] or one["reason"]
        add_row(table, node, one["state"], one["since"], one["looked"], took, last)
    return table


def _history(check: Mapping[str, Any]) -> Table:
    table = new_table("Changes", "node", "at", "state", "why")
    for node, one in check["nodes"].items():
        for change in reversed(one["history"]):
            add_row(table, node, change["at"], change["state"], change["reason"])
    return table
