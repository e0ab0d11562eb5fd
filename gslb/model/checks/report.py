"""Where checks put what they find. It knows places and words, and decides nothing."""

from __future__ import annotations

import itertools
from collections.abc import Collection
from typing import Literal

from gslb.errors import Problem
from gslb.model.policy import Policy
from gslb.model.shape import closest
from gslb.model.tree import Path, Place, Places

__all__ = ["Report"]

_MAX_GUESSES = 100  # looking for what was meant is slow, and nobody reads that many
_MAX_LISTED = 12


class Report:
    """The policy that is being checked, and its problems so far."""

    def __init__(self, policy: Policy, places: Places) -> None:
        self.policy = policy
        self.problems: list[Problem] = []
        self._places = places
        self._guesses = 0

    def place(self, path: Path) -> Place:
        """Where the key (or list item) at `path` stands."""
        return self._places.locate(path, key=True)

    def keys(self, path: Path) -> tuple[str, ...]:
        """The keys of the mapping at `path`, as they were written."""
        return self._places.keys(path)

    def item(self, path: Path, index: int) -> Path:
        """The path of the item `index` of what may be written as one value or as a list."""
        return (*path, index) if self._places.is_list(path) else tuple(path)

    def error(self, path: Path, rule: str, message: str, remedy: str) -> None:
        """The value at `path` is wrong."""
        self._add(self._places.locate(path), rule, message, remedy, "error")

    def error_at_key(self, path: Path, rule: str, message: str, remedy: str) -> None:
        """The key at `path` is wrong, or the whole of what stands under it."""
        self._add(self.place(path), rule, message, remedy, "error")

    def warn(self, path: Path, rule: str, message: str, remedy: str) -> None:
        """What stands under the key at `path` is allowed, and probably not meant."""
        self._add(self.place(path), rule, message, remedy, "warning")

    def unknown(self, path: Path, kind: str, name: str, known: Collection[str]) -> None:
        """`name`, the last step of `path` or its value, is no `kind` of this policy (`unknown-site`)."""
        self._guesses += 1
        guess = closest(name, known) if self._guesses <= _MAX_GUESSES else None
        listed = ", ".join(itertools.islice(known, _MAX_LISTED)) + (", ..." if len(known) > _MAX_LISTED else "")
        remedy = (f"write {guess}; " if guess else "") + (f"the {kind}s are {listed}" if known else f"add the {kind}")
        place = self._places.locate(path, key=path[-1] == name)
        self._add(place, f"unknown-{kind}", f"there is no {kind} {name}", remedy, "error")

    def _add(self, place: Place, rule: str, message: str, remedy: str, severity: Literal["error", "warning"]) -> None:
        self.problems.append(Problem(*place, rule, message, remedy, severity))
