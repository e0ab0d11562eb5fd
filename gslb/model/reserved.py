"""Words that the policy language keeps for later: refused by name, with what to write instead.

Silence would be worse than an error here: somebody who writes `tls` believes that it is in force. No other checks
belong here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gslb.errors import Problem
from gslb.model.tree import Node, Path, locate, without

__all__ = ["drop_reserved"]


@dataclass(frozen=True, slots=True)
class _Word:
    """A reserved key at `path` (`*` is any key or index)."""

    path: tuple[str, ...]
    remedy: str


_WORDS = (
    _Word(("rollouts",), "delete it; move a share step by step with `gslb shift APP/ROUTE BACKEND=PERCENT`"),
)  # fmt: skip


def drop_reserved(root: Node) -> tuple[Node, list[Problem]]:
    """`root` without reserved words, and a problem (`not-available`) for each."""
    problems = []
    dropped: list[Path] = []
    for word in _WORDS:
        for path in _matches(root, word.path):
            dropped.append(path)
            problems.append(_problem(root, path, word.remedy))
    return without(root, dropped), problems


def _problem(root: Node, path: Path, remedy: str) -> Problem:
    place = locate(root, path, key=True)
    return Problem(*place, "not-available", f"{path[-1]} is not available in this version", remedy)


def _matches(node: Node, pattern: tuple[str, ...]) -> Iterator[tuple[str | int, ...]]:
    if not pattern:
        yield ()
        return
    step, rest = pattern[0], pattern[1:]
    children: list[tuple[str | int, Node]] = []
    if isinstance(node.value, dict):
        children += [(key, child) for key, child in node.value.items() if step in ("*", key)]
    elif isinstance(node.value, list) and step == "*":
        children += enumerate(node.value)
    for key, child in children:
        for path in _matches(child, rest):
            yield (key, *path)
