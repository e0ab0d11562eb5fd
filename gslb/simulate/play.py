"""One game: a scenario, tick by tick, and the invariants that are looked at after each. Pure.

Never is an answer empty. Never does a site leave, or come back, against what more than half of the places honestly see,
nor on the word of fewer, nor on one that is too old. Nobody believes an older word after a newer one.
Nobody changes an answer more often than there were faults to answer to. A dead site is out within seconds where nothing
else is wrong; and when all is well again, all is as it was.
"""

from __future__ import annotations

import dataclasses
from collections import Counter
from dataclasses import dataclass
from ipaddress import IPv4Address, ip_address
from typing import Literal

from gslb.health.quorum import STALE_S, Key, needed
from gslb.health.standing import hold_s
from gslb.model.policy import Policy
from gslb.simulate.dice import Dice
from gslb.simulate.network import Network
from gslb.simulate.place import CHECK, LIE_TURNS_S, Message, Place
from gslb.simulate.scenario import FAULTS_S, QUIET_S, Fault, Scenario, make_scenario
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import AppName, SiteName, Snapshot
from gslb.steering import decide

__all__ = ["Report", "play"]

TICK_S = 0.5
APP = AppName("shop")
_NOBODY: frozenset[str] = frozenset()
OUT_WITHIN_S = 7.0
"""Three failures at an interval of 1.1 s at most, with what is told and read twice a second, and some slack."""


@dataclass(frozen=True, slots=True)
class Report:
    """`violations`: what went against the invariants, in words; none in a good game. `changes`: of all answers."""

    seed: int
    violations: tuple[str, ...]
    changes: int


def play(seed: int) -> Report:
    """The game of `seed`, to its end."""
    game = _Game(make_scenario(seed))
    ticks = int((FAULTS_S + QUIET_S) / TICK_S)
    for tick in range(1, ticks + 1):
        game.tick(tick * TICK_S)
    game.end()
    return Report(seed, tuple(dict.fromkeys(game.violations)), sum(game.changes.values()))


