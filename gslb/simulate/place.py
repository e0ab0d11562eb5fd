"""One place of a game: an observer that looks at every site, and a nameserver that believes what is counted. Pure.

The very machines of `health` decide; here is only what feeds them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, NamedTuple

from gslb.health.quorum import Heard, Key, Sight, Tally, View
from gslb.health.standings import Standings
from gslb.health.target import Health, Result, lasts_s, step, untried
from gslb.simulate.dice import Dice
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.types import SiteName, Snapshot

__all__ = ["CHECK", "LIE_TURNS_S", "Message", "Place"]

LIE_TURNS_S = 5.0
"""How long an observer that turns says the same."""
CHECK = HealthCheck(path="/", interval_s=1.0, timeout_s=0.5, rise=2, fall=3)
_WELL, _DEAD = Result(ok=True, reason="200"), Result(ok=False, reason="timeout")


class Message(NamedTuple):
    """`sight` is what its sender sees; `serves` are the sites whose edges stand where it was sent from, and serve."""

    sender: str
    life: float
    number: int
    sight: Sight
    serves: frozenset[str]


@dataclass(slots=True)
class Place:
    """`truth` is what its observer would say if it did not lie; `counted` what the tally
    has counted, whose objects it keeps."""

    name: str
    snapshot: Snapshot
    sites: Mapping[Key, SiteName]
    others: tuple[str, ...]
    standings: Standings = field(default_factory=Standings)
    tally: Tally = field(default_factory=Tally)
    healths: dict[Key, Health] = field(default_factory=dict)
    heard: dict[str, Heard] = field(default_factory=dict)
    newest: dict[str, Message] = field(default_factory=dict)
    truth: Sight = field(default_factory=dict)
    lies: dict[str, Sight] = field(default_factory=dict)
    history: dict[Key, list[tuple[float, str]]] = field(default_factory=dict)
    counted: list[object] = field(default_factory=list)
    due_s: float = 0.0
    number: int = 0

    def __post_init__(self) -> None:
        self.standings.follow(self.snapshot)
        self.healths = {key: untried("edge") for key in self.sites}

    def probe(self, results: Mapping[Key, bool], now_s: float, dice: Dice) -> None:
        """One round of probes, each interval with its jitter."""
        self.due_s = now_s + CHECK.interval_s * dice.between(0.9, 1.1)
        changed: dict[Key, View] = {}
        for key, ok in results.items():
            before = self.healths[key]
            after = step(before, _WELL if ok else _DEAD, CHECK)
            if after != before:
                self.healths[key] = after
                changed[key] = View(after.phase, after.reason, lasts_s(after, CHECK))
        if not changed:
            return
        self.truth = {**self.truth, **changed}
        for key, view in changed.items():
            past = self.history.setdefault(key, [(0.0, "unknown")])
            if past[-1][1] != view.state:
                past.append((now_s, view.state))

    def saw(self, key: Key, from_s: float, until_s: float) -> set[str]:
        """Every state that the truth had in this time."""
        past = self.history.get(key, [(0.0, "unknown")])
        ends = [*(start_s for start_s, _ in past[1:]), float("inf")]
        return {
            state for (start_s, state), end_s in zip(past, ends, strict=True) if start_s <= until_s and end_s > from_s
        }

    def told(self, now_s: float, lie: Literal["up", "down", "turns", ""]) -> Sight:
        """What its observer says."""
        if not lie:
            return self.truth
        word: Literal["up", "down"] = ("up", "down")[int(now_s / LIE_TURNS_S) % 2] if lie == "turns" else lie
        return self.lies.setdefault(word, {key: View(word, "a lie", 3.0) for key in self.sites})

    def message(self, now_s: float, lie: Literal["up", "down", "turns", ""], serves: frozenset[str]) -> Message:
        self.number += 1
        return Message(self.name, 1.0, self.number, self.told(now_s, lie), serves)

    def take(self, message: Message, now_s: float) -> None:
        before = self.heard.get(message.sender, Heard())
        after = before.told(message.life, message.number, now_s)
        if after is not before:
            self.heard[message.sender], self.newest[message.sender] = after, message

    def look(self, own: Sight | None, serves: frozenset[str], now_s: float) -> bool:
        """Count what is heard, and follow it. `own` None: its observer is dead."""
        fresh: list[Message | None] = [
            self.newest[name] if self._is_heard(name, now_s) else None for name in self.others
        ]
        sources: list[object] = [id(own), serves, *((id(it.sight), it.serves) if it else None for it in fresh)]
        if sources != self.counted:
            self.counted = sources
            sights: dict[str, list[Sight]] = {self.name: [own] if own is not None else []}
            sights |= {name: [it.sight] if it else [] for name, it in zip(self.others, fresh, strict=True)}
            self.tally.count(sights, self.sites, serves.union(*(it.serves for it in fresh if it)))
        return self.standings.look(self.tally.seen, now_s, 1_000_000.0 + now_s)

    def _is_heard(self, name: str, now_s: float) -> bool:
        heard = self.heard.get(name)
        return heard is not None and heard.is_fresh(now_s)
