"""When each target is looked at: heaps by due time, one a lane, so that slow ones of one lane cannot hold up another.

No clock and no network: `probes` asks what is due and says what has ended.
"""

from __future__ import annotations

import heapq
import itertools
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from gslb.snapshot.checks import CommandAsk
from gslb.snapshot.targets import CheckTarget, Target

__all__ = ["LIMITS", "Schedule", "Watch", "lane_of", "next_due_s"]

Lane = Literal["doors", "checks", "commands"]

LIMITS: dict[Lane, int] = {"doors": 512, "checks": 256, "commands": 16}
"""How many may be in flight: together under the usual soft limit of 1,024 open files, with room for what a command
opens; and a command is a process. What is beyond waits its turn by due time."""


def lane_of(target: Target) -> Lane:
    if isinstance(target, CheckTarget):
        return "commands" if isinstance(target.check.ask, CommandAsk) else "checks"
    return "doors"


def next_due_s(started_s: float, ended_s: float, interval_s: float, draw: float) -> float:
    """When a target is looked at again: `interval_s` +- 10 % after the last start, and never before its end.

    `draw` is uniform in [0, 1).
    """
    return max(ended_s, started_s + interval_s * (0.9 + 0.2 * draw))


@dataclass(slots=True, eq=False)
class Watch:
    """A target with when it is due. Equal to itself only: results of a watch that was replaced are dropped."""

    target: Target
    due_s: float
    tries: int = 0
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.lane = lane_of(self.target)


class Schedule:
    """Watches that wait, and those that are in flight."""

    def __init__(self, limits: dict[Lane, int] | None = None) -> None:
        self.in_flight: set[Watch] = set()
        self._limits = limits or LIMITS
        self._busy: dict[Lane, int] = dict.fromkeys(self._limits, 0)
        self._queues: dict[Lane, list[tuple[float, int, Watch]]] = {lane: [] for lane in self._limits}
        self._order = itertools.count()

    def restart(self, watches: Iterable[Watch]) -> None:
        """These wait, and no others do. Those in flight are left to end."""
        self._queues = {lane: [] for lane in self._limits}
        for watch in watches:
            if watch not in self.in_flight:
                self.put(watch)

    def abandon(self) -> None:
        """Nothing is in flight any more."""
        self.in_flight = set()
        self._busy = dict.fromkeys(self._limits, 0)

    def put(self, watch: Watch) -> None:
        """It waits until it is due."""
        heapq.heappush(self._queues[watch.lane], (watch.due_s, next(self._order), watch))

    def take(self, now_s: float) -> Iterator[Watch]:
        """What is due and has room; it is in flight from then on."""
        for lane, queue in self._queues.items():
            while queue and queue[0][0] <= now_s and self._busy[lane] < self._limits[lane]:
                _, _, watch = heapq.heappop(queue)
                self.in_flight.add(watch)
                self._busy[lane] += 1
                yield watch

    def end(self, watch: Watch) -> None:
        """It is in flight no more."""
        if watch in self.in_flight:
            self.in_flight.discard(watch)
            self._busy[watch.lane] -= 1

    def pause_s(self, now_s: float) -> float | None:
        """Seconds until something is due that has room. None: not before something ends, or is put."""
        dues_s = [q[0][0] for lane, q in self._queues.items() if q and self._busy[lane] < self._limits[lane]]
        return max(0.0, min(dues_s) - now_s) if dues_s else None

    def behind_s(self, now_s: float) -> float:
        """How long the one that waits longest has been due."""
        return max((now_s - queue[0][0] for queue in self._queues.values() if queue), default=0.0)
