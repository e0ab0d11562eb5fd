"""`gslb nodes`: every node of the installation, as control sees it. Arguments and printing only."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import click

from gslb.cli.operate import JSON, SERVER, Wish, taking, watched
from gslb.cli.tables import add_row, console, new_table
from gslb.cli.waves import wave_line

if TYPE_CHECKING:
    from rich.console import RenderableType

__all__ = ["nodes"]


@click.command(epilog="Example: gslb nodes --watch")
@click.option("--watch", is_flag=True, help="Show it anew every second, until Ctrl-C.")
@taking(SERVER, JSON)
def nodes(*, watch: bool, wish: Wish) -> None:
    """Every node: machine, role, site, the version it has, how old that is, how far it is behind, and what it does by
    itself; and the waves in which a policy goes from node to node.

    The nodes of this machine alone, without control: gslb node status.
    """
    if watch and wish.as_json:
        raise click.UsageError("--watch and --json exclude each other")
    if wish.as_json:
        click.echo(json.dumps(wish.client.get("/v1/nodes"), indent=2))
    elif watch:
        watched(wish.client, "/v1/nodes", _page)
    else:
        console().print(_page(wish.client.get("/v1/nodes")))


def _page(seen: Mapping[str, Any]) -> RenderableType:
    from rich.console import Group
    from rich.text import Text

    table = new_table(
        "Nodes", "machine", "role", "site", "state", "version", "taken", "behind", "heard", "certificate", "note"
    )
    for node in seen["nodes"]:
        version = "-" if node["revision"] is None else f"{node['revision']}.{node['overrides']}"
        lag = "no" if node["in_sync"] else _seconds(node["lag_s"])
        add_row(
            table, node["machine"] or "here", node["role"], node["site"], node["state"], version,
            _ago(node["taken_s"]), lag, _ago(node["heard_s"]), node["certificate_ends"], "; ".join(node["notes"]),
        )  # fmt: skip
    lines: list[RenderableType] = [table]
    if seen["wave"] is not None:
        lines.append(Text(wave_line(seen["wave"]), style="bold red" if seen["wave"]["phase"] == "back" else ""))
    lines += [Text(f"{name} in the store does not read", style="bold red") for name in seen["damaged"]]
    return Group(*lines)


def _ago(seconds: float | None) -> str:
    return "-" if seconds is None else f"{_seconds(seconds)} ago"


def _seconds(seconds: float | None) -> str:
    """One unit is enough: whether it is seconds, minutes or days is what matters."""
    if seconds is None:
        return "?"
    for unit, size_s in (("d", 86400), ("h", 3600), ("min", 60)):
        if seconds >= 2 * size_s:
            return f"{seconds / size_s:.0f} {unit}"
    return f"{seconds:.0f} s"
