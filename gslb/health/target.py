"""What results prove of one target: the machine of rise and fall, and the counter that catches what fails now and then.

No clock, no network: results come in one by one. What several targets add up to is decided in `verdict`.

Theory. A target is `unknown` until its first result, and that result decides at once: a cold start neither believes
that everything is up nor keeps clients waiting for `rise` rounds. From then on a target believes what it believed until
enough results *in a row* say the opposite: `fall` failures take it down, `rise` successes bring it up, and one result
that agrees forgets the count. The whole machine is `_TABLE`:

    unknown --success--> up        up --failure x fall--> down
    unknown --failure--> down      down --success x rise--> up

What fails two times in five seldom fails thrice in a row. So a check may also count failures that lie apart (`flaky`;
gdnsd's down_thresh and ok_thresh): each adds one, `flaky` successes in a row clear them all, and a full counter keeps
the target down whatever the table says. While it is down a run of failures adds one, not one each: what was dead for an
hour is no more flaky than what was dead for a minute, and comes back after `rise`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Literal

from gslb.snapshot.checks import Rounds

__all__ = ["Health", "Phase", "Result", "Unknown", "lasts_s", "step", "untried"]

Phase = Literal["up", "down", "unknown"]


@dataclass(frozen=True, slots=True)
class Result:
    """What one probe found. `reason` names its subject: `monolith: 503 from the edge`, `edge: connect refused`.
    `warning`: it is healthy, and somebody should look at it."""

    ok: bool
    reason: str
    warning: bool = False


@dataclass(frozen=True, slots=True)
class Unknown:
    """There was nothing to find: nobody knows how it is."""

    reason: str


@dataclass(frozen=True, slots=True)
class Health:
    """What is believed of one target. `against` counts the results in a row that contradict `phase`; `reason` is the
    last result that agreed with it. `failures` were not cleared yet, `passes` are the successes in a row that would
    clear them; both are counted for a check with `flaky` only, and no further than it."""

    phase: Phase
    reason: str
    against: int = 0
    failures: int = 0
    passes: int = 0


def _at_once(_check: Rounds) -> int:
    return 1


def _fall(check: Rounds) -> int:
    return check.fall


def _rise(check: Rounds) -> int:
    return check.rise


_TABLE: Mapping[tuple[Phase, bool], tuple[Phase, Callable[[Rounds], int]]] = {
    ("unknown", True): ("up", _at_once),
    ("unknown", False): ("down", _at_once),
    ("up", True): ("up", _at_once),
    ("up", False): ("down", _fall),
    ("down", True): ("up", _rise),
    ("down", False): ("down", _at_once),
}
"""(phase, whether the probe succeeded) to the phase that this speaks for, and how many in a row bring it about."""


def untried(subject: str) -> Health:
    """The health of a target that nobody has looked at yet."""
    return Health("unknown", f"{subject}: no result yet")


def step(health: Health, result: Result, check: Rounds) -> Health:
    """The health after one more result."""
    failures, passes = _counted(health, result, check) if check.flaky else (0, 0)
    phase, needed = _TABLE[health.phase, result.ok]
    turned = health.against + 1 >= needed(check)
    if check.flaky and failures >= check.flaky:
        if health.phase == "down" and result.ok:
            return Health("down", health.reason, health.against + 1, failures, passes)
        return Health("down", f"{result.reason} (flaky: {failures} failures)", 0, failures, passes)
    if turned:
        return Health(phase, result.reason, 0, failures, passes)
    return Health(health.phase, health.reason, health.against + 1, failures, passes)


def _counted(health: Health, result: Result, check: Rounds) -> tuple[int, int]:
    """Failures and passes after one more result."""
    if result.ok:
        passes = min(health.passes + 1, check.flaky)
        return (0 if passes >= check.flaky else health.failures), passes
    adds = health.phase != "down" or health.against > 0
    return min(health.failures + adds, check.flaky), 0


def lasts_s(health: Health, check: Rounds) -> float:
    """How long (seconds) this health lasts at least: interval x results that must still contradict it."""
    _, needed = _TABLE[health.phase, health.phase == "down"]
    left = needed(check) - health.against
    if check.flaky and health.phase == "up":
        left = min(left, check.flaky - health.failures)
    elif check.flaky and health.failures >= check.flaky:
        left = max(left, check.flaky - health.passes)
    return check.interval_s * max(1, left)
