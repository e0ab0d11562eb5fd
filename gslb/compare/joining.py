"""Captures of one request meet here, whatever the order in which they come, or give up on each other.

Everything is bounded: how many requests wait, what they hold in octets, and for how long.
"""

from __future__ import annotations

from collections import Counter, OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field

from gslb.compare.capture import Captured, Role
from gslb.compare.rules import Rules
from gslb.model.routing import SAFE_METHODS

__all__ = ["MAX_WAITING", "MAX_WAITING_BYTES", "WAIT_S", "Joined", "Joiner"]

WAIT_S = 10.0
"""A copy is given up after 5 s by the edge, an answer after the route's timeout: who comes later finds nobody."""
MAX_WAITING = 2000
MAX_WAITING_BYTES = 32 * 1024**2
_OVERHEAD_BYTES = 2048
"""Of one capture beside its body."""


@dataclass(frozen=True, slots=True)
class Joined:
    """What was captured of one request, by role."""

    captures: dict[Role, Captured]


@dataclass(slots=True)
class _Waiting:
    until_mono_s: float
    captures: dict[Role, Captured] = field(default_factory=dict)
    size_bytes: int = 0


class Joiner:
    """`lost` counts the requests that were never whole, by what they lacked, and captures that had no room."""

    def __init__(self) -> None:
        self._waiting: OrderedDict[tuple[str, str, str], _Waiting] = OrderedDict()
        self._bytes = 0
        self.lost: Counter[str] = Counter()

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def waiting_bytes(self) -> int:
        return self._bytes

    def take(self, captured: Captured, rules: Rules, mono_s: float) -> Joined | None:
        """The request that `captured` completes, if it does. A role that comes twice counts once."""
        key = captured.site, captured.key, captured.request_id
        entry = self._waiting.get(key)
        if entry is None:
            entry = self._waiting[key] = _Waiting(mono_s + WAIT_S)
        if captured.role in entry.captures:
            return None
        size_bytes = len(captured.body) + _OVERHEAD_BYTES
        entry.captures[captured.role] = captured
        entry.size_bytes += size_bytes
        self._bytes += size_bytes
        if _wanted(captured, rules) <= entry.captures.keys():
            self._forget(key)
            return Joined(entry.captures)
        self._make_room()
        return None

    def expire(self, mono_s: float) -> Iterator[Joined]:
        """Those that waited long enough, where a comparison is possible without what they lack."""
        while self._waiting:
            key, entry = next(iter(self._waiting.items()))
            if entry.until_mono_s > mono_s:
                return
            self._forget(key)
            if len(entry.captures) > 1:
                yield Joined(entry.captures)
            else:
                (role,) = entry.captures
                self.lost[f"only_{role}"] += 1

    def _make_room(self) -> None:
        while len(self._waiting) > MAX_WAITING or self._bytes > MAX_WAITING_BYTES:
            self._forget(next(iter(self._waiting)))
            self.lost["no_room"] += 1

    def _forget(self, key: tuple[str, str, str]) -> None:
        self._bytes -= self._waiting.pop(key).size_bytes


def _wanted(captured: Captured, rules: Rules) -> set[Role]:
    """Unsafe methods have no second copy to the old side: it would act twice."""
    wanted: set[Role] = {"answer", "copy"}
    if rules.noise and captured.method in SAFE_METHODS:
        wanted.add("noise")
    return wanted
