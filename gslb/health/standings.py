"""All standings of a node: from what is seen of every address to the verdicts and ramps that steering goes by.

Pure: times come in. What is seen is `quorum`'s to say, one address's moves are `standing`'s, how much may go at once is
`guard`'s. Never put probing, reading of other nodes or publishing here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from math import floor, inf, log2
from typing import Literal, NamedTuple

from gslb.health.guard import GuardRail, site_shares
from gslb.health.quorum import Key, Seen
from gslb.health.standing import Action, Event, Phase, Rules, Standing, hold_s, left_s, step, word
from gslb.model.words import IpAddress, iso
from gslb.snapshot.types import App, AppName, LiveState, SiteName, Snapshot, Verdict

__all__ = ["Change", "Remembered", "Standings"]

_EVENTS: Mapping[str, Event] = {"up": "alive", "down": "dead", "disputed": "doubt", "unknown": "silence"}
_QUIET: tuple[Phase, ...] = ("up", "unknown")
_OUT: tuple[Phase, ...] = ("down", "returning", "waiting")
_SEEN: Mapping[Phase, Literal["up", "down", "disputed"]] = {
    "held": "down",
    "doubted": "disputed",
    "returning": "up",
    "waiting": "up",
}
_RAMP_STEPS = 20
"""A site comes back in twentieths: each step moves clients and costs a recompilation."""
_NOTHING = Seen("unknown", "no result yet", 0.0)


class Change(NamedTuple):
    """Something that an operator should read in the log."""

    key: Key
    site: SiteName
    action: Action
    reason: str


class Remembered(NamedTuple):
    """What a restart must not forget of an address: that it is out or waits for a person, and that it flapped.
    `back_wall_s` and `fell_wall_s` are Unix seconds, -inf: never."""

    key: Key
    phase: Phase
    falls: int
    back_wall_s: float
    fell_wall_s: float
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class _Place:
    """Where an address belongs: its site with all addresses, and the share of the app that each of them carries."""

    app: App
    site: SiteName
    share: float
    addresses: tuple[IpAddress, ...]


@dataclass(frozen=True, slots=True)
class _Served:
    """An app with its places, which follow from it and the sites alone."""

    app: App
    places: Mapping[Key, _Place]


@dataclass(frozen=True, slots=True)
class _Kept:
    standing: Standing
    seen: Seen
    verdict: Verdict
    fell_wall_s: float = -inf
    dead_reason: str = ""


@dataclass(frozen=True, slots=True)
class _Now:
    mono_s: float
    wall_s: float
    seen: Mapping[Key, Seen]


class Standings:
    """`verdicts` and `ramps` are what a LiveState holds, `changes` what the last look brought; replaced whole."""

    def __init__(self) -> None:
        self.verdicts: Mapping[Key, Verdict] = {}
        self.ramps: Mapping[tuple[AppName, SiteName], float] = {}
        self.changes: tuple[Change, ...] = ()
        self._counter = 0
        self._kept: dict[Key, _Kept] = {}
        self._places: dict[Key, _Place] = {}
        self._of_app: Mapping[AppName, _Served] = {}
        self._rail = GuardRail()
        self._snapshot: Snapshot | None = None
        self._back: dict[tuple[AppName, SiteName], float] = {}
        self._slow: set[tuple[AppName, SiteName]] = set()
        self._restless: set[Key] = set()
        self._seen: Mapping[Key, Seen] | None = None

    def follow(self, snapshot: Snapshot) -> None:
        """The addresses of this snapshot from now on. Those that stay keep their standing."""
        old = self._of_app if self._snapshot is not None and self._snapshot.sites is snapshot.sites else {}
        self._snapshot, self._places = snapshot, {}
        self._of_app = {
            name: known if (known := old.get(name)) and known.app is app else _Served(app, dict(_places(snapshot, app)))
            for name, app in snapshot.apps.items()
        }
        for served in self._of_app.values():
            self._places.update(served.places)
        self._slow = {(app.name, item.site) for app in snapshot.apps.values() for item in app.slow_starts}
        self._kept = {key: kept for key, kept in self._kept.items() if key in self._places}
        self._restless = {
            key
            for key, kept in self._kept.items()
            if kept.standing.phase not in _QUIET or self._places[key].app.approvals
        }
        self._seen = None

    def restore(self, remembered: Iterable[Remembered], mono_s: float, wall_s: float) -> None:
        """After a restart, before the first look: what was out stays out until it has been well for its time."""
        for item in remembered:
            if item.key in self._places:
                back_s = mono_s - max(0.0, wall_s - item.back_wall_s)
                standing = Standing(item.phase, mono_s, back_s, item.falls)
                self._restless.add(item.key)
                self._kept[item.key] = _Kept(
                    standing, _NOTHING, item.verdict, item.fell_wall_s, item.verdict.reason
                )  # fmt: skip

    def memory(self, mono_s: float, wall_s: float) -> tuple[Remembered, ...]:
        """What `restore` takes."""
        return tuple(
            Remembered(
                key,
                "down" if kept.standing.phase == "returning" else kept.standing.phase,
                kept.standing.falls,
                wall_s - (mono_s - kept.standing.back_s),
                kept.fell_wall_s,
                kept.verdict,
            )
            for key, kept in sorted(self._kept.items(), key=lambda item: str(item[0]))
            if kept.standing.phase not in (*_QUIET, "doubted") or kept.standing.falls
        )

    def look(self, seen: Mapping[Key, Seen], mono_s: float, wall_s: float) -> bool:
        """What follows from what is seen now. Returns whether steering has to look again: mere reasons steer nobody.

        `seen` gives the very same object for what has not changed since the last look, and is the very same where
        nothing has: then only those are looked at whose time runs, or for whom a person may have spoken.
        """
        now, changes, moved = _Now(mono_s, wall_s, seen), list[Change](), False
        is_new, self._seen = seen is not self._seen, seen
        verdicts: dict[Key, Verdict] = {} if is_new or not self._restless else dict(self.verdicts)
        told_anew = False
        for key in self._places if is_new else tuple(self._restless):
            place, what, before = self._places[key], seen.get(key, _NOTHING), self._kept.get(key)
            if before is not None and before.seen is what and key not in self._restless:
                verdicts[key] = before.verdict
                continue
            kept, actions = self._looked(key, place, before or _new(now), now)
            self._kept[key] = kept
            verdicts[key] = kept.verdict
            (self._restless.discard if kept.standing.phase in _QUIET else self._restless.add)(key)
            changes += [Change(key, place.site, action, kept.verdict.reason) for action in actions]
            told_anew |= before is None or before.verdict != kept.verdict
            moved |= before is None or _steers(before.verdict) != _steers(kept.verdict)
        ramps = self._ramps(changes, mono_s, wall_s)
        moved |= ramps != self.ramps or (is_new and len(verdicts) != len(self.verdicts))
        if told_anew or (is_new and moved):
            self.verdicts = verdicts
        self._counter += moved or told_anew
        self.ramps, self.changes = ramps, tuple(changes)
        return moved

    def standing(self, key: Key) -> Standing:
        """Of an address that was looked at. Raises KeyError for any other."""
        return self._kept[key].standing

    @property
    def live(self) -> LiveState:
        """What steering takes of it."""
        return LiveState(counter=self._counter, verdicts=self.verdicts, ramps=self.ramps)

    # One address --------------------------------------------------------------------------------------------------

    def _looked(self, key: Key, place: _Place, before: _Kept, now: _Now) -> tuple[_Kept, Sequence[Action]]:
        seen = now.seen.get(key, _NOTHING)
        rules = self._rules(key, place, before, now)
        standing, fell_wall_s = before.standing, before.fell_wall_s
        actions: list[Action] = []
        let_go_wall_s = _let_go_wall_s(place, standing, now)
        if let_go_wall_s is not None:
            standing, did = step(standing, "approved", rules, now.mono_s)
            actions, fell_wall_s = [*did], let_go_wall_s
        for event in (_EVENTS[seen.state], *_others(place, before, rules, seen)):
            after, did = step(standing, event, rules, now.mono_s)
            if after.phase in ("down", "held") and standing.phase not in ("held", *_OUT):
                fell_wall_s = now.wall_s
            if "left" in did and standing.phase != "unknown":
                self._rail.has_gone(key[0], place.site, key[1], place.share, now.mono_s)
            standing = after
            actions += did
        dead = seen.reason if seen.state == "down" else before.dead_reason
        kept = _Kept(standing, seen, before.verdict, fell_wall_s, dead)
        return _Kept(standing, seen, _verdict(place, kept, rules, now), fell_wall_s, dead), actions

    def _rules(self, key: Key, place: _Place, before: _Kept, now: _Now) -> Rules:
        """Whether it may fall is asked only where it is about to. The first look after a start takes nothing out: it
        finds what is dead, and what it finds must not be answered for a minute first. Nor is anything guarded where
        nothing lives: then all sites are answered anyway."""
        app, phase = place.app, before.standing.phase
        if phase in _OUT or now.seen.get(key, _NOTHING).state != "down":
            return Rules(app.failback)
        if app.failover == "manual":
            approved = _approved(app, place.site, "failover", before.fell_wall_s)
            return Rules(app.failback, ask=not approved)
        if phase == "unknown":
            return Rules(app.failback)
        assert self._snapshot is not None
        if not self._lives(key[0], now):
            return Rules(app.failback)
        dead = sum(now.seen.get((key[0], address), _NOTHING).state == "down" for address in place.addresses)
        may = self._rail.may_go(key[0], place.site, dead * place.share, self._snapshot.guard, now.mono_s)
        return Rules(app.failback, may_fall=may)

    # Coming back slowly -------------------------------------------------------------------------------------------

    def _ramps(
        self, changes: Sequence[Change], mono_s: float, wall_s: float
    ) -> Mapping[tuple[AppName, SiteName], float]:
        """A site comes back slowly when the first of its addresses does; what returns to a living site does not."""
        assert self._snapshot is not None
        returned = {change.key for change in changes if change.action == "returned"}
        for change in changes:
            where = (change.key[0], change.site)
            if change.action == "left" and not self._serving(change.key, set()):
                self._back.pop(where, None)
            if change.action == "returned" and not self._serving(change.key, returned):
                self._back.setdefault(where, mono_s)
        if not self._back and not self._slow:
            return {}
        apps = self._snapshot.apps
        self._back = {where: back_s for where, back_s in self._back.items() if where[0] in apps}
        ratios = {where: self._ratio(apps[where[0]], where[1], mono_s, wall_s) for where in {*self._back, *self._slow}}
        self._back = {where: back_s for where, back_s in self._back.items() if ratios[where] < 1}
        return {where: ratio for where, ratio in sorted(ratios.items()) if ratio < 1}

    def _ratio(self, app: App, site: SiteName, mono_s: float, wall_s: float) -> float:
        over_s, back_s = app.failback.over_s, self._back.get((app.name, site))
        shares = [_stepped((mono_s - back_s) / over_s)] if back_s is not None and over_s else []
        shares += [_stepped((wall_s - it.begins_wall_s) / it.over_s) for it in app.slow_starts if it.site == site]
        return min(shares, default=1.0)

    def _lives(self, app: AppName, now: _Now) -> bool:
        """Is anything of the app seen to live?"""
        return any(now.seen.get(key, _NOTHING).state != "down" for key in self._of_app[app].places)

    def _serving(self, key: Key, without: set[Key]) -> bool:
        """Is the app answered at any address of the same site, but for those of `without`?"""
        others = {(key[0], address) for address in self._places[key].addresses} - without
        return any(word(self._kept[other].standing.phase) != "down" for other in others if other in self._kept)


def _places(snapshot: Snapshot, app: App) -> Iterable[tuple[Key, _Place]]:
    shares = site_shares(snapshot, app)
    for site in snapshot.sites.values():
        addresses = tuple(address for edge in site.edges for address in edge.public)
        share = shares.get(site.name, 0.0) / len(addresses)
        for address in addresses:
            yield (app.name, address), _Place(app, site.name, share, addresses)


def _new(now: _Now) -> _Kept:
    return _Kept(Standing(since_s=now.mono_s), _NOTHING, Verdict("unknown", _NOTHING.reason, now.wall_s))


def _others(place: _Place, before: _Kept, rules: Rules, seen: Seen) -> Iterable[Event]:
    """What has happened beside what is seen: time, and what people approved."""
    phase = before.standing.phase
    if phase == "held" and seen.state == "down" and not rules.ask and rules.may_fall:
        yield "freed"
    if phase in _OUT:
        if _approved(place.app, place.site, "resume", before.fell_wall_s):
            yield "resumed"
        yield "elapsed"


def _let_go_wall_s(place: _Place, standing: Standing, now: _Now) -> float | None:
    """When a person let the site go that only a person lets back, and it is not out here: this node was down or cut off
    then, or saw it well again a moment before. All nameservers must follow the same word. None where nobody did."""
    if standing.phase in _OUT or not place.app.failback.manual:
        return None
    back_wall_s = now.wall_s - (now.mono_s - standing.back_s)
    said = [item.at_wall_s for item in place.app.approvals if (item.site, item.what) == (place.site, "failover")]
    return next((at_wall_s for at_wall_s in said if at_wall_s > back_wall_s), None)


def _approved(app: App, site: SiteName, what: str, fell_wall_s: float) -> bool:
    """Was it approved after it fell? What was said of an earlier death says nothing about this one."""
    return any(
        item.site == site and item.what == what and item.at_wall_s >= fell_wall_s > -inf for item in app.approvals
    )


def _verdict(place: _Place, kept: _Kept, rules: Rules, now: _Now) -> Verdict:
    phase = kept.standing.phase
    state = word(phase)
    since_wall_s = kept.verdict.since_wall_s if kept.verdict.state == state else now.wall_s
    reason, flip_s = _told(place, kept, rules, now)
    waits = phase == "waiting" or (phase == "held" and rules.ask)
    return Verdict(state, reason, since_wall_s, flip_s, _SEEN.get(phase, ""), waits)


def _told(place: _Place, kept: _Kept, rules: Rules, now: _Now) -> tuple[str, float]:
    """The reason in words, and how long the verdict lasts at least: what a person may end ends at any moment."""
    seen, phase, where = kept.seen, kept.standing.phase, f"{place.app.name} {place.site}"
    told = seen.reason, seen.flip_s
    if phase == "held":
        why = "the guard rail lets no more go at once"
        if rules.ask:
            why = f"only a person lets it go: gslb failover approve {where}"
        told = f"{kept.dead_reason}; stays, because {why}", 0.0
    elif phase == "returning":
        told = _returning(kept.standing, rules, now)
    elif phase == "waiting":
        told = f"well again; comes back when a person says so: gslb resume {where}", 0.0
    elif phase == "down":
        before = f"; before: {kept.dead_reason}" if seen.state != "down" and kept.dead_reason else ""
        told = seen.reason + before, seen.flip_s + left_s(kept.standing, rules.failback, now.mono_s)
    return told


def _returning(standing: Standing, rules: Rules, now: _Now) -> tuple[str, float]:
    well_wall_s = now.wall_s - (now.mono_s - standing.since_s)
    then = "asks a person" if rules.failback.manual else "comes back"
    at = iso(round(well_wall_s + hold_s(standing, rules.failback)))
    left = left_s(standing, rules.failback, now.mono_s)
    return f"well again since {iso(round(well_wall_s))}; {then} at {at}", _coarse(left)


def _coarse(seconds: float) -> float:
    """Rounded down to a power of two: a countdown must not compile tables anew at every look."""
    return 2.0 ** floor(log2(seconds)) if seconds >= 1 else 0.0


def _stepped(ratio: float) -> float:
    """Up to the next step, at least one: somebody must try what has come back."""
    return min(1.0, (floor(max(0.0, ratio) * _RAMP_STEPS) + 1) / _RAMP_STEPS)


def _steers(verdict: Verdict) -> object:
    """What of a verdict steers anybody or bounds a TTL."""
    return verdict.state, verdict.seen, verdict.flip_s
