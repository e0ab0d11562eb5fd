"""The roster that a node holds: who the other role processes are, and how they are reached.

It is kept on disk, so that a node that restarts while control is dead still finds the others. What is asked of them
belongs to those who ask.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import structlog
from pydantic import ValidationError

from gslb.control.protocol import Roster, RosterHeld
from gslb.errors import HostError, RefusedError
from gslb.whole_file import write_whole

__all__ = ["RosterHolder"]

MAX_PEERS = 4096
MAX_BYTES = 2 * 1024 * 1024

_log = structlog.get_logger(__name__)


class RosterHolder:
    """Of one role process; `folder` is the role's own. What does not read on disk is as good as none."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / "roster.json"
        self._lock = asyncio.Lock()
        self._listeners: list[Callable[[Roster], None]] = []
        self.roster = self._read()

    @property
    def held(self) -> RosterHeld:
        return RosterHeld(number=self.roster.number, digest=self.roster.digest)

    def follow(self, listener: Callable[[Roster], None]) -> None:
        """`listener` hears the roster that is held now, and each that is taken from now on."""
        self._listeners.append(listener)
        listener(self.roster)

    async def take(self, body: bytes) -> RosterHeld:
        """Hold another roster. The same once more changes nothing. Raises ValidationError, and RefusedError, rule
        `older`, for one whose number is not higher. A disk that takes nothing is complained of, and it is held.
        """
        roster = Roster.model_validate_json(body)
        if len(roster.peers) > MAX_PEERS:
            raise RefusedError("too-large", f"a roster of {len(roster.peers)} peers", f"at most {MAX_PEERS} are taken")
        async with self._lock:
            if roster == self.roster:
                return self.held
            if roster.number <= self.roster.number:
                raise RefusedError(
                    "older",
                    f"roster {roster.number} is not newer than {self.roster.number}, which this node holds",
                    "read the state again",
                )
            try:
                await asyncio.to_thread(write_whole, self._path, roster.model_dump_json().encode())
            except HostError as error:
                _log.error("the roster cannot be kept on disk; a restart has the one before", why=str(error))
            self.roster = roster
            for listener in self._listeners:
                listener(roster)
            return self.held

    def _read(self) -> Roster:
        try:
            if self._path.stat().st_size <= MAX_BYTES:
                return Roster.model_validate_json(self._path.read_bytes())
            why = "it is too large"
        except FileNotFoundError:
            return Roster()
        except (OSError, ValidationError) as error:
            why = str(error)
        _log.warning("the roster on disk does not read; control has another", file=str(self._path), why=why)
        return Roster()
