"""Moves policies from wave to wave: reads the position that all controls share and, while this one leads, moves it.

What alarms, and what follows, stands in `control.waves`; publishing to those whose turn has come is `publish`'s, which
asks here who must wait. A position that cannot be read stays as it was: nobody gets a policy because the store is gone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog
from pydantic import ValidationError

from gslb import clock
from gslb.control.installation.waves import (
    DOCUMENT,
    Reading,
    Wave,
    begun,
    event_of,
    overtaken,
    stages,
    step,
    superseding,
    taken_back,
    title,
)
from gslb.control.protocol import RoleState
from gslb.errors import GslbError, RefusedError
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.publishing.nodes import NodeSet
from gslb.store import Store

__all__ = ["LOOK_S", "Term", "Waving"]

LOOK_S = 1.0
END_TRIES = 3
"""Once lost to who leads, the position says already that the wave is over; more would be other controls' waves."""

Term = Callable[[], int | None]
"""The number of the term in which this control leads; None: another one does, or nobody."""

_log = structlog.get_logger(__name__)


class _Publishing(Protocol):
    """What is asked of the publisher."""

    def revision(self) -> int | None: ...
    async def settle(self) -> None: ...
    async def take_back(self, wave: Wave, fence: int) -> None: ...


class Waving:
    """Of one control."""

    def __init__(self, store: Store, nodes: NodeSet, term: Term) -> None:
        self._store, self._nodes = store, nodes
        self.term = term
        self.wave: Wave | None = None
        self._number = 0
        self._phase: tuple[int, str] = (-1, "")
        self._since_mono_s = 0.0

    def must_wait(self, node: NodeClient, revision: int) -> bool:
        """Whether the node is to keep the policy from before, while `revision` is in force."""
        return self.wave is not None and self.wave.is_beyond(self._nodes.full_name(node), revision)

    async def read(self) -> bool:
        """Take the position from the store; whether it is another one. Raises GslbError. One that does not read, which
        a newer gslb may have written, changes nothing here, and the next policy takes its place."""
        document = await asyncio.to_thread(self._store.document, DOCUMENT)
        if document.number == self._number or document.value is None:
            return False
        try:
            wave = Wave.model_validate_json(document.value)
        except ValidationError as error:
            _log.error("the position of the waves does not read", why=str(error))
            self._number = document.number
            return False
        self.wave, self._number = wave, document.number
        return True

    async def begin(self, revision: int, before: int, bake_s: float) -> Wave | None:
        """Write down that `revision` goes in waves, before it is in the store. None: there are too few nodes for that.
        Raises RefusedError, rule `stale`, where another control did the same, and HostError."""
        await self.read()
        nodes, machines = self._nodes.all, list(self._nodes.registry.active())
        parts = stages((self._nodes.full_name(node) for node in nodes), len(machines)) if self._nodes.machine else ()
        parts = superseding(self.wave, parts)
        if not parts:
            return None
        if self.wave is not None and self.wave.is_on:
            before = self.wave.before
        await self._put(begun(revision, before, parts, bake_s, self._seen()), None)
        return self.wave

    async def end(self, why: str) -> None:
        """The policy from before is in force again, because of a refusal. Who leads may have seen that already, and
        have written it down. Raises HostError."""
        for _ in range(END_TRIES):
            if self.wave is None or not self.wave.is_on:
                return
            try:
                await self._put(taken_back(self.wave, why), None)
            except RefusedError:
                await self.read()

    async def run(self, publishing: _Publishing) -> None:
        """For ever: follow the position, and move it while this control leads."""
        failed = ""
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                if await self.read():
                    await publishing.settle()
                await self._look(publishing)
                failed = ""
            except GslbError as error:
                if str(error) != failed:
                    _log.error("the waves do not move", why=str(error))
                failed = str(error)

    async def _look(self, publishing: _Publishing) -> None:
        wave, term, revision = self.wave, self.term(), publishing.revision()
        if wave is None or not wave.is_on or term is None or revision is None or revision < wave.revision:
            return
        if revision > wave.revision:
            await self._put(overtaken(wave, revision), term)
            return
        event, why = event_of(wave, self._readings(wave.revision))
        after = step(wave, event, why, self._in_phase_s(wave), self._seen())
        if after is wave:
            return
        if after.phase == "back":
            _log.error("a wave is taken back", wave=title(wave), revision=wave.revision, why=after.why)
            await publishing.take_back(after, term)
        await self._put(after, term)
        _log.info("the waves have moved", wave=title(after), revision=after.revision, phase=after.phase)
        await publishing.settle()

    def _in_phase_s(self, wave: Wave) -> float:
        """By this machine's clock: a bake that another control began is begun anew."""
        phase = (self._number, wave.phase)
        if phase != self._phase:
            self._phase, self._since_mono_s = phase, clock.mono_s()
        return clock.mono_s() - self._since_mono_s

    async def _put(self, wave: Wave, fence: int | None) -> None:
        octets = wave.model_dump_json().encode()
        document = await asyncio.to_thread(self._store.put, DOCUMENT, self._number, octets, fence)
        self.wave, self._number = wave, document.number

    def _seen(self) -> Mapping[str, RoleState | None]:
        return {self._nodes.full_name(node): node.state if node.reachable else None for node in self._nodes.all}

    def _readings(self, revision: int) -> Mapping[str, Reading]:
        readings = {}
        for node in self._nodes.all:
            refused = node.refused
            why = " ".join(refused[1]) if refused is not None and refused[0].revision == revision else ""
            readings[self._nodes.full_name(node)] = Reading(node.state, min(node.silent_s, 1e6), why)
        return readings
