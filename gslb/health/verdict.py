"""What probes prove: from single results to the health of a target, from targets to the verdict of an edge address.

No clock, no network: `probes` brings results and times. Steering reads the `LiveState` that comes out.

Theory. A target is `unknown` until its first result, and that result decides at once: a cold start neither believes
that everything is up nor keeps clients waiting for `rise` rounds. From then on a target believes what it believed until
enough results *in a row* say the opposite: `fall` failures take it down, `rise` successes bring it up, and one result
that agrees forgets the count. The whole machine is `_TABLE`:

    unknown --success--> up        up --failure x fall--> down
    unknown --failure--> down      down --success x rise--> up

The verdict of an app at an edge address is the worst of its targets: down as soon as one is down, unknown as long as
one is unknown, up when all are up.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from gslb.model.words import IpAddress
from gslb.snapshot.types import AppName, BackendName, HealthCheck, LiveState, ProbeTarget, Verdict

__all__ = ["Board", "Health", "Result", "TargetKey", "flip_s", "judge", "step", "untried"]

Phase = Literal["up", "down", "unknown"]


class TargetKey(NamedTuple):
    """What makes a target the same one in the next snapshot, whatever became of its check or host name."""

    app: AppName
    address: IpAddress
    port: int
    backend: BackendName | None

    @classmethod
    def of(cls, target: ProbeTarget) -> TargetKey:
        return cls(target.app, target.address, target.port, target.backend)


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


def flip_s(watched: Iterable[tuple[Health, HealthCheck]]) -> float:
    """How long (seconds) the verdict of these targets lasts at least: interval x results that must still contradict it.
    One target can take an address down; to come back, every one that is down must. At least one target."""
    left_s: dict[bool, list[float]] = {True: [], False: []}
    for health, check in watched:
        is_down = health.phase == "down"
        _, needed = _TABLE[health.phase, is_down]
        left_s[is_down].append(check.interval_s * max(1, needed(check) - health.against))
    return max(left_s[True], default=0.0) or min(left_s[False])


def judge(watched: Sequence[tuple[Health, HealthCheck]], before: Verdict | None, wall_s: float) -> Verdict:
    """The verdict that these targets of one app at one edge address add up to, with the reasons of those that decided.

    `since_wall_s` is carried over from `before` while the state stays.
    """
    healths = [health for health, _ in watched]
    phases = {health.phase for health in healths}
    state: Phase = "down" if "down" in phases else "unknown" if "unknown" in phases else "up"
    reasons = dict.fromkeys(health.reason for health in healths if health.phase == state)
    since_wall_s = before.since_wall_s if before is not None and before.state == state else wall_s
    return Verdict(state, "; ".join(reasons), since_wall_s, flip_s(watched))


class Board:
    """The health of every watched target, and the `LiveState` that follows from it.

    Results are recorded one by one and settled together, so that the many changes of a dying site become few new
    LiveStates. `live` is replaced whole and never changed.
    """

    def __init__(self) -> None:
        self.live = LiveState()
        self._health: dict[TargetKey, Health] = {}
        self._checks: dict[TargetKey, HealthCheck] = {}
        self._groups: dict[tuple[AppName, IpAddress], list[TargetKey]] = {}
        self._unsettled: set[tuple[AppName, IpAddress]] = set()
        self._untried = 0

    @property
    def first_round_done(self) -> bool:
        """Whether every target has had a result."""
        return self._untried == 0

    def watch(self, targets: Iterable[ProbeTarget]) -> None:
        """Watch these targets and no others. Those that were watched before keep their health."""
        before, self._health, self._checks, self._groups = self._health, {}, {}, {}
        for target in targets:
            key = TargetKey.of(target)
            if key not in self._health:
                self._health[key] = before.get(key) or untried(target)
                self._checks[key] = target.check
                self._groups.setdefault((key.app, key.address), []).append(key)
        self._untried = sum(health.phase == "unknown" for health in self._health.values())
        self._unsettled = set(self._groups) | set(self.live.verdicts)

    def health(self, key: TargetKey) -> Health:
        """The health of a watched target. Raises KeyError for any other."""
        return self._health[key]

    def record(self, key: TargetKey, result: Result, check: HealthCheck) -> None:
        """Count a result of a watched target."""
        before = self._health[key]
        after = self._health[key] = step(before, result, check)
        self._untried -= before.phase == "unknown"
        if before != after:
            self._unsettled.add((key.app, key.address))

    def settle(self, wall_s: float) -> bool:
        """Bring `live` up to date. Returns whether a state changed, or how long it lasts at least: a mere new reason is
        shown, but neither steers anybody nor bounds a TTL."""
        old, new = self.live.verdicts, dict(self.live.verdicts) if self._unsettled else {}
        moved = False
        for place in self._unsettled:
            before = new.pop(place, None)
            if place in self._groups:
                watched = [(self._health[key], self._checks[key]) for key in self._groups[place]]
                new[place] = judge(watched, before, wall_s)
            after = new.get(place)
            moved |= (before and (before.state, before.flip_s)) != (after and (after.state, after.flip_s))
        if self._unsettled and new != old:
            self.live = LiveState(self.live.counter + 1, new)
        self._unsettled = set()
        return moved
