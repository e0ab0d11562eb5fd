"""Keeps `control.leader`'s table going against the store: looks, takes over, beats, steps down. Nothing is decided
here, nor anything done that a leader does.
"""

from __future__ import annotations

import asyncio
import json
import platform
import secrets

import structlog

from gslb import clock
from gslb.control.installation import leader
from gslb.control.installation.leader import (
    BEAT,
    BEAT_S,
    LEASE_S,
    Action,
    Candidate,
    Lead,
    Look,
    Seen,
    since_of,
    term_of,
)
from gslb.errors import GslbError, RefusedError
from gslb.store import TERM, Store

__all__ = ["Leading"]

_log = structlog.get_logger(__name__)


class Leading:
    """Of one control process on `machine`. `alone`: the store is a file of this machine, which one control writes to:
    it leads at once, for good, and does not beat."""

    def __init__(self, store: Store, machine: str = "", *, alone: bool) -> None:
        self._store = store
        self._alone = alone
        self._mine: int | None = None
        self._state = Candidate(f"{machine or platform.node()} {secrets.token_hex(4)}")
        self._told = ""
        self._settled_mono_s = clock.mono_s() + LEASE_S

    def term(self) -> int | None:
        """The fence with which this control may do now what only a leader does; None: another one leads, or nobody."""
        return self._mine if self._alone else self._state.term(clock.mono_s())

    def lead(self) -> Lead:
        """Who leads, as far as this control knows."""
        seen = self._state.seen
        if seen is None:
            return Lead(settling=clock.mono_s() < self._settled_mono_s)
        since_wall_s = None if self._alone else seen.since_wall_s
        return Lead(seen.holder.rsplit(" ", 1)[0], seen.term, self.term() is not None, since_wall_s)

    async def begin(self) -> None:
        """Lead at once where there is nobody else, or take a first look. Raises HostError."""
        if not self._alone:
            await self.look()
            return
        while self._mine is None:
            seen = await asyncio.to_thread(self._read)
            self._state = await self._wrote(self._state, Action("take", seen.term))
            self._mine = self._state.term(clock.mono_s())

    async def run(self) -> None:
        """For ever."""
        while not self._alone:
            await self.look()
            await asyncio.sleep(BEAT_S)
        await asyncio.Event().wait()

    async def look(self) -> None:
        """One turn. A store that does not answer changes nothing: time does."""
        was = self.term()
        state, action = leader.ticked(self._state, clock.mono_s())
        self._state = state
        try:
            if isinstance(action, Look):
                asked_mono_s = clock.mono_s()
                seen = await asyncio.to_thread(self._read)
                self._state, taking = leader.looked(state, seen, asked_mono_s, clock.mono_s())
                if taking is not None:
                    self._state = await self._wrote(self._state, taking)
            else:
                self._state = await self._wrote(state, action)
        except GslbError as error:
            if str(error) != self._told:
                _log.warning("the store does not tell who leads", why=str(error))
            self._told = str(error)
        else:
            self._told = ""
        if self.term() != was:
            _log.info("this control leads" if self.term() else "this control leads no more", term=self.term() or was)

    async def resign(self) -> None:
        """Let another control take over at once."""
        term = self.term()
        self._state, self._mine = leader.refused(self._state), None
        if term is not None and not self._alone:
            try:
                await asyncio.to_thread(self._store.put, TERM, term, b"", term)
            except GslbError as error:
                _log.info("the lead could not be given up; it ends by itself", why=str(error))

    async def _wrote(self, state: Candidate, action: Action) -> Candidate:
        sent_mono_s = clock.mono_s()
        try:
            if action.kind == "take":
                since_wall_s = clock.wall_s()
                value = json.dumps({"holder": state.me, "since": since_wall_s}).encode()
                made = await asyncio.to_thread(self._store.put, TERM, action.number, value)
                return leader.took(state, made.number, sent_mono_s, since_wall_s)
            term = state.seen.term if state.seen else 0
            made = await asyncio.to_thread(self._store.put, BEAT, action.number, b"", term)
            return leader.beaten(state, made.number, sent_mono_s)
        except RefusedError:
            return leader.refused(state)

    def _read(self) -> Seen:
        term, beat = self._store.document(TERM), self._store.document(BEAT)
        self._settled_mono_s = 0.0
        return Seen(term.number, beat.number, term_of(term.value), since_of(term.value))