class _Game:
    def __init__(self, scenario: Scenario) -> None:
        self.scenario, self.dice = scenario, Dice(scenario.seed ^ 0x5EED)
        self.network = Network(scenario, self.dice)
        self.snapshot = _snapshot(scenario)
        self.keys: dict[Key, SiteName] = {
            (APP, address): site.name
            for site in self.snapshot.sites.values()
            for e in site.edges
            for address in e.public
        }
        names = tuple(scenario.places)
        self.places = {
            name: Place(name, self.snapshot, self.keys, tuple(other for other in names if other != name))
            for name in names
        }
        self.is_plain = scenario.is_plain
        self.alone = {site: frozenset({site}) for site in scenario.sites}
        self.holding: list[Fault] = []
        self.violations: list[str] = []
        self.changes: Counter[tuple[str, Key]] = Counter()

    def tick(self, now_s: float) -> None:
        self.holding = [it for it in self.scenario.faults if it.holds(now_s)]
        for place in self.places.values():
            if now_s >= place.due_s:
                place.probe(
                    {key: self._answers(place.name, site, now_s) for key, site in self.keys.items()}, now_s, self.dice
                )
        for place in self.places.values():
            if not self._fault("observer-dies", place.name):
                message = place.message(now_s, self._lie(place.name), self._serves(place.name, now_s))
                for other in place.others:
                    self.network.send(place.name, other, message, now_s)
        for receiver, message in self.network.arrived(now_s):
            self._take(self.places[receiver], message, now_s)
        for place in self.places.values():
            dead = self._fault("observer-dies", place.name)
            own = None if dead else place.told(now_s, self._lie(place.name))
            if place.look(own, self._serves(place.name, now_s), now_s):
                self._judge_answer(place, now_s)
            self._judge(place, now_s)

    def _take(self, place: Place, message: Message, now_s: float) -> None:
        """Nobody believes an older word after a newer one, unless its sender had been silent for long."""
        before, heard = place.newest.get(message.sender), place.heard.get(message.sender)
        place.take(message, now_s)
        after = place.newest[message.sender]
        if before and heard and heard.is_fresh(now_s) and after.number < before.number:
            self._against(place, now_s, f"an older word of {message.sender} is believed")

    # What is true -------------------------------------------------------------------------------------------------

    def _fault(self, kind: str, who: str) -> bool:
        return any(it.kind == kind and it.who == who for it in self.holding)

    def _lie(self, place: str) -> Literal["up", "down", "turns", ""]:
        return next((it.lie for it in self.holding if it.kind == "observer-lies" and it.who == place), "")

    def _lives(self, site: str, now_s: float) -> bool:
        for fault in self.holding:
            if fault.who == site:
                if fault.kind == "site-dead":
                    return False
                if fault.kind == "site-flaps" and int((now_s - fault.start_s) / fault.period_s) % 2 == 0:
                    return False
        return True

    def _answers(self, place: str, site: str, now_s: float) -> bool:
        lost = self.dice.chance(self.scenario.probe_loss)
        return not lost and self._lives(site, now_s) and self.network.reaches(place, site, now_s)

    def _serves(self, place: str, now_s: float) -> frozenset[str]:
        site = self.scenario.places[place]
        return self.alone[site] if site and self._lives(site, now_s) else _NOBODY

    # What must hold -----------------------------------------------------------------------------------------------

    def _judge_answer(self, place: Place, now_s: float) -> None:
        app = self.snapshot.apps[APP]
        decision = decide(self.snapshot, place.standings.live, app, None, 4)
        if not decision.outcomes or not all(outcome.addresses for outcome in decision.outcomes):
            self._against(place, now_s, "the answer is empty")
        if abs(sum(outcome.weight for outcome in decision.outcomes) - 1) > 1e-6:
            self._against(place, now_s, "the shares do not add up")

    def _judge(self, place: Place, now_s: float) -> None:
        for change in place.standings.changes:
            if change.action not in ("left", "returned"):
                continue
            self.changes[place.name, change.key] += 1
            wrong = "up" if change.action == "left" else "down"
            if len(self.places) > 2 and self._majority(change.key, wrong, now_s):
                self._against(place, now_s, f"{change.site} {change.action} against a majority")
            if len(self.places) > 2 and not self._spoke(change.key, "down" if change.action == "left" else "up", now_s):
                self._against(place, now_s, f"{change.site} {change.action} without a majority")
        if self.is_plain:
            self._judge_failover(place, now_s)

    def _majority(self, key: Key, state: str, now_s: float) -> bool:
        """Do more than half of all places honestly see nothing else, for as long as what they said may be believed?"""
        since_s = now_s - STALE_S - self.scenario.delay_s - TICK_S
        agreed = [
            place
            for place in self.places.values()
            if place.saw(key, since_s, now_s) == {state} and not self._lied(place.name, since_s, now_s)
        ]
        return len(agreed) >= needed(len(self.places))

    def _spoke(self, key: Key, state: str, now_s: float) -> bool:
        """May more than half of all places have said so, as lately as words are believed?"""
        since_s = now_s - STALE_S - self.scenario.delay_s - TICK_S
        said = [
            place
            for place in self.places.values()
            if not self._silent(place.name, since_s, now_s)
            and (state in place.saw(key, since_s, now_s) or self._lied(place.name, since_s, now_s))
        ]
        return len(said) >= needed(len(self.places))

    def _silent(self, place: str, from_s: float, until_s: float) -> bool:
        return any(
            it.kind == "observer-dies" and it.who == place and it.start_s <= from_s and it.end_s > until_s
            for it in self.scenario.faults
        )

    def _lied(self, place: str, from_s: float, until_s: float) -> bool:
        return any(
            it.kind == "observer-lies" and it.who == place and it.start_s <= until_s and it.end_s > from_s
            for it in self.scenario.faults
        )

    def _judge_failover(self, place: Place, now_s: float) -> None:
        """Where only sites die: a dead one is out soon, unless something may hold it."""
        if self.snapshot.apps[APP].failover == "manual":
            return
        dead = [site for site in self.scenario.sites if self._dead_for(site, now_s) > OUT_WITHIN_S]
        if len(dead) != 1 or any(self._dead_for(site, now_s) > 0 for site in self.scenario.sites if site != dead[0]):
            return
        verdicts = place.standings.verdicts
        since_s = min(it.start_s for it in self.scenario.faults)
        if since_s + 1 > now_s - OUT_WITHIN_S or self._recent_deaths(now_s) > 1:
            return
        for key, site in self.keys.items():
            if site == dead[0] and verdicts[key].state != "down":
                self._against(place, now_s, f"{site} is dead and still {verdicts[key].state}: {verdicts[key].reason}")

    def _dead_for(self, site: str, now_s: float) -> float:
        starts = [it.start_s for it in self.scenario.faults if it.who == site and it.holds(now_s)]
        return now_s - max(starts) if starts else 0.0

    def _recent_deaths(self, now_s: float) -> int:
        """Sites that fell within the time of the guard rail, which may hold the second."""
        within_s = self.snapshot.guard.within_s + 10
        return len({it.who for it in self.scenario.faults if it.start_s <= now_s and now_s - it.start_s < within_s})

    def end(self) -> None:
        now_s = FAULTS_S + QUIET_S
        faults, most = len(self.scenario.faults), self._most_changes()
        outvotes = len(self.places) > 2 or self.scenario.probe_loss == 0
        for (name, key), number in self.changes.items():
            if number > most and outvotes:
                self._against(self.places[name], now_s, f"{number} changes of {self.keys[key]} for {faults} faults")
        for place in self.places.values():
            for key, site in self.keys.items():
                verdict = place.standings.verdicts[key]
                if verdict.state == "up" or self._may_still_wait(place, key):
                    continue
                self._against(place, now_s, f"{site} is still {verdict.state} when all is well: {verdict.reason}")

    def _most_changes(self) -> int:
        """Two for each fault; two more for what flaps slower than the hold-down, or in down-times so short that the
        checks miss some of them, which is damped from the second time on, or faster than the checks look, which by luck
        looks well for a whole hold-down; and two where probes get lost, because at a start the first result decides."""
        after_s = self.snapshot.apps[APP].failback.after_s
        missed_s = (CHECK.fall - 1) * CHECK.interval_s, 1.5 * CHECK.fall * CHECK.interval_s
        flaps_s = [
            it.period_s if it.kind == "site-flaps" else LIE_TURNS_S
            for it in self.scenario.faults
            if it.kind == "site-flaps" or (it.kind == "observer-lies" and it.lie == "turns")
        ]
        slow = sum(
            each_s + CHECK.fall >= after_s or missed_s[0] <= each_s <= missed_s[1] or each_s < CHECK.interval_s
            for each_s in flaps_s
        )
        return 2 * (len(self.scenario.faults) + slow + (self.scenario.probe_loss > 0))

    def _may_still_wait(self, place: Place, key: Key) -> bool:
        """A person is to be asked, it flapped and waits long, or probes get lost."""
        failback = self.snapshot.apps[APP].failback
        long_hold = hold_s(place.standings.standing(key), failback) > QUIET_S - 3 * CHECK.fall
        return failback.manual or long_hold or self.scenario.probe_loss > 0 or self.scenario.message_loss > 0

    def _against(self, place: Place, now_s: float, what: str) -> None:
        self.violations.append(f"at {now_s:g} s, {place.name}: {what}")


