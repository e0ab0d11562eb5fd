"""What is remembered of each named check: the last look at it, and how its state changed. Pure; for people to read."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from gslb.health.target import Health, Phase, Result, Unknown
from gslb.snapshot.checks import CheckName

__all__ = ["KEPT", "Change", "History", "Memory"]

KEPT = 8
"""Changes of a check that are remembered. Every node tells them each second; ten thousand checks are 5 MB."""


@dataclass(frozen=True, slots=True)
class Change:
    at_wall_s: float
    state: Phase
    reason: str


@dataclass(slots=True)
class Memory:
    """`last` is what the last look said, `cannot` why the last try was none (this machine could not look)."""

    last: str = ""
    warning: bool = False
    looked_wall_s: float | None = None
    duration_s: float | None = None
    cannot: str = ""
    changes: deque[Change] = field(default_factory=lambda: deque(maxlen=KEPT))

    @property
    def since_wall_s(self) -> float | None:
        return self.changes[-1].at_wall_s if self.changes else None


class History:
    """The memory of every check that is watched."""

    def __init__(self) -> None:
        self._memories: dict[CheckName, Memory] = {}

    def watch(self, names: Iterable[CheckName]) -> None:
        """These and no others; what is remembered of them stays."""
        self._memories = {name: self._memories.get(name) or Memory() for name in names}

    def of(self, name: CheckName) -> Memory:
        """Raises KeyError where it is not watched."""
        return self._memories[name]

    def looked(self, name: CheckName, found: Result | Unknown, wall_s: float, duration_s: float) -> None:
        memory = self._memories[name]
        memory.last, memory.looked_wall_s, memory.duration_s, memory.cannot = found.reason, wall_s, duration_s, ""
        memory.warning = isinstance(found, Result) and found.warning

    def could_not(self, name: CheckName, why: str) -> None:
        self._memories[name].cannot = why

    def changed(self, name: CheckName, health: Health, wall_s: float) -> bool:
        """Note the state, if it is another than before; whether it was."""
        changes = self._memories[name].changes
        if changes and changes[-1].state == health.phase:
            return False
        changes.append(Change(wall_s, health.phase, health.reason))
        return True
