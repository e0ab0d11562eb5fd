"""Status, time and size of everything that is mirrored on a route that compares, sampled or not, from access logs.

A line about the client's answer and one about the copy's meet by request id. Both sides are counted from the same
requests, so that what one side was not asked cannot make it look better. Everything is bounded.
"""

from __future__ import annotations

import math
from collections import Counter, OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from gslb.compare.access_log import Line
from gslb.compare.tally import SPAN_S

__all__ = ["MAX_WAITING", "SideCounts", "Traffic", "TrafficSpan", "add_up", "bucket_of", "seconds_of"]

MAX_WAITING = 5000
WAIT_S = 20.0
_MAX_STATUSES = 64
_MAX_CHANGES = 100
_PER_DOUBLING = 8
"""Buckets of time: a quantile is right to 9 %."""
_LEAST_S = 1e-5


def bucket_of(duration_s: float) -> int:
    """The bucket of a time; below 10 microseconds: 0."""
    return max(0, math.floor(math.log2(max(duration_s, _LEAST_S) / _LEAST_S) * _PER_DOUBLING))


def seconds_of(bucket: int) -> float:
    """The upper end of a bucket."""
    return float(_LEAST_S * 2 ** ((bucket + 1) / _PER_DOUBLING))


@dataclass(slots=True)
class SideCounts:
    """What one side answered to the requests that both got. `statuses` 0: it gave no answer."""

    statuses: Counter[int] = field(default_factory=Counter)
    times: Counter[int] = field(default_factory=Counter)
    size_bytes: int = 0

    def take(self, line: Line) -> None:
        status = line.status if line.status in self.statuses or len(self.statuses) < _MAX_STATUSES else -1
        self.statuses[status] += 1
        self.times[bucket_of(line.duration_s)] += 1
        self.size_bytes += line.size_bytes


@dataclass(slots=True)
class TrafficSpan:
    """`pairs` requests that the old side answered and the target got a copy of; `by_target` where the target answered
    the client itself. `changes`: status of old and new where they differ."""

    since_wall_s: float
    pairs: int = 0
    by_target: int = 0
    old: SideCounts = field(default_factory=SideCounts)
    new: SideCounts = field(default_factory=SideCounts)
    changes: Counter[tuple[int, int]] = field(default_factory=Counter)


class Traffic:
    """Of one route at one site; `target` is the mirror's backend. `alone` counts lines that found no other."""

    def __init__(self, target: str, wall_s: float) -> None:
        self.alone = 0
        self._target = target
        self._spans = deque([TrafficSpan(wall_s)], maxlen=2)
        self._waiting: OrderedDict[str, tuple[float, Line]] = OrderedDict()

    def take(self, line: Line, mono_s: float, wall_s: float) -> None:
        """Count a line, once the other of its request is there."""
        before = self._waiting.pop(line.request_id, None)
        if before is None or bool(before[1].route) == bool(line.route):
            self._waiting[line.request_id] = mono_s, line
            self._forget(mono_s)
            return
        answer, copy = (line, before[1]) if line.route else (before[1], line)
        if wall_s - self._spans[-1].since_wall_s > SPAN_S:
            self._spans.append(TrafficSpan(wall_s))
        span = self._spans[-1]
        if answer.cluster.rpartition("/")[2] == self._target:
            span.by_target += 1
            return
        span.pairs += 1
        span.old.take(answer)
        span.new.take(copy)
        change = answer.status, copy.status
        if answer.status != copy.status and (change in span.changes or len(span.changes) < _MAX_CHANGES):
            span.changes[change] += 1

    def spans(self) -> tuple[TrafficSpan, ...]:
        """Those that count, the older first."""
        return tuple(self._spans)

    def _forget(self, mono_s: float) -> None:
        while self._waiting:
            since_s, _ = next(iter(self._waiting.values()))
            if len(self._waiting) <= MAX_WAITING and since_s > mono_s - WAIT_S:
                return
            self._waiting.popitem(last=False)
            self.alone += 1


def add_up(spans: Sequence[TrafficSpan]) -> TrafficSpan:
    """All of `spans` (at least one) as one."""
    whole = TrafficSpan(min(span.since_wall_s for span in spans))
    for span in spans:
        whole.pairs += span.pairs
        whole.by_target += span.by_target
        whole.changes += span.changes
        for mine, theirs in ((whole.old, span.old), (whole.new, span.new)):
            mine.statuses += theirs.statuses
            mine.times += theirs.times
            mine.size_bytes += theirs.size_bytes
    return whole
