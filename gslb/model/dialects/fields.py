"""Reading foreign documents field by field: what nobody took is told, so that nothing is dropped in silence.

Places go along: whatever is made of a field stands where the field stood. No dialect's own words here.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from gslb.errors import Problem
from gslb.model.shape import closest
from gslb.model.tree import Node, Place

__all__ = ["Fields", "Told", "made"]


class Told:
    """The problems of all documents."""

    def __init__(self) -> None:
        self.problems: list[Problem] = []

    def error(self, place: Place, rule: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(*place, rule, message, remedy))

    def warn(self, place: Place, rule: str, message: str, remedy: str) -> None:
        self.problems.append(Problem(*place, rule, message, remedy, "warning"))


def made(place: Place, value: Any) -> Node:
    """`value` (mappings, lists, scalars, and nodes as they are) as a tree, all of it at `place`."""
    if isinstance(value, Node):
        return value
    if isinstance(value, Mapping):
        children = {str(key): made(place, child) for key, child in value.items()}
        keys = {key: child.place for key, child in children.items()}
        return Node(place, children, keys, 1 + sum(child.size for child in children.values()))
    if isinstance(value, list | tuple):
        items = [made(place, child) for child in value]
        return Node(place, items, size=1 + sum(child.size for child in items))
    return Node(place, value)


class Fields:
    """A mapping of a document. `path` names it in messages; each field is taken once, and `done` tells of the rest."""

    def __init__(self, node: Node, told: Told, path: str) -> None:
        self.node, self.told, self.path = node, told, path
        self.place = node.place
        self._taken: set[str] = set()
        if not isinstance(node.value, dict):
            told.error(node.place, "foreign-type", f"{path or 'this document'} is not a mapping", "write KEY: VALUE")

    @property
    def _children(self) -> dict[str, Node]:
        return self.node.value if isinstance(self.node.value, dict) else {}

    def key_place(self, name: str) -> Place:
        return self.node.keys.get(name, self.place)

    def take(self, name: str) -> Node | None:
        """The field, or None where it is missing or null."""
        self._taken.add(name)
        child = self._children.get(name)
        return None if child is None or child.value is None else child

    def ignore(self, *names: str) -> None:
        """What changes nothing here."""
        self._taken.update(names)

    def scalar(self, name: str, kind: type, default: Any = None) -> Any:
        node = self.take(name)
        if node is None:
            return default
        if isinstance(node.value, kind) and (kind is not int or not isinstance(node.value, bool)):
            return node.value
        words = {str: "text", int: "a whole number", bool: "true or false"}[kind]
        self.told.error(node.place, "foreign-type", f"{self.named(name)} is not {words}", "see its documentation")
        return default

    def text(self, name: str, default: str = "") -> str:
        return str(self.scalar(name, str, default))

    def need(self, name: str) -> str:
        """Text that has to be there."""
        if name not in self._children:
            self.told.error(self.place, "foreign-missing", f"{self.path} has no {name}", f"write {name}: ...")
        return self.text(name)

    def fields(self, name: str) -> Fields | None:
        node = self.take(name)
        return Fields(node, self.told, self.named(name)) if node else None

    def items(self, name: str) -> list[Node]:
        node = self.take(name)
        if node is None:
            return []
        if isinstance(node.value, list):
            return node.value
        self.told.error(node.place, "foreign-type", f"{self.named(name)} is not a list", "write it with dashes")
        return []

    def each(self, name: str) -> Iterator[Fields]:
        for index, node in enumerate(self.items(name)):
            yield Fields(node, self.told, f"{self.named(name)}[{index}]")

    def texts(self, name: str) -> list[str]:
        return [str(node.value) for node in self.items(name)]

    def mapping(self, name: str) -> dict[str, Node]:
        node = self.take(name)
        return dict(node.value) if node and isinstance(node.value, dict) else {}

    def named(self, name: str) -> str:
        return f"{self.path}.{name}".removeprefix(".")

    def refuse(self, name: str, why: str, remedy: str) -> None:
        """The field is there, and cannot be honoured."""
        self._taken.add(name)
        if name in self._children:
            message = f"{self.named(name)} cannot be honoured: {why}"
            self.told.error(self.key_place(name), "foreign-field", message, remedy)

    def done(self, known: tuple[str, ...] = ()) -> None:
        """Every field that was not taken is told. `known` may have been meant."""
        for name in self._children:
            if name not in self._taken:
                guess = closest(name, (*self._taken, *known))
                remedy = f"write {guess}" if guess else "delete it, and write what it does in our own words"
                message = f"{self.named(name)} cannot be honoured: gslb knows no such field"
                self.told.error(self.key_place(name), "foreign-field", message, remedy)
