"""A YAML document as a tree that knows where everything was written.

Only the tree: no reading of files, no rules about what a policy may say.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

__all__ = ["Node", "Path", "Place", "Places", "TreePlaces", "Value", "find", "locate", "plain", "without"]

Path = Sequence[str | int]
"""Keys and list indices from the root, as in `("apps", "shop", "routes", 0, "split")`."""


class Place(NamedTuple):
    """Where something starts. Lines and columns count from 1, columns in characters; 0 is the file as a whole."""

    file: str
    line: int = 0
    column: int = 0

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Node:
    """A scalar, list or mapping. `keys` holds the places of a mapping's keys; `size` counts this node and all below it
    with every alias written out, `height` the levels below it."""

    place: Place
    value: Value
    keys: dict[str, Place] = field(default_factory=dict)
    size: int = 1
    height: int = 0


Value = str | int | float | bool | None | list[Node] | dict[str, Node]


def plain(node: Node) -> Any:
    """The tree as the dicts, lists and scalars that it stands for."""
    if isinstance(node.value, dict):
        return {key: plain(child) for key, child in node.value.items()}
    if isinstance(node.value, list):
        return [plain(child) for child in node.value]
    return node.value


def _child(node: Node, step: str | int) -> Node | None:
    if isinstance(node.value, dict) and isinstance(step, str):
        return node.value.get(step)
    if isinstance(node.value, list) and isinstance(step, int) and step < len(node.value):
        return node.value[step]
    return None


def find(root: Node, path: Path) -> Node | None:
    """The node at `path`, or None where the tree does not reach that far."""
    node: Node | None = root
    for step in path:
        node = node and _child(node, step)
    return node


def locate(root: Node, path: Path, *, key: bool = False) -> Place:
    """Where the value at `path` starts, or with `key` where its key does. Where the tree ends early, the last place on
    the way: the parent of what is missing."""
    node, place = root, root.place
    for step in path:
        child = _child(node, step)
        if child is None:
            break
        place = node.keys.get(str(step), child.place) if key else child.place
        node = child
    return place


class Places(Protocol):
    """Where the parts of a policy were written: what rules about a whole policy ask for."""

    def locate(self, path: Path, *, key: bool = False) -> Place:
        """As `locate`."""
        ...

    def keys(self, path: Path) -> tuple[str, ...]:
        """The keys of the mapping at `path`, as they were written; empty where there is none."""
        ...

    def is_list(self, path: Path) -> bool: ...


class TreePlaces:
    """The places of a tree."""

    def __init__(self, root: Node) -> None:
        self._root = root

    def locate(self, path: Path, *, key: bool = False) -> Place:
        return locate(self._root, path, key=key)

    def keys(self, path: Path) -> tuple[str, ...]:
        node = find(self._root, path)
        return tuple(node.keys) if node else ()

    def is_list(self, path: Path) -> bool:
        node = find(self._root, path)
        return node is not None and isinstance(node.value, list)


def without(root: Node, paths: Iterable[Path]) -> Node:
    """The tree less what stands at `paths` (none of them empty; those that lead nowhere are ignored). Nothing is
    changed in place: an alias shares its node with the anchor."""
    below: dict[str | int, list[Path]] = {}
    for path in paths:
        below.setdefault(path[0], []).append(path[1:])
    if not below:
        return root
    if isinstance(root.value, dict):
        entries = {key: _less(child, below.get(key)) for key, child in root.value.items()}
        return dataclasses.replace(root, value={key: child for key, child in entries.items() if child})
    if isinstance(root.value, list):
        items = [_less(child, below.get(index)) for index, child in enumerate(root.value)]
        return dataclasses.replace(root, value=[child for child in items if child])
    return root


def _less(child: Node, paths: list[Path] | None) -> Node | None:
    """What is left of a child: None where one of `paths` ends at it."""
    if paths is None:
        return child
    return without(child, paths) if all(paths) else None
