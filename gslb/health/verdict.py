"""The verdict of an app at an edge address: what the healths of its targets add up to.

No clock, no network: `probes` brings results and times, `target` says what they prove of one target. Steering reads the
`LiveState` that comes out.

Theory. The verdict is the worst of its targets: down as soon as one is down, unknown as long as one is unknown, up when
all are up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gslb.health.target import Health, Phase, Result, lasts_s, step, untried
from gslb.snapshot.checks import Rounds
from gslb.snapshot.targets import Place, ProbeTarget, TargetKey
from gslb.snapshot.types import LiveState, Verdict

__all__ = ["Board", "flip_s", "judge"]


def flip_s(watched: Iterable[tuple[Health, Rounds]]) -> float:
    """How long (seconds) the verdict of these targets lasts at least. One target can take an address down; to come
    back, every one that is down must. At least one target."""
    left_s: dict[bool, list[float]] = {True: [], False: []}
    for health, check in watched:
        left_s[health.phase == "down"].append(lasts_s(health, check))
    return max(left_s[True], default=0.0) or min(left_s[False])


def judge(watched: Sequence[tuple[Health, Rounds]], before: Verdict | None, wall_s: float) -> Verdict:
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
        self._targets: dict[TargetKey, ProbeTarget] = {}
        self._groups: dict[Place, list[TargetKey]] = {}
        self._unsettled: set[Place] = set()
        self._untried = 0

    @property
    def first_round_done(self) -> bool:
        """Whether every target has had a result."""
        return self._untried == 0

    def watch(self, targets: Iterable[ProbeTarget]) -> None:
        """Watch these targets and no others. Those that were watched before keep their health."""
        before, self._health, self._targets, self._groups = self._health, {}, {}, {}
        for target in targets:
            if target.key not in self._health:
                self._health[target.key] = before.get(target.key) or untried(target.subject)
                self._targets[target.key] = target
                for place in target.places:
                    self._groups.setdefault(place, []).append(target.key)
        self._untried = sum(health.phase == "unknown" for health in self._health.values())
        self._unsettled = set(self._groups) | set(self.live.verdicts)

    def health(self, key: TargetKey) -> Health:
        """The health of a watched target. Raises KeyError for any other."""
        return self._health[key]

    def record(self, key: TargetKey, result: Result) -> None:
        """Count a result of a watched target."""
        before, target = self._health[key], self._targets[key]
        after = self._health[key] = step(before, result, target.check)
        self._untried -= before.phase == "unknown"
        if before != after:
            self._unsettled.update(target.places)

    def settle(self, wall_s: float) -> bool:
        """Bring `live` up to date. Returns whether a state changed, or how long it lasts at least: a mere new reason is
        shown, but neither steers anybody nor bounds a TTL."""
        old, new = self.live.verdicts, dict(self.live.verdicts) if self._unsettled else {}
        moved = False
        for place in self._unsettled:
            before = new.pop(place, None)
            if place in self._groups:
                watched = [(self._health[key], self._targets[key].check) for key in self._groups[place]]
                new[place] = judge(watched, before, wall_s)
            after = new.get(place)
            moved |= (before and (before.state, before.flip_s)) != (after and (after.state, after.flip_s))
        if self._unsettled and new != old:
            self.live = LiveState(self.live.counter + 1, new)
        self._unsettled = set()
        return moved
