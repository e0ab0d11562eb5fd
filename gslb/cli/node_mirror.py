"""`gslb node mirror`: stopping mirrors at the edges of this machine themselves, with control dead. Arguments and
printing only."""

from __future__ import annotations

import click

from gslb.cli.at_nodes import Nodes, at_nodes, raise_first, require_choice, tell
from gslb.cli.mirror_scope import SCOPE, named, parts
from gslb.cli.operate import FOR, REASON, author

__all__ = ["mirror"]

_ALL = click.option("--all", "everyone", is_flag=True, help="Every edge of this machine.")


@click.group()
def mirror() -> None:
    """Stop mirrors at the edges of this machine, with control dead, and start them again.

    \b
    Examples:
      gslb node mirror stop --all                 every mirror
      gslb node mirror stop shop/pay --all --reason 'the new database is full'
      gslb node mirror start shop/pay --all
    """


@mirror.command(epilog="Example: gslb node mirror stop shop/pay --all --for 1h --reason 'the new database is full'")
@SCOPE
@FOR
@REASON
@_ALL
@at_nodes
def stop(*, scope: str | None, lasting: float | None, reason: str, nodes: Nodes) -> None:
    """Let mirrors copy nothing: of a route, of an app, or all of them.

    The edges keep it over their restarts and show it as broken glass, until control publishes something newer: then
    stop the mirrors with control, too.
    """
    require_choice(nodes)
    app, route = parts(scope)
    body = {"app": app, "route": route, "expires_in_s": lasting, "reason": reason, "author": author()}
    answers, errors = nodes.ask(lambda client: client.post("/v1/mirror-stops", body), edges_alone=True)
    tell(nodes, answers, f"{named(scope)} stopped", _command("start", scope))
    if answers and not nodes.as_json:
        back = f"gslb mirror stop {scope or ''}".strip()
        click.echo(f"it holds until control publishes; once control is back: {back}")
    raise_first(errors)


@mirror.command(epilog="Example: gslb node mirror start shop/pay --all")
@SCOPE
@REASON
@_ALL
@at_nodes
def start(*, scope: str | None, reason: str, nodes: Nodes) -> None:
    """Let mirrors copy again, whoever stopped them; with the scope that they were stopped with."""
    require_choice(nodes)
    app, route = parts(scope)
    query = {"app": app, "route": route, "reason": reason, "author": author()}
    answers, errors = nodes.ask(lambda client: client.delete("/v1/mirror-stops", query), edges_alone=True)
    tell(nodes, answers, f"{named(scope)} started", _command("stop", scope))
    raise_first(errors)


def _command(verb: str, scope: str | None) -> str:
    return f"gslb node mirror {verb} {scope or ''}".strip()
