"""How a prober itself is, and what is wrong with one that can no longer be trusted. Pure; not what it sees."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["LATE_S", "Pulse", "trouble"]

LATE_S = 5.0
"""A prober that has not turned for so long, or is so far behind its schedule, cannot be trusted to see an outage."""


@dataclass(frozen=True, slots=True)
class Pulse:
    """How the prober itself is. `age_s`: since it last turned; `behind_s`: how long the look that waits longest has
    been due; `second_tries`: looks ever that began once more, because nothing had been heard by half their time."""

    running: bool
    age_s: float
    behind_s: float
    targets: int
    in_flight: int
    second_tries: int = 0

    @property
    def trouble(self) -> str:
        """What is wrong with it; empty: nothing."""
        return trouble(self.age_s, self.behind_s, running=self.running)


def trouble(age_s: float, behind_s: float, *, running: bool) -> str:
    """What is wrong with such a prober; empty: nothing."""
    if not running:
        return "the prober does not run"
    if age_s > LATE_S:
        return f"the prober has not turned for {age_s:.0f} s"
    return f"the prober is {behind_s:.0f} s behind its schedule" if behind_s > LATE_S else ""
