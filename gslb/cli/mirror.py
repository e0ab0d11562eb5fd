"""`gslb mirror`: stopping mirrors at once, starting them again, and what their answers tell. Arguments and printing;
control does the work."""

from __future__ import annotations

import click

from gslb.cli.mirror_report import report
from gslb.cli.mirror_scope import SCOPE, named, parts
from gslb.cli.operate import FOR, JSON, REASON, SERVER, Wish, author, taking, tell

__all__ = ["mirror"]


@click.group()
def mirror() -> None:
    """Copies of requests that other backends get: stop them, start them again, compare what is answered.

    \b
    Examples:
      gslb mirror stop                    every mirror of the installation, at once
      gslb mirror stop shop/pay --reason 'the new database is full'
      gslb mirror start shop/pay
      gslb mirror report shop/pay         where the new service differs from the old
    """


mirror.add_command(report)


@mirror.command(epilog="Example: gslb mirror stop shop/pay --for 1h --reason 'the new database is full'")
@SCOPE
@taking(FOR, REASON, SERVER, JSON)
def stop(*, scope: str | None, wish: Wish) -> None:
    """Let mirrors copy nothing: of a route, of an app, or all of them.

    It holds over restarts and whatever the policy says, until gslb mirror start, or until its time (--for) is over.
    """
    app, route = parts(scope)
    body = {"app": app, "route": route, "expires_in_s": wish.lasting, "reason": wish.reason, "author": author()}
    answer = wish.client.post("/v1/mirror-stops", body)
    tell(answer, f"{named(scope)} stopped", as_json=wish.as_json)


@mirror.command(epilog="Example: gslb mirror start shop/pay")
@SCOPE
@taking(REASON, SERVER, JSON)
def start(*, scope: str | None, wish: Wish) -> None:
    """Let mirrors copy again, as the policy says; with the scope that they were stopped with."""
    app, route = parts(scope)
    query = {"app": app, "route": route, "reason": wish.reason, "author": author()}
    answer = wish.client.delete("/v1/mirror-stops", query)
    tell(answer, f"{named(scope)} started", as_json=wish.as_json)
