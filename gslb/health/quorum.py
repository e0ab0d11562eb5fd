"""What several places that look at an address agree on. Pure.

A place is what shares one fate: a site, or a machine that stands outside every site. All observers of a place together
have one vote, because a cut that takes one takes all. Places are counted as the installation has them, not as they are
heard: whoever is cut off cannot outvote the others by not hearing them.

The rule. One place alone is believed. Of two, both must see an address dead; or one sees it dead, the other is silent,
and the edge itself is silent or says that it is dead: two cannot outvote each other, so the edge's own word breaks the
tie. From three on more than half of all must agree, and silence is no vote. Where no side has that, nothing follows:
the address is disputed, and stays what it was.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from math import inf
from typing import Literal

from gslb.model.words import IpAddress
from gslb.snapshot.types import AppName, SiteName

__all__ = ["STALE_S", "Heard", "Key", "Seen", "Sight", "Tally", "View", "agree", "needed", "place_view"]

STALE_S = 3.0
"""An observation older than this is no vote any more: six readings missed in a row."""


@dataclass(frozen=True, slots=True)
class View:
    """What one observer, or all of one place, see of an app at an address; `flip_s` is how long that lasts at least."""

    state: Literal["up", "down", "unknown"]
    reason: str = ""
    flip_s: float = 0.0


@dataclass(frozen=True, slots=True)
class Heard:
    """The newest word of another observer: `life` (when it started) and `number` rise; `mono_s` is when it came."""

    life: float = -inf
    number: int = -1
    mono_s: float = -inf

    def told(self, life: float, number: int, mono_s: float) -> Heard:
        """After one more word; the very same where that is late or comes twice. Who was silent for long is believed
        whatever its number: it may have started anew, on a machine whose clock went back."""
        if (life, number) > (self.life, self.number) or not self.is_fresh(mono_s):
            return Heard(life, number, mono_s)
        return self

    def is_fresh(self, mono_s: float) -> bool:
        """Is it still a vote?"""
        return mono_s - self.mono_s < STALE_S


@dataclass(frozen=True, slots=True)
class Seen:
    """What all places agree on. `voices`: how many places there are."""

    state: Literal["up", "down", "unknown", "disputed"]
    reason: str
    flip_s: float
    voices: int = 1


def needed(places: int) -> int:
    """How many places must see the same before it counts."""
    return places // 2 + 1


def place_view(views: Sequence[View]) -> View | None:
    """The one vote of the observers of one place: what most of those say that have looked; None where they do not agree
    or none has looked."""
    if len(views) == 1:
        return views[0]
    told = [view for view in views if view.state != "unknown"]
    down = [view for view in told if view.state == "down"]
    if len(down) * 2 == len(told):
        return None
    winning = down if len(down) * 2 > len(told) else [view for view in told if view.state == "up"]
    return View(winning[0].state, winning[0].reason, min(view.flip_s for view in winning))


def agree(votes: Mapping[str, View | None], *, edge_lives: bool) -> Seen:
    """What follows from the votes of all places (None: silent), by place. `edge_lives`: the edge itself says that it
    serves, and was heard lately."""
    told = {place: view for place, view in votes.items() if view is not None and view.state != "unknown"}
    down = {place: view for place, view in told.items() if view.state == "down"}
    up = {place: view for place, view in told.items() if view.state == "up"}
    state = _state(len(votes), len(up), len(down), edge_lives=edge_lives)
    if state == "unknown":
        return Seen(state, _unknown(votes, up), 0.0, len(votes))
    if state == "disputed":
        return Seen(state, _disputed(votes, up, down, edge_lives=edge_lives), 0.0, len(votes))
    winning, losing = (up, down) if state == "up" else (down, up)
    reasons = dict.fromkeys(view.reason for view in winning.values() if view.reason)
    return Seen(state, "; ".join(reasons), _flip_s(len(votes), winning, losing), len(votes))


_State = Literal["up", "down", "unknown", "disputed"]


def _state(places: int, up: int, down: int, *, edge_lives: bool) -> _State:
    if down == 0:
        return "up" if up >= (needed(places) if places > 2 else 1) else "unknown"
    if up == 0 and places <= 2:
        return "disputed" if down < places and edge_lives else "down"
    if down >= needed(places):
        return "down"
    return "up" if places > 2 and up >= needed(places) else "disputed"


def _flip_s(places: int, winning: Mapping[str, View], losing: Mapping[str, View]) -> float:
    """How long it lasts at least: until so many more places see the opposite that the others win. Those that are silent
    or have not looked may say anything at any moment. With one or two places any of them may turn it."""
    flips = sorted(view.flip_s for view in winning.values())
    if places <= 2:
        return flips[0]
    soonest = [0.0] * (places - len(winning) - len(losing)) + flips
    return soonest[max(0, needed(places) - len(losing) - 1)]


def _unknown(votes: Mapping[str, View | None], up: Mapping[str, View]) -> str:
    if up:
        return f"well from {', '.join(up)}: {len(up)} of {len(votes)} places are not enough"
    reasons = dict.fromkeys(view.reason for view in votes.values() if view is not None)
    return "; ".join(reasons) or "no place that looks is heard"


def _disputed(
    votes: Mapping[str, View | None], up: Mapping[str, View], down: Mapping[str, View], *, edge_lives: bool
) -> str:
    """Who says what, in words."""
    said = [f"seen dead from {', '.join(down)} ({'; '.join(dict.fromkeys(view.reason for view in down.values()))})"]
    said += [f"well from {', '.join(up)}"] * bool(up)
    silent = [place for place in votes if place not in up and place not in down]
    said += [f"nothing heard from {', '.join(silent)}"] * bool(silent)
    said += ["the edge itself serves"] * (edge_lives and len(votes) == 2)
    return f"{'; '.join(said)}: {len(down)} of {len(votes)} places are not enough"


Key = tuple[AppName, IpAddress]
Sight = Mapping[Key, View]
"""What one observer sees. The very same object as long as it sees the same."""


class Tally:
    """Counts votes, and gives the very same `Seen` for what has not changed: there may be ten thousand addresses, and
    they are counted twice a second."""

    def __init__(self) -> None:
        self.seen: dict[Key, Seen] = {}
        self.votes: dict[Key, Mapping[str, View | None]] = {}
        self._sources: object = None

    def count(
        self, sights: Mapping[str, Sequence[Sight]], sites: Mapping[Key, SiteName], lives: Collection[str]
    ) -> bool:
        """`sights`: by place, of each of its observers that is heard; `sites`: what counts, and where it is; `lives`:
        the sites whose edge says that it serves. Returns whether anything changed."""
        sources = [[id(sight) for sight in some] for some in sights.values()], sorted(sights), sorted(lives), id(sites)
        if sources == self._sources:
            return False
        self._sources, self._held = sources, (sights, sites)
        before, self.seen, votes = self.seen, {}, dict[Key, Mapping[str, View | None]]()
        for key, site in sites.items():
            told = {place: place_view([sight[key] for sight in some if key in sight]) for place, some in sights.items()}
            votes[key] = told
            seen = agree(told, edge_lives=site in lives)
            self.seen[key] = before[key] if before.get(key) == seen else seen
        self.votes = votes
        return self.seen != before
