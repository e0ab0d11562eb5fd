"""The commands of every day: status, shift, drain, undrain, history; and what commands have in common that change
something. Arguments and printing; control does the work."""

from __future__ import annotations

import functools
import getpass
import json
import math
import os
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

import click

from gslb.cli.server import SERVER, client_of
from gslb.cli.tables import change_lines, console, history_page, status_page
from gslb.control.http.client import Client, path_of
from gslb.errors import HostError

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = [
    "FOR", "JSON", "REASON", "ROLES", "SERVER", "Wish", "author", "history", "require_acknowledged", "seconds", "shift",
    "status", "taking", "tell", "undrain", "watched",
]  # fmt: skip

WATCH_S = 1.0
ROLES = ("viewer", "acme", "operator", "admin")
"""Of tokens and of people's certificates; each may do what those before it may."""


@dataclass(frozen=True, slots=True)
class Wish:
    """What commands have in common: which installation, how to print, and for changes how long and why."""

    server: str | None
    as_json: bool
    lasting: float | None = None
    reason: str = ""

    @property
    def client(self) -> Client:
        return client_of(self.server)


JSON = click.option("--json", "as_json", is_flag=True, help="Print JSON, for scripts.")
REASON = click.option("--reason", default="", metavar="TEXT", help="Why; kept in the history.")


def taking(*options: Callable[[Any], Any]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    """Gives a command these options, which it gets as one `wish`."""

    def decorate(command: Callable[..., None]) -> Callable[..., None]:
        @functools.wraps(command)
        def run(**given: Any) -> None:
            common = {field.name: given.pop(field.name) for field in fields(Wish) if field.name in given}
            command(wish=Wish(**common), **given)

        return functools.reduce(lambda inner, option: option(inner), reversed(options), run)

    return decorate


def seconds(_context: click.Context, _option: click.Parameter, value: str | None) -> float | None:
    if value is None:
        return None
    from gslb.model.words import parse_duration  # slow to import, and seldom needed: a stop must be quick

    try:
        return parse_duration(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from None


FOR = click.option(
    "--for", "lasting", metavar="TIME", callback=seconds, help="Ends by itself after this, such as 30m or 1h."
)


@click.command(epilog="Example: gslb status --watch")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@taking(SERVER, JSON)
def status(*, watch: bool, wish: Wish) -> None:
    """Sites with their verdicts, splits intended and observed, mirrors, and every role's version."""
    client = wish.client
    if not watch:
        seen = client.get("/v1/status")
        if wish.as_json:
            click.echo(json.dumps(seen, indent=2))
        else:
            console().print(status_page(seen))
        return
    if wish.as_json:
        raise click.UsageError("--watch and --json exclude each other")
    watched(client, "/v1/status", status_page)


def watched(client: Client, path: str, page: Callable[[Any], RenderableType]) -> None:
    """What is at `path`, again every second, until Ctrl-C."""
    from rich.live import Live

    with Live(page(client.get(path)), console=console(), auto_refresh=False) as live:
        try:
            while True:
                time.sleep(WATCH_S)
                live.update(page(client.get(path)), refresh=True)
        except KeyboardInterrupt:
            return


@click.command(epilog="Example: gslb shift shop/pay checkout=25 --for 1h --reason 'first quarter'")
@click.argument("route", metavar="APP/ROUTE")
@click.argument("shares", metavar="[BACKEND=PERCENT]...", nargs=-1)
@click.option("--undo", is_flag=True, help="Let the route follow the policy again.")
@taking(FOR, REASON, SERVER, JSON)
def shift(*, route: str, shares: tuple[str, ...], undo: bool, wish: Wish) -> None:
    """Set the split of one route, at once.

    The named backends get these percentages; the others keep their proportions among themselves.
    """
    app, slash, name = route.partition("/")
    if not slash or not app or not name or "/" in name:
        raise click.BadParameter(f"{route!r} is no route; write APP/ROUTE, such as shop/pay", param_hint="APP/ROUTE")
    if undo == bool(shares) or (undo and wish.lasting is not None):
        raise click.UsageError("name backends with their percentages, such as checkout=25, or --undo alone")
    client = wish.client
    if undo:
        answer = client.delete(path_of("shifts", app, name), {"author": author(), "reason": wish.reason})
        what = f"{route} follows the policy again"
    else:
        wanted = {"app": app, "route": name, "split": _split(shares), "expires_in_s": wish.lasting}
        answer = client.post("/v1/shifts", {**wanted, "reason": wish.reason, "author": author()})
        what = f"shift of {route}"
    tell(answer, what, as_json=wish.as_json)


def _split(shares: tuple[str, ...]) -> Mapping[str, float]:
    split: dict[str, float] = {}
    for share in shares:
        backend, _, percent = share.partition("=")
        try:
            value = float(percent.removesuffix("%"))
        except ValueError:
            value = math.nan
        if not backend or not math.isfinite(value):
            raise click.BadParameter(f"{share!r}: write BACKEND=PERCENT, such as checkout=25", param_hint="BACKEND")
        if backend in split:
            raise click.BadParameter(f"{backend} is named twice", param_hint="BACKEND")
        split[backend] = value
    return split


@click.command(epilog="Example: gslb undrain dc --over 15m")
@click.argument("site", metavar="SITE")
@click.option("--app", metavar="APP", help="For this app alone; as it was drained.")
@click.option("--over", "over_s", metavar="TIME", callback=seconds, help="Slowly: its share grows over this time.")
@taking(REASON, SERVER, JSON)
def undrain(*, site: str, app: str | None, over_s: float | None, wish: Wish) -> None:
    """Put a site back."""
    slowly = None if over_s is None else f"{over_s:g}"
    query = {"app": app, "over_s": slowly, "author": author(), "reason": wish.reason}
    answer = wish.client.delete(path_of("drains", site), query)
    tell(answer, f"{site} is back", as_json=wish.as_json)


@click.command(epilog="Example: gslb history -n 50")
@click.option("-n", "limit", type=click.IntRange(1, 1000), default=20, show_default=True, help="How many.")
@taking(SERVER, JSON)
def history(*, limit: int, wish: Wish) -> None:
    """Who changed what, when and why; newest first."""
    seen = wish.client.get("/v1/history", {"limit": str(limit)})
    if wish.as_json:
        click.echo(json.dumps(seen, indent=2))
    else:
        console().print(history_page(seen))


def author() -> str:
    """The person, also behind sudo."""
    try:
        return (os.environ.get("SUDO_USER") or getpass.getuser())[:64]
    except (KeyError, OSError):
        return f"uid {os.getuid()}"


def tell(answer: Mapping[str, Any], what: str, *, as_json: bool) -> None:
    """Prints a change. Raises HostError, after printing, where roles do not have it in force yet."""
    if as_json:
        click.echo(json.dumps(answer, indent=2))
    else:
        click.echo("\n".join(change_lines(answer, what)))
    require_acknowledged(answer)


def require_acknowledged(answer: Mapping[str, Any]) -> None:
    """Raises HostError where roles do not have a change in force yet, which was printed."""
    if answer["unacknowledged"]:
        sys.stdout.flush()
        silent = "; ".join(f"{name}: {why}" for name, why in answer["unacknowledged"].items())
        raise HostError(
            f"the change is stored, but not in force everywhere: {silent}",
            "gslb status shows when they have caught up; they do so by themselves once they are reached",
        )
