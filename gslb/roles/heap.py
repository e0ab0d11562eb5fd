"""What a role keeps for long, and the collector of cycles. A policy of ten thousand routes is millions of objects: the
collector would look through all of them again and again while the next one is read, and now and then for a second in
the middle of a change that is small. Who calls this decides when there is time for it.
"""

from __future__ import annotations

import gc
import math

__all__ = ["LongLived", "collect_seldom"]

YOUNG = 10_000
"""New objects before the collector looks through them (CPython: 700). Reading a policy of 10,000 routes takes half the
time; cycles that wait to be found are a few megabytes at most."""

WHOLE_S = 3600.0


def collect_seldom() -> None:
    """For the whole process."""
    gc.set_threshold(YOUNG, 10, 10)


class LongLived:
    """What stays as long as a revision does."""

    def __init__(self) -> None:
        self._revision: int | None = None
        self._whole_s = -math.inf

    def look(self, revision: int | None, mono_s: float) -> None:
        """Where another revision is in force than at the last look, never look again at what there is now. Cycles among
        it are found once an hour at most, at such a moment: with 10,000 routes nothing else happens for a third of a
        second. What a policy leaves behind goes without that. None: none is in force yet."""
        if revision in (None, self._revision):
            return
        self._revision = revision
        if mono_s - self._whole_s >= WHOLE_S:
            self._whole_s = mono_s
            gc.unfreeze()
            gc.collect()
        else:
            gc.collect(1)
        gc.freeze()
