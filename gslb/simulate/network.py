"""The network of a game: who reaches whom at which moment, and when a message arrives, if it does. Pure."""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from itertools import count
from typing import Any

from gslb.simulate.dice import Dice
from gslb.simulate.scenario import Fault, Scenario

__all__ = ["Network"]

_CUTS = ("place-cut", "link-cut")


class Network:
    """Messages are lost, late and doubled as the scenario says; whoever is cut off sends and hears nothing."""

    def __init__(self, scenario: Scenario, dice: Dice) -> None:
        self._scenario, self._dice = scenario, dice
        self._under_way: list[tuple[float, int, str, Any]] = []
        self._order = count()
        self._cut: list[Fault] = []
        self._cuts_s = -1.0

    def reaches(self, one: str, other: str, now_s: float) -> bool:
        """Between places and sites. What stands in the same place is never cut off from itself."""
        cuts = self._cuts(now_s)
        if not cuts or one == other or self._scenario.places.get(one) == other:
            return True
        for fault in cuts:
            if fault.kind == "place-cut" and fault.who in (one, other):
                return False
            if fault.kind == "link-cut" and {fault.who, fault.whom} == {one, other}:
                return False
        return True

    def _cuts(self, now_s: float) -> list[Fault]:
        """What cuts somebody off now; looked up once for each moment, because everybody asks."""
        if now_s != self._cuts_s:
            self._cuts_s = now_s
            self._cut = [it for it in self._scenario.faults if it.kind in _CUTS and it.holds(now_s)]
        return self._cut

    def send(self, sender: str, receiver: str, message: Any, now_s: float) -> None:
        """It arrives never, once or twice."""
        if not self.reaches(sender, receiver, now_s) or self._dice.chance(self._scenario.message_loss):
            return
        for _ in range(1 + self._dice.chance(self._scenario.double)):
            at_s = now_s + self._dice.between(0.01, max(0.02, self._scenario.delay_s))
            heapq.heappush(self._under_way, (at_s, next(self._order), receiver, message))

    def arrived(self, now_s: float) -> Iterable[tuple[str, Any]]:
        """Receivers and messages that have arrived by now, in the order of their arrival."""
        while self._under_way and self._under_way[0][0] <= now_s:
            _, _, receiver, message = heapq.heappop(self._under_way)
            yield receiver, message
