"""A policy that came as one value (over the API) instead of a folder: the same rules as for a folder, without lines.

Shapes and values are the models' business; here is what `reader` does after them.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from typing import Any

from gslb.errors import PolicyError, Problem
from gslb.model.checks import check_policy
from gslb.model.policy import Policy
from gslb.model.tree import Path, Place
from gslb.model.zones import SUFFIX, all_zones, take_zone_files

__all__ = ["Checker", "check_given"]

_WHOLE_NAMES = "$ORIGIN .\n"
_ROOT = "policy"


def check_given(policy: Policy) -> Policy:
    """`policy` with the records of its zones in their one form. `records` are the lines of a zone file here, in which
    every name is whole, with or without its last dot.

    Raises PolicyError with every problem; messages begin with the path of what is wrong, such as `apps.shop.hosts`.
    """
    places = _GivenPlaces(policy.model_dump(mode="json"))
    files = {f"{name}{SUFFIX}": (_WHOLE_NAMES + records).encode() for name, records in _records(policy)}
    taken = take_zone_files(_naming_files(policy), places, files)
    errors = [p for p in (*check_policy(policy, places), *taken.problems) if p.severity == "error"]
    if errors:
        raise PolicyError(map(_placed, errors))
    return taken.policy


class Checker:
    """Checks one policy after the other, and none twice in a row: what somebody planned is mostly applied next, and a
    large policy takes a second. It may be called from several threads at once."""

    def __init__(self) -> None:
        self._last: tuple[str, Policy] | None = None

    def checked(self, policy: Policy) -> Policy:
        """As `check_given`."""
        text, last = policy.model_dump_json(), self._last
        if last is not None and last[0] == text:
            return last[1]
        made = check_given(policy)
        self._last = text, made
        return made


class _GivenPlaces:
    """Paths for places."""

    def __init__(self, value: Any) -> None:
        """`value`: a policy as JSON has it."""
        self._value = value

    def locate(self, path: Path, *, key: bool = False) -> Place:  # noqa: ARG002 - a key stands where its value does
        way = [_ROOT, *(str(step) for step, _ in zip(path, self._down(path), strict=False))]
        return Place(".".join(way))

    def keys(self, path: Path) -> tuple[str, ...]:
        found = self._find(path)
        return tuple(found) if isinstance(found, dict) else ()

    def is_list(self, path: Path) -> bool:
        return isinstance(self._find(path), list)

    def _find(self, path: Path) -> Any:
        """None where `path` does not lead that far."""
        found = [self._value, *self._down(path)]
        return found[-1] if len(found) > len(path) else None

    def _down(self, path: Path) -> Iterator[Any]:
        """What lies on the way to `path`, as far as there is something."""
        value = self._value
        for step in path:
            is_there = step in value if isinstance(value, dict) else _has(value, step)
            if not is_there:
                return
            value = value[step]
            yield value


def _has(value: Any, step: str | int) -> bool:
    return isinstance(value, list) and isinstance(step, int) and step < len(value)


def _records(policy: Policy) -> Iterator[tuple[str, str]]:
    """The records of each zone that has some, by the zone's path."""
    for path, zone in all_zones(policy):
        if zone.records is not None:
            yield ".".join(map(str, path)), zone.records


def _naming_files(policy: Policy) -> Policy:
    """With names of files where `policy` has records, as a folder's YAML says it."""
    names = [(f"{'.'.join(map(str, path))}{SUFFIX}", zone) for path, zone in all_zones(policy)]
    zone, *zones = (zone if zone.records is None else zone.model_copy(update={"records": name}) for name, zone in names)
    return policy.model_copy(update={"zone": zone, "zones": tuple(zones)})


def _placed(problem: Problem) -> Problem:
    """The API tells messages alone, so that they say where."""
    where = problem.file.removeprefix(f"{_ROOT}.").removesuffix(SUFFIX)
    where += f" line {problem.line - 1}" if problem.line else ""
    return dataclasses.replace(problem, file=_ROOT, line=0, column=0, message=f"{where}: {problem.message}")
