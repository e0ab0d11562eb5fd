"""Which mirrors a command is about: all of them, those of an app, or those of a route."""

from __future__ import annotations

import click

__all__ = ["SCOPE", "named", "parts"]

SCOPE = click.argument("scope", metavar="[APP[/ROUTE]]", required=False)


def parts(scope: str | None) -> tuple[str | None, str | None]:
    """App and route; None: every one. Raises BadParameter."""
    if scope is None:
        return None, None
    app, slash, route = scope.partition("/")
    if not app or bool(slash) != bool(route) or "/" in route:
        raise click.BadParameter(f"{scope!r} is no scope; write APP or APP/ROUTE, such as shop/pay", param_hint="SCOPE")
    return app, route or None


def named(scope: str | None) -> str:
    """For a sentence."""
    return "every mirror" if scope is None else f"mirrors of {scope}"
