"""Server-sent events: what is in force, who runs and which verdicts there are, told again whenever it changes.

Whoever listens gets the newest state and never a queue of older ones, so that a slow listener costs nothing but its
place. Observations that change all the time (ages, counters) are the status's, not these events'.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator
from typing import Any

from gslb import clock
from gslb.control.alarms import alarms_now, alarms_seen
from gslb.control.publishing import Publisher
from gslb.control.status import role_state, status
from gslb.errors import HostError

__all__ = ["LIMIT", "Events"]

LIMIT = 64
LOOK_S = 0.5
HEARTBEAT_S = 10.0
"""Proxies and clients give up on what is silent for a minute or less; and a listener that has gone is noticed."""
LASTING_S = 900.0
"""Then the listener asks again, by itself, and shows who it is again."""

_FIRST = b"retry: 2000\n\n"
_HEARTBEAT = b": still here\n\n"


class Events:
    """The listeners of one listening socket."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._closing = asyncio.Event()
        self._looked_s = 0.0
        self._key: object = None
        self._told = b""
        self.listeners = 0

    def close(self) -> None:
        """Ends every stream at once."""
        self._closing.set()

    async def lines(self) -> AsyncGenerator[bytes]:
        """One stream, for a while. Raises HostError where `LIMIT` listen already."""
        if self.listeners >= LIMIT:
            raise HostError(f"{LIMIT} listen already", "ask again later, or read /v1/status from time to time")
        self.listeners += 1
        try:
            yield _FIRST
            began_s = said_s = clock.mono_s()
            told = b""
            while not self._closing.is_set() and clock.mono_s() - began_s < LASTING_S:
                newest = self._newest()
                if newest != told or clock.mono_s() - said_s >= HEARTBEAT_S:
                    yield _HEARTBEAT if newest == told else newest
                    told, said_s = newest, clock.mono_s()
                await self._pause()
        finally:
            self.listeners -= 1

    async def _pause(self) -> None:
        try:
            async with asyncio.timeout(LOOK_S):
                await self._closing.wait()
        except TimeoutError:
            return

    def _newest(self) -> bytes:
        """Made anew only where something has changed, and looked at once for all who listen."""
        if clock.mono_s() - self._looked_s >= LOOK_S / 2:
            self._looked_s = clock.mono_s()
            key = self._what_counts()
            if key != self._key or not self._told:
                self._key, self._told = key, self._event()
        return self._told

    def _what_counts(self) -> object:
        current, ages_s = self._publisher.current(), self._publisher.ages_s()
        snapshot = current[1] if current else None
        roles = {
            name: (role_state(state, ages_s.get(name)), state and (state.applied, state.verdicts))
            for name, state in self._publisher.roles().items()
        }
        found = [(alarm.rule, alarm.subject, alarm.message) for alarm in alarms_now(self._publisher, clock.wall_s())]
        return (snapshot and (snapshot.version, snapshot.digest)), roles, found

    def _event(self) -> bytes:
        publisher, wall_s = self._publisher, clock.wall_s()
        seen = status(publisher.current(), publisher.roles(), publisher.ages_s(), wall_s, publisher.fleet().wanted)
        data: dict[str, Any] = {
            "environment": seen["environment"],
            "snapshot": seen["snapshot"],
            "roles": {name: _some(role, "state", "in_sync") for name, role in seen["roles"].items()},
            "sites": {
                name: {**_some(site, *_SITE), "apps": {app: _some(one, *_SITE) for app, one in site["apps"].items()}}
                for name, site in seen["sites"].items()
            },
            "alarms": alarms_seen(alarms_now(publisher, wall_s)),
        }
        return f"event: state\ndata: {json.dumps(data)}\n\n".encode()


_SITE = ("verdict", "drained", "reason")


def _some(things: dict[str, Any], *names: str) -> dict[str, Any]:
    return {name: things[name] for name in names}
