"""What results prove of one target: the machine of rise and fall, and the counter that catches what fails now and then.

No clock, no network: results come in one by one. What several targets add up to is decided in `verdict`.

Theory. A target is `unknown` until its first result, and that result decides at once: a cold start neither believes
that everything is up nor keeps clients waiting for `rise` rounds. From then on a target believes what it believed until
enough results *in a row* say the opposite: `fall` failures take it down, `rise` successes bring it up, and one result
that agrees forgets the count. The whole machine is `_TABLE`:

    unknown --success--> up        up --failure x fall--> down
    unknown --failure--> down      down --success x rise--> up
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gslb.snapshot.types import HealthCheck, ProbeTarget

__all__ = ["Health", "Phase", "Result", "lasts_s", "step", "untried"]

Phase = Literal["up", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found. `reason` names its subject: `monolith: 503 from the edge`, `edge: connect refused`."""

    ok: bool
    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """What is believed of one target. `against` counts the results in a row that contradict `phase`; `reason` is the
    last result that agreed with it."""

    phase: Phase
    reason: str
    against: int = 0


def _at_once(_check: HealthCheck) -> int:
    return 1


def _fall(check: HealthCheck) -> int:
    return check.fall


def _rise(check: HealthCheck) -> int:
    return check.rise


_TABLE: Mapping[tuple[Phase, bool], tuple[Phase, Callable[[HealthCheck], int]]] = {
    ("unknown", True): ("up", _at_once),
    ("unknown", False): ("down", _at_once),
    ("up", True): ("up", _at_once),
    ("up", False): ("down", _fall),
    ("down", True): ("up", _rise),
    ("down", False): ("down", _at_once),
}
"""(phase, whether the probe succeeded) to the phase that this speaks for, and how many in a row bring it about."""


def untried(target: ProbeTarget) -> Health:
    """The health of a target that nobody has looked at yet."""
    return Health("unknown", f"{target.backend or 'edge'}: no result yet")


def step(health: Health, result: Result, check: HealthCheck) -> Health:
    """The health after one more result."""
    phase, needed = _TABLE[health.phase, result.ok]
    if health.against + 1 >= needed(check):
        return Health(phase, result.reason)
    return Health(health.phase, health.reason, health.against + 1)


def lasts_s(health: Health, check: HealthCheck) -> float:
    """How long (seconds) this health lasts at least: interval x results that must still contradict it."""
    _, needed = _TABLE[health.phase, health.phase == "down"]
    return check.interval_s * max(1, needed(check) - health.against)
