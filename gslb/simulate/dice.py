"""Chance that a seed determines, alike on every machine and in every version of Python. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

__all__ = ["Dice"]

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_SCALE = float(_U64 + 1)
Item = TypeVar("Item")


class Dice:
    """SplitMix64 (Steele, Lea and Flood, OOPSLA 2014): good enough for games, no secret."""

    def __init__(self, seed: int) -> None:
        self._state = seed & _U64

    def u64(self) -> int:
        self._state = (self._state + 0x9E37_79B9_7F4A_7C15) & _U64
        word = self._state
        word = (word ^ word >> 30) * 0xBF58_476D_1CE4_E5B9 & _U64
        word = (word ^ word >> 27) * 0x94D0_49BB_1331_11EB & _U64
        return word ^ word >> 31

    def chance(self, probability: float) -> bool:
        return self.u64() / _SCALE < probability

    def between(self, low: float, high: float) -> float:
        return low + (high - low) * (self.u64() / _SCALE)

    def whole(self, low: int, high: int) -> int:
        """From `low` to `high`, both included."""
        return low + self.u64() % (high - low + 1)

    def one_of(self, items: Sequence[Item]) -> Item:
        return items[self.whole(0, len(items) - 1)]

    def some_of(self, items: Sequence[Item], probability: float) -> list[Item]:
        return [item for item in items if self.chance(probability)]
