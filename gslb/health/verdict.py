"""The verdict of an app at an edge address: what the healths of its targets add up to.

No clock, no network: `probes` brings results and times, `target` says what they prove of one target. Steering reads the
`LiveState` that comes out.

Theory. The verdict is the worst of its targets: down as soon as one is down, unknown as long as one is unknown, up when
all are up.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gslb.health.calculated import add_up
from gslb.health.target import Health, Phase, Result, lasts_s, step, untried
from gslb.snapshot.checks import CalculatedAsk, CheckName, PushedAsk, Rounds
from gslb.snapshot.targets import CheckKey, CheckTarget, Key, Place, Target
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
        self._health: dict[Key, Health] = {}
        self._targets: dict[Key, Target] = {}
        self._groups: dict[Place, list[Key]] = {}
        self._calculated: list[CheckTarget] = []
        self._uncalculated = False
        self._moved: set[CheckName] = set()
        self._unsettled: set[Place] = set()
        self._untried: set[Key] = set()

    @property
    def first_round_done(self) -> bool:
        """Whether every target was looked at, whatever came of it."""
        return not self._untried

    def watch(self, targets: Iterable[Target]) -> None:
        """Watch these targets and no others. Those that were watched before keep their health. A calculated check comes
        after what it is calculated from."""
        before, known = self._health, self._health.keys() - self._untried
        self._health, self._targets, self._groups, self._calculated = {}, {}, {}, []
        for target in targets:
            if target.key not in self._health:
                self._health[target.key] = before.get(target.key) or untried(target.subject)
                self._targets[target.key] = target
                for place in target.places:
                    self._groups.setdefault(place, []).append(target.key)
                if isinstance(target, CheckTarget) and isinstance(target.check.ask, CalculatedAsk):
                    self._calculated.append(target)
        self._untried = self._health.keys() - known - {target.key for target in self._calculated}
        self._unsettled = set(self._groups) | set(self.live.verdicts)
        self._uncalculated = True

    def health(self, key: Key) -> Health:
        """The health of a watched target. Raises KeyError for any other."""
        return self._health[key]

    def record(self, key: Key, result: Result) -> None:
        """Count a result of a watched target."""
        self._put(key, step(self._health[key], result, self._targets[key].check))

    def forget(self, key: Key, reason: str) -> None:
        """A watched target was looked at, and nobody knows how it is (any more)."""
        self._put(key, Health("unknown", reason))

    def could_not(self, key: Key) -> None:
        """Nobody here can look at a watched target: it is not waited for."""
        self._untried.discard(key)

    def take_moved(self) -> set[CheckName]:
        """The named checks whose state is another since this was last asked."""
        moved, self._moved = self._moved, set()
        return moved

    def _put(self, key: Key, after: Health) -> None:
        self._untried.discard(key)
        if self._health[key] != after:
            if isinstance(key, CheckKey) and self._health[key].phase != after.phase:
                self._moved.add(key.check)
            self._health[key] = after
            self._unsettled.update(self._targets[key].places)
            self._uncalculated |= isinstance(key, CheckKey)

    def _calculate(self) -> None:
        """Those that are calculated from others, in an order in which each finds its members done."""
        for target in self._calculated if self._uncalculated else ():
            assert isinstance(target.check.ask, CalculatedAsk)
            members = {name: self._health[CheckKey(name)] for name in target.check.ask.of}
            self._put(target.key, add_up(target.check, members))
        self._uncalculated = False

    def _watched(self, place: Place) -> list[tuple[Health, Rounds]]:
        """What decides a place. A state that nobody pushed is no evidence at all: it makes nothing unknown that others
        know."""
        keys = self._groups[place]
        spoken = [key for key in keys if self._health[key].phase != "unknown" or not _is_pushed(self._targets[key])]
        return [(self._health[key], self._targets[key].check) for key in spoken or keys]

    def settle(self, wall_s: float) -> bool:
        """Bring `live` up to date. Returns whether a state changed, or how long it lasts at least: a mere new reason is
        shown, but neither steers anybody nor bounds a TTL."""
        self._calculate()
        old, new = self.live.verdicts, dict(self.live.verdicts) if self._unsettled else {}
        moved = False
        for place in self._unsettled:
            before = new.pop(place, None)
            if place in self._groups:
                watched = self._watched(place)
                new[place] = judge(watched, before, wall_s)
            after = new.get(place)
            moved |= (before and (before.state, before.flip_s)) != (after and (after.state, after.flip_s))
        if self._unsettled and new != old:
            self.live = LiveState(self.live.counter + 1, new)
        self._unsettled = set()
        return moved


def _is_pushed(target: Target) -> bool:
    return isinstance(target, CheckTarget) and isinstance(target.check.ask, PushedAsk)
