"""Which nodes of this machine a command asks, and how it tells what they answered. Arguments and printing only."""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

import click

from gslb.cli.operate import JSON
from gslb.cli.tables import change_lines
from gslb.control.http.client import Client, runtime_folder
from gslb.errors import GslbError, HostError, PolicyError, RefusedError

__all__ = ["ALL", "Nodes", "at_nodes", "raise_first", "require_choice", "tell", "texts"]

_NO_NODES = ("control", "comparer")
"""Role processes with a socket that hold no snapshot."""


@dataclass(frozen=True, slots=True)
class Nodes:
    """Which nodes to ask, and how to print what they say."""

    socket: Path | None
    everyone: bool
    runtime: Path | None
    as_json: bool

    def sockets(self, *, edges_alone: bool = False) -> Sequence[Path]:
        """Edges before DNS, as a change goes. Raises HostError where there are none."""
        if self.socket is not None:
            return [self.socket]
        runtime = self.runtime or runtime_folder()
        found = [path for path in runtime.glob("*.sock") if path.stem not in _NO_NODES]
        if not found:
            raise HostError(
                f"no node has a socket in {runtime}",
                "is gslb running here? say where its sockets are: --runtime DIR, or name one: --socket PATH",
            )
        if edges_alone and not (found := [path for path in found if path.stem.startswith("edge-")]):
            raise HostError(f"no edge has a socket in {runtime}", "edges copy requests: ask where one runs")
        return sorted(found, key=lambda path: (path.stem == "dns", path.name))

    def ask(
        self, call: Callable[[Client], Any], *, edges_alone: bool = False
    ) -> tuple[dict[str, Any], dict[str, GslbError]]:
        """What each node answered, and what went wrong with the others."""
        answers: dict[str, Any] = {}
        errors: dict[str, GslbError] = {}
        for path in self.sockets(edges_alone=edges_alone):
            try:
                answers[path.stem] = call(Client(str(path)))
            except (HostError, PolicyError, RefusedError) as error:
                errors[path.stem] = error
        return answers, errors


_OPTIONS = (
    click.option("--socket", type=click.Path(path_type=Path), metavar="PATH", help="One node, by its socket."),
    click.option(
        "--runtime",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="Where the sockets are. Default: $GSLB_RUNTIME, or by who runs gslb.",
    ),
    JSON,
)
ALL = click.option("--all", "everyone", is_flag=True, help="Every node of this machine.")


def at_nodes(command: Callable[..., None]) -> Callable[..., None]:
    """Gives a command these options, which it gets as `nodes`."""

    @functools.wraps(command)
    def run(**given: Any) -> None:
        which = {field.name: given.pop(field.name, True) for field in fields(Nodes)}
        command(nodes=Nodes(**which), **given)

    return functools.reduce(lambda inner, option: option(inner), reversed(_OPTIONS), run)


def require_choice(nodes: Nodes) -> None:
    if (nodes.socket is not None) == nodes.everyone:
        raise click.UsageError("say which nodes: --socket PATH for one, or --all for those of this machine")


def tell(nodes: Nodes, answers: Mapping[str, Any], what: str, undo: str) -> None:
    where = " --all" if nodes.everyone else f" --socket {nodes.socket}"
    told = {name: {**answer, "undo": undo + where if answer["undo"] else None} for name, answer in answers.items()}
    if nodes.as_json:
        click.echo(json.dumps({"nodes": told}, indent=2))
        return
    for name, answer in told.items():
        click.echo("\n".join(change_lines(answer, f"{what} at {name}")))


def texts(errors: Mapping[str, GslbError]) -> dict[str, str]:
    return {name: " ".join(str(error).split()) for name, error in errors.items()}


def raise_first(errors: Mapping[str, GslbError]) -> None:
    """Raises what went wrong: as it is where all nodes say the same kind of thing, else as the machine's trouble."""
    first = next(iter(errors.values()), None)
    if first is None:
        return
    if len(errors) == 1 or not any(isinstance(error, HostError) for error in errors.values()):
        raise first
    said = "; ".join(f"{name}: {text}" for name, text in texts(errors).items())
    raise HostError(f"not every node answered as it should: {said}", "gslb node status shows which nodes serve what")
