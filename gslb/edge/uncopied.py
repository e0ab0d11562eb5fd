"""What was fit for a mirror and copied nowhere, by why: not drawn, or stopped by a person. Pure arithmetic.

Envoy counts what it copies and what it could not; nobody counts what it was not asked to copy. That is what is left of
a route's requests, each times its mirrors, when everything with a reason is taken away. What is left grows under one
reason at a time, so each look adds the growth since the last one to the reason of that time.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.edge.render import StatsIndex
from gslb.snapshot.types import RouteCounts, RouteId

__all__ = ["NOT_DRAWN", "STOPPED", "Uncopied"]

NOT_DRAWN, STOPPED = "not_drawn", "stopped"


@dataclass
class Uncopied:
    """`begin` with every configuration, `look` as often as there are counts of it."""

    _left: dict[RouteId, int] = field(default_factory=dict)
    _found: dict[RouteId, dict[str, int]] = field(default_factory=dict)
    _waiting: Mapping[RouteId, int] = field(default_factory=dict)

    def begin(self, index: StatsIndex, counts: Mapping[RouteId, RouteCounts]) -> None:
        """What is left now is nobody's: other clusters count from here on."""
        self._left = _left(index, counts, self._waiting)
        self._found = {route: self._found.get(route, {}) for route in self._left}

    def look(self, index: StatsIndex, counts: Mapping[RouteId, RouteCounts], waiting: Mapping[RouteId, int]) -> None:
        """`counts` since the start of the counters, whatever split was in force; `waiting`: copies that wait for a
        connection, and are neither sent nor lost yet."""
        now = _left(index, counts, waiting)
        for route, left in now.items():
            reason = STOPPED if route in index.stopped else NOT_DRAWN
            found = self._found.setdefault(route, {})
            found[reason] = found.get(reason, 0) + left - self._left.get(route, left)
        self._left, self._waiting = now, waiting

    def reasons(self, route: RouteId) -> dict[str, int]:
        """How many copies were not made, by reason. A copy may be counted before its request is, so that a number can
        be below nothing for a moment: it is not shown then."""
        return {reason: number for reason, number in self._found.get(route, {}).items() if number > 0}


def _left(
    index: StatsIndex, counts: Mapping[RouteId, RouteCounts], waiting: Mapping[RouteId, int]
) -> dict[RouteId, int]:
    mirrors: dict[RouteId, int] = {}
    for route, _ in set(index.shadows.values()):
        mirrors[route] = mirrors.get(route, 0) + 1
    left = {}
    for route, number in mirrors.items():
        seen = counts[route]
        told = seen.mirrored + sum(seen.skipped.values()) + waiting.get(route, 0)
        left[route] = number * sum(seen.requests.values()) - told
    return left
