"""The state of a node, told by what has changed since somebody heard it last: of ten thousand routes a second goes by
with most of them as they were. Pure.

A node numbers what it tells, and remembers of each entry of the long lists when it last changed; whoever names the
number that he has gets the younger entries alone. Where entries come, go or change places, everybody gets all of them.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

from gslb.control.protocol import EdgeState, RoleState, StateMark

__all__ = ["Teller", "joined", "later", "mark_text"]

_KEYS: Mapping[str, Callable[[Any], Hashable]] = {
    "verdicts": lambda item: (item.app, item.address),
    "checks": lambda item: item.name,
    "routes": lambda item: (item.app, item.route),
}
"""The long lists, and what makes an entry the same one later. `routes` stand in the state's `edge`."""
AGES = ("snapshot_age_s", "control_silence_s")
"""What is another one each second, whatever happens."""
_Lists = dict[str, Sequence[Any]]


def mark_text(mark: StateMark | None) -> str:
    """What a node is asked with; empty: for everything."""
    return f"{mark.life}-{mark.number}" if mark is not None else ""


class Teller:
    """Of one node, whose process `life` tells from every other one."""

    def __init__(self, life: str) -> None:
        self._life, self._number, self._whole = life, 0, 0
        self._seen: dict[str, Sequence[Any]] = {}
        self._told: dict[str, dict[Hashable, tuple[Any, int]]] = {name: {} for name in _KEYS}
        self._short: tuple[RoleState | None, int] = None, 0

    def tell(self, state: RoleState, since: str = "") -> RoleState:
        """`state` with its mark, and with what is younger than `since`, where that is a number of this process."""
        self._number += 1
        lists = _lists(state)
        for name, items in lists.items():
            if self._seen.get(name) is not items:
                self._seen[name], self._told[name] = items, self._numbered(name, items)
        short = _with(state.model_copy(update=dict.fromkeys(AGES)), dict.fromkeys(lists, ()), None)
        if short != self._short[0]:
            self._short = short, self._number
        life, _, number = since.rpartition("-")
        known = int(number) if life == self._life and number.isdecimal() else -1
        if not self._whole <= known < self._number:
            return state.model_copy(update={"mark": StateMark(life=self._life, number=self._number)})
        mark = StateMark(life=self._life, number=self._number, since=known)
        young = {name: tuple(item for item, at in self._told[name].values() if at > known) for name in lists}
        return _with(state, young, mark)

    def is_news(self, told: RoleState) -> bool:
        """Whether the last telling, `told`, says more than that time has passed."""
        since = told.mark.since if told.mark is not None else None
        return since is None or self._short[1] > since or any(map(len, _lists(told).values()))

    def _numbered(self, name: str, items: Sequence[Any]) -> dict[Hashable, tuple[Any, int]]:
        """Each entry with the number at which it last changed."""
        key, before, number = _KEYS[name], self._told[name], self._number
        found: dict[Hashable, tuple[Any, int]] = {}
        for item in items:
            old = before.get(identity := key(item))
            found[identity] = old if old is not None and (old[0] is item or old[0] == item) else (item, number)
        if list(found) != list(before):
            self._whole = number
        return found


def joined(known: RoleState | None, told: RoleState) -> RoleState | None:
    """What a node's state is, by what was known of it and what it tells now. None: that cannot be said, ask it for
    everything."""
    mark = told.mark
    if mark is None or mark.since is None:
        return told
    if known is None or known.mark is None or known.mark.life != mark.life or known.mark.number < mark.since:
        return None
    if known.mark.number > mark.number:
        return known
    old, young = _lists(known), _lists(told)
    return _with(told, {name: _merged(name, old[name], items) for name, items in young.items()}, mark)


def later(known: RoleState, passed_s: float) -> RoleState:
    """`known`, of which control has heard `passed_s` later that nothing in it is another."""
    age_s = known.snapshot_age_s
    update = {"snapshot_age_s": None if age_s is None else age_s + passed_s, "control_silence_s": passed_s}
    return known.model_copy(update=update)


def _merged(name: str, old: Sequence[Any], young: Sequence[Any]) -> Sequence[Any]:
    if not young:
        return old
    key = _KEYS[name]
    return tuple({key(item): item for item in (*old, *young)}.values())


def _lists(state: RoleState) -> _Lists:
    return {"verdicts": state.verdicts, "checks": state.checks, "routes": state.edge.routes if state.edge else ()}


def _with(state: RoleState, lists: Mapping[str, Sequence[Any]], mark: StateMark | None) -> RoleState:
    edge: EdgeState | None = state.edge.model_copy(update={"routes": lists["routes"]}) if state.edge else None
    return state.model_copy(update={**{n: v for n, v in lists.items() if n != "routes"}, "edge": edge, "mark": mark})
