"""What still comes to an edge: requests a second by app, and connections that stay open. Arithmetic alone.

A rate is taken over the last ten seconds, so that a trickle shows and what ended is soon gone. Of the connections the
fewest of that time are told: health probes open one for a moment each, and must not look like somebody who stays.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.snapshot.types import AppName, BackendName, RouteCounts, RouteId

__all__ = ["WINDOW_S", "ArrivalMeter", "Arrivals"]

WINDOW_S = 10.0
_SPACING_S = 0.5
"""Readings closer than this count as one: who asks more often must not shorten the window."""


@dataclass(frozen=True, slots=True)
class Arrivals:
    """`per_s` has every app that the edge serves, once it was looked at for long enough to tell."""

    per_s: Mapping[AppName, float] = field(default_factory=dict)
    connections: int = 0


@dataclass(frozen=True, slots=True)
class _Reading:
    mono_s: float
    arrived: Mapping[AppName, int]
    connections: int


class ArrivalMeter:
    """Takes what an edge counted since each split last changed; a count that fell began anew."""

    def __init__(self) -> None:
        self._last: dict[tuple[RouteId, BackendName], int] = {}
        self._apps: list[AppName] = []
        self._arrived: dict[AppName, int] = {}
        self._readings: deque[_Reading] = deque()

    def take(self, counts: Mapping[RouteId, RouteCounts], connections: int, mono_s: float) -> None:
        before, self._last = self._last, {}
        self._add(counts, before)
        self._apps = sorted({route.app for route, _ in self._last})
        self._read(connections, mono_s)

    def take_more(self, counts: Mapping[RouteId, RouteCounts], connections: int, mono_s: float) -> None:
        """As `take` where only these routes have counted anything since it took all of them."""
        self._add(counts, self._last)
        self._read(connections, mono_s)

    def _add(self, counts: Mapping[RouteId, RouteCounts], last: Mapping[tuple[RouteId, BackendName], int]) -> None:
        for route, item in counts.items():
            for backend, number in item.requests.items():
                before = last.get((route, backend), number)
                grown = number - before if number >= before else number
                self._arrived[route.app] = self._arrived.get(route.app, 0) + grown
                self._last[route, backend] = number

    def _read(self, connections: int, mono_s: float) -> None:
        if self._readings and mono_s - self._readings[-1].mono_s < _SPACING_S:
            return
        self._readings.append(_Reading(mono_s, dict(self._arrived), connections))
        while len(self._readings) > 2 and self._readings[1].mono_s <= mono_s - WINDOW_S:
            self._readings.popleft()

    def seen(self) -> Arrivals:
        """Over the window that ends with the last reading."""
        if len(self._readings) < 2:
            return Arrivals(connections=self._readings[-1].connections if self._readings else 0)
        first, last = self._readings[0], self._readings[-1]
        past_s = last.mono_s - first.mono_s
        return Arrivals(
            {app: (last.arrived.get(app, 0) - first.arrived.get(app, 0)) / past_s for app in self._apps},
            min(item.connections for item in self._readings),
        )
