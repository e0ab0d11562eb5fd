"""`gslb mirror report`: where the new service differs from the old. Arguments and printing; the page for browsers
stands in `mirror_page`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from gslb.cli.operate import JSON, SERVER, Wish, taking
from gslb.cli.printing import status_word
from gslb.cli.tables import add_row, console, new_table
from gslb.control.http.client import path_of
from gslb.errors import HostError

if TYPE_CHECKING:
    from rich.table import Table

__all__ = ["report"]

_CHANGES = 10
_WORDS = {
    "difference": "differs",
    "unmeasured": "differs, noise not measured",
    "unsettled": "not settled",
    "noise": "noise",
}


def _route(_context: click.Context, _argument: click.Parameter, text: str) -> tuple[str, str]:
    app, _, route = text.partition("/")
    if not app or not route or "/" in route:
        raise click.BadParameter(f"{text!r} is no route; write APP/ROUTE, such as shop/pay")
    return app, route


@click.command()
@click.argument("route", metavar="APP/ROUTE", callback=_route)
@click.option("--noise", "with_noise", is_flag=True, help="Also fields in which the old service differs from itself.")
@click.option("--samples", "with_samples", is_flag=True, help="Also the kept requests, redacted.")
@click.option("--html", type=click.Path(path_type=Path, dir_okay=False, writable=True), metavar="FILE",
              help="Write a page for a browser, with everything.")  # fmt: skip
@taking(SERVER, JSON)
def report(*, route: tuple[str, str], with_noise: bool, with_samples: bool, html: Path | None, wish: Wish) -> None:
    """Differences between the old and the new service of a mirror with `compare`, noise removed.

    A field differs where old and new differ more often than one of them differs from itself. What was seen too few
    times to tell is not settled.

    \b
    Examples:
      gslb mirror report shop/pay
      gslb mirror report shop/pay --samples --noise
      gslb mirror report shop/pay --html report.html
    """
    seen = wish.client.get(path_of("mirrors", *route, "report"))
    if html is not None:
        from gslb.cli.mirror_page import page

        try:
            html.write_text(page(seen), encoding="utf-8")
        except OSError as error:
            raise HostError(f"{html} cannot be written: {error.strerror}", "name another file: --html FILE") from error
        click.echo(f"environment {seen['environment']}: {html} has the report of {seen['app']}/{seen['route']}")
        return
    if wish.as_json:
        click.echo(json.dumps(seen, indent=2))
        return
    _print(seen, with_noise=with_noise, with_samples=with_samples)


def _print(seen: Mapping[str, Any], *, with_noise: bool, with_samples: bool) -> None:
    screen = console()
    click.echo(f"environment {seen['environment']}: {seen['app']}/{seen['route']}, {seen['reference']} (old) beside"
               f" {seen['target']} (new)")  # fmt: skip
    since = f" since {seen['since']}" if seen["since"] else ""
    click.echo(f"{seen['pairs']:,} pairs compared{since}, {seen['measured']:,} with the noise of one side")
    if seen["traffic"]["pairs"]:
        screen.print(_traffic(seen))
    for hint in seen["hints"]:
        click.echo(f"note: {hint}")
    shown = [item for item in seen["fields"] if with_noise or item["verdict"] != "noise"]
    hidden = len(seen["fields"]) - len(shown)
    if shown:
        screen.print(_fields(shown))
    elif seen["pairs"]:
        click.echo("no difference that is not noise")
    if hidden:
        click.echo(f"{hidden} more in which one side differs from itself: --noise shows them")
    for sample in seen["samples"] if with_samples else ():
        screen.print(_sample(sample))


def _traffic(seen: Mapping[str, Any]) -> Table:
    """Of everything that was mirrored."""
    traffic = seen["traffic"]
    table = new_table(f"Everything mirrored: {traffic['pairs']:,}", "side", "statuses", "p50", "p95", "p99", "octets")
    for side, name in (("old", seen["reference"]), ("new", seen["target"])):
        told = traffic[side]
        statuses = ", ".join(f"{number:,} x {status_word(status)}" for status, number in told["statuses"].items())
        times = ["-" if told[key] is None else f"{told[key]:.3g} ms" for key in ("p50_ms", "p95_ms", "p99_ms")]
        add_row(table, f"{name} ({side})", statuses, *times, f"{told['mean_bytes'] or 0:,.0f}")
    for change in traffic["changes"][:_CHANGES]:
        add_row(
            table,
            "",
            f"{change['count']:,} x {status_word(change['old'])} to {status_word(change['new'])}",
            "",
            "",
            "",
            "",
        )
    return table


def _fields(shown: list[Mapping[str, Any]]) -> Table:
    table = new_table("Fields", "field", "how", "seen", "of pairs", "old and old", "verdict", "old", "new")
    for item in shown:
        verdict = _WORDS[item["verdict"]]
        if item["verdict"] == "unsettled":
            verdict += f", {item['needed']} more would"
        self_seen = str(item["both"] + item["only_old"])
        cells = (item["kind"], f"{item['seen']:,}", f"{item['percent']:g} %", self_seen, verdict)
        add_row(table, item["path"], *cells, item["old"], item["new"])
    return table


def _sample(sample: Mapping[str, Any]) -> Table:
    title = f"{sample['method']} {sample['path']}   {sample['at']}   {sample['site']}   {sample['request_id']}"
    table = new_table(title, "field", "how", "old", "new")
    for item in sample["differences"]:
        add_row(table, item["path"], item["kind"], item["old"], item["new"])
    return table