def _snapshot(scenario: Scenario) -> Snapshot:
    sites = {
        name: {"edges": [{"public": [str(ip_address(f"192.0.2.{number * 10 + edge}"))]} for edge in (1, 2)]}
        for number, name in enumerate(scenario.sites, 1)
    }
    backends = {"web": {name: ["10.0.0.1:80"] for name in scenario.sites}}
    app = {"hosts": ["shop"], "backends": backends, "routes": [{"name": "all", "split": {"web": 100}}], **scenario.app}
    zone = {"name": "gslb.example.com", "nameservers": {"ns1": ["198.51.100.53"]}, "ttl": {"min": "5s", "max": "60s"}}
    policy = Policy.model_validate({"zone": zone, "sites": sites, "apps": {APP: app}})
    return _hashed_once(compile_snapshot(Intent(revision=1, policy=policy), 0.0))


class _Address(IPv4Address):
    """An address that knows its hash, because games look addresses up some twenty thousand times."""

    __slots__ = ("_hash",)

    def __init__(self, address: object) -> None:
        super().__init__(address)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


def _hashed_once(snapshot: Snapshot) -> Snapshot:
    """The same with addresses that are looked up quickly."""
    sites = {
        name: dataclasses.replace(
            site, edges=tuple(dataclasses.replace(e, public=tuple(map(_Address, e.public))) for e in site.edges)
        )
        for name, site in snapshot.sites.items()
    }
    return dataclasses.replace(snapshot, sites=sites)
