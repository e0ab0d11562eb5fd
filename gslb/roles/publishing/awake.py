"""A clock that stands while this process cannot look: stopped, starved, or on a machine that was frozen.

Others go on meanwhile, and answer when they are asked again. What was not heard in that time is no silence of theirs,
so that who wakes up asks first, and complains afterwards.
"""

from __future__ import annotations

from gslb import clock

__all__ = ["Awake"]

LOOK_S = 1.0
"""Somebody asks for the time at least this often, while all is well."""
ASLEEP_S = 2.5
"""A longer pause between two times that it was asked is sleep, which counts as LOOK_S."""


class Awake:
    """One clock, for all whose silence one process counts."""

    def __init__(self) -> None:
        self._last_s = clock.mono_s()
        self._slept_s = 0.0

    def now_s(self) -> float:
        """Never goes back. Must be asked once in LOOK_S at least."""
        now_s = clock.mono_s()
        pause_s = now_s - self._last_s
        if pause_s > ASLEEP_S:
            self._slept_s += pause_s - LOOK_S
        self._last_s = now_s
        return now_s - self._slept_s
