"""What this role process sees, told to the others, and what the others see, read from them at every interval: the same
work whether one address changed or all.

Whom to read stands in the roster. What follows from it all is `health.quorum`'s to say; nothing is believed here longer
than `quorum` lets it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from gslb import clock
from gslb.control.installation.vantage import HERE, machine_of, places
from gslb.control.protocol import Observations, Peer, Roster
from gslb.health.quorum import Heard, Sight, View
from gslb.model.words import IpAddress
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.endpoint.peers import Tls, client_of
from gslb.snapshot.types import AppName, LiveState

__all__ = ["READ_S", "Exchange", "Outlook", "own_machine", "sight_of"]

READ_S = 0.4
"""What one place sees counts elsewhere so much later, on top of its failed probes."""
_TIMEOUT_S = 1.0
REASON_LIMIT = 200
"""Octets of a reason that are told: whoever is asked decides what it says, and it is read twice a second."""


def own_machine(data: Path) -> str:
    """The name under which this machine stands in a roster of several; HERE where it does not, for its nodes have no
    address for others."""
    try:
        told = json.loads((data / "trust" / "machine.json").read_bytes())
        name, address = told["machine"], told.get("address")
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return HERE
    return name if isinstance(name, str) and name and address else HERE


def sight_of(live: LiveState) -> Sight:
    """What this process sees, as it votes."""
    return {
        key: View(verdict.state if verdict.state != "held" else "unknown", verdict.reason, verdict.flip_s)
        for key, verdict in live.verdicts.items()
    }


Views = dict[str, dict[str, tuple[Literal["up", "down", "unknown"], float, str]]]


class Outlook:
    """What this process tells of what it sees. `looking` and `serves` are asked at every reading."""

    def __init__(self, sight: Callable[[], LiveState], looking: Callable[[], bool], site: str | None = None) -> None:
        self._live, self._looking, self._site = sight, looking, site
        self._life, self._number = clock.wall_s(), 0
        self._told: tuple[LiveState | None, Views] = (None, {})
        self.serves = False

    def observations(self) -> Observations:
        live = self._live()
        if self._told[0] is not live:
            views: Views = {}
            for (app, address), view in sight_of(live).items():
                reason = "" if view.state == "up" else view.reason[:REASON_LIMIT]
                views.setdefault(app, {})[str(address)] = (view.state, view.flip_s, reason)
            self._told = live, views
        self._number += 1
        return Observations.model_construct(
            life=self._life,
            number=self._number,
            looking=self._looking(),
            views=self._told[1],
            site=self._site,
            serves=self.serves,
        )


@dataclass(slots=True)
class _Neighbour:
    """Another role process. `sight`, made of `newest`, stays the same object while it sees the same.
    `reading` is the question that it is asked now or was asked last."""

    peer: Peer
    client: NodeClient
    newest: Observations | None = None
    heard: Heard = field(default_factory=Heard)
    sight: Sight = field(default_factory=dict)
    reading: asyncio.Task[None] | None = None

    def was_asked(self) -> bool:
        """Has a question ended, with an answer or without?"""
        return self.reading is not None and self.reading.done()

    def is_heard(self) -> bool:
        return self.newest is not None and self.heard.is_fresh(clock.mono_s())


class Exchange:
    """Reads everybody of the roster but this process, which is `name` on `machine`. `on_news` is called when somebody
    says something else than before. Without `tls`, which is looked at when a roster comes, nobody on other machines is
    asked."""

    def __init__(self, name: str, machine: str) -> None:
        self.tls: Tls | None = None
        self._own = name if machine == HERE else f"{machine}/{name}"
        self._name, self._machine = name, machine
        self._roster = Roster()
        self._neighbours: dict[Peer, _Neighbour] = {}
        self._given_up: list[NodeClient] = []
        self._addresses: dict[str, IpAddress] = {}
        self._asked_all = asyncio.Event()
        self.on_news: Callable[[], None] = lambda: None

    def take_roster(self, roster: Roster) -> None:
        """Read these from now on."""
        before, self._neighbours, self._roster = self._neighbours, {}, roster
        for peer in roster.peers:
            if peer.name in (self._own, self._name):
                continue
            if peer in before:
                self._neighbours[peer] = before[peer]
            elif (client := client_of(peer, self._name, self.tls)) is not None:
                self._neighbours[peer] = _Neighbour(peer, client)
        for old in (old for peer, old in before.items() if peer not in self._neighbours):
            if old.reading is not None:
                old.reading.cancel()
            self._given_up.append(old.client)
        self._asked_all.clear()

    def expect(self, addresses: Mapping[str, IpAddress]) -> None:
        """The addresses that observations may be about, by their text. What the others said last still counts: without
        it they would be silent until they are read again, with every drain or shift."""
        if addresses == self._addresses:
            return
        self._addresses = dict(addresses)
        for neighbour in self._neighbours.values():
            if neighbour.newest is not None:
                neighbour.sight = self._sight(neighbour.newest)

    async def run(self) -> None:
        """Read for ever. Who does not answer holds up nobody: the others are asked meanwhile."""
        async with asyncio.TaskGroup() as tasks:
            while True:
                began_s = clock.mono_s()
                for neighbour in self._neighbours.values():
                    if neighbour.reading is None or neighbour.was_asked():
                        neighbour.reading = tasks.create_task(self._read(neighbour))
                await self._answers(READ_S)
                if self._knows_places() and all(neighbour.was_asked() for neighbour in self._neighbours.values()):
                    self._asked_all.set()
                while self._given_up:
                    await self._given_up.pop().close()
                await asyncio.sleep(max(0.05, READ_S - (clock.mono_s() - began_s)))

    async def _answers(self, patience_s: float) -> None:
        """Until everybody has answered, at most so long."""
        asked = [neighbour.reading for neighbour in self._neighbours.values() if neighbour.reading is not None]
        if asked:
            await asyncio.wait(asked, timeout=patience_s)

    async def first_round(self) -> None:
        """Until a roster came and everybody in it was asked once, at most a timeout."""
        try:
            async with asyncio.timeout(_TIMEOUT_S + READ_S):
                await self._asked_all.wait()
        except TimeoutError:
            return

    async def close(self) -> None:
        for neighbour in self._neighbours.values():
            await neighbour.client.close()
        while self._given_up:
            await self._given_up.pop().close()

    def sights(self, own: Sight | None) -> Mapping[str, list[Sight]]:
        """By place, what each of its observers sees that is heard; `own` is this process's, None: it does not look.

        None at all before a machine that has joined others knows of them: alone it would outvote them, and what it then
        believed for a moment would be a change of mind when they are heard."""
        if not self._knows_places():
            return {}
        known = places(self._roster.peers, self._machine)
        found: dict[str, list[Sight]] = {known[self._machine]: [own] if own is not None else []}
        for peer in self._roster.peers:
            some = found.setdefault(known[machine_of(peer)], [])
            neighbour = self._neighbours.get(peer)
            if neighbour is not None and neighbour.is_heard() and neighbour.newest and neighbour.newest.looking:
                some.append(neighbour.sight)
        return found

    def lives(self) -> frozenset[str]:
        """The sites whose edge says that it serves."""
        return frozenset(
            neighbour.newest.site
            for neighbour in self._neighbours.values()
            if neighbour.is_heard() and neighbour.newest and neighbour.newest.site and neighbour.newest.serves
        )

    def _knows_places(self) -> bool:
        return self._machine == HERE or self._roster != Roster()

    async def _read(self, neighbour: _Neighbour) -> None:
        try:
            status, body = await neighbour.client.call("GET", "/observations", None, _TIMEOUT_S)
            told = Observations.model_validate_json(body) if status == HTTPStatus.OK else None
        except (OSError, ValidationError):
            return
        if told is None:
            return
        heard, newest = neighbour.heard.told(told.life, told.number, clock.mono_s()), neighbour.newest
        if heard is neighbour.heard:
            return
        sees_anew = newest is None or told.views != newest.views
        if sees_anew:
            neighbour.sight = self._sight(told)
        neighbour.newest, neighbour.heard = told, heard
        if newest is None or sees_anew or (told.looking, told.serves) != (newest.looking, newest.serves):
            self.on_news()

    def _sight(self, told: Observations) -> Sight:
        """What is said of addresses that nobody here knows is left out."""
        known = self._addresses
        return {
            (AppName(app), known[address]): View(state, reason, flip_s)
            for app, views in told.views.items()
            for address, (state, flip_s, reason) in views.items()
            if address in known
        }
