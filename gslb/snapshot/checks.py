"""How health is asked for: what a check does and how many results decide. Frozen values; nothing is asked here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

__all__ = ["HealthCheck", "Rounds"]


class Rounds(Protocol):
    """When something is looked at, and how many results decide. `rise` successes and `fall` failures in a row; `flaky`
    failures in all, which only as many successes in a row clear (0: not counted)."""

    @property
    def interval_s(self) -> float: ...
    @property
    def timeout_s(self) -> float: ...
    @property
    def rise(self) -> int: ...
    @property
    def fall(self) -> int: ...
    @property
    def flaky(self) -> int: ...


@dataclass(frozen=True, slots=True)
class HealthCheck:
    """The check of a backend: Rounds, and what its endpoints are asked."""

    path: str
    interval_s: float
    timeout_s: float
    rise: int
    fall: int
    flaky: int = 0
