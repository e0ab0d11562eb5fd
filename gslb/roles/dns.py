"""The dns role's composition root: prober, tables and responder around one snapshot.

Sockets open only after the first snapshot was compiled and every target was looked at once, so that no answer is given
before anything is known.
"""

from __future__ import annotations

import asyncio
import dataclasses
import os

from gslb import clock
from gslb.control.protocol import RoleState, VerdictState
from gslb.dns.compose import compose, recompile
from gslb.dns.responder import Responder
from gslb.dns.tables import Tables
from gslb.health.probes import Prober
from gslb.roles.node import Node, serve_unix
from gslb.roles.process import Stop
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running
from gslb.snapshot import probe_targets
from gslb.snapshot.types import LiveState, Snapshot

__all__ = ["run"]

NAME = "dns"
WALL_CLOCK_S = 1.0
"""How often the tables learn the wall clock, which windows are counted by."""


def _wall_offset_s() -> float:
    return clock.wall_s() - clock.mono_s()


class DnsRole:
    """Answers for the snapshot that was published last, under the verdicts of its own probes."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._started_wall_s = clock.wall_s()
        self._snapshot: Snapshot | None = None
        self._tables: Tables | None = None
        self._open = False
        self.prober = Prober(self._on_verdicts)
        self.responder = Responder()

    async def prepare(self, snapshot: Snapshot) -> None:
        compose(snapshot, self.prober.live)

    async def publish(self, snapshot: Snapshot) -> None:
        """Look at what is new before answering with it, then replace the tables whole."""
        self.prober.set_targets(probe_targets(snapshot))
        await self.prober.first_round()
        self._snapshot = snapshot
        self._serve(compose(snapshot, self.prober.live, _wall_offset_s()))
        if not self._open:
            await self.responder.open(self._settings.dns)
            self._open = True

    async def state(self) -> RoleState:
        return RoleState(
            name=NAME,
            role="dns",
            pid=os.getpid(),
            started_wall_s=self._started_wall_s,
            ready=self._open,
            verdicts=tuple(self._verdicts()),
            dns_counts=dict(self.responder.counts()),
            wire="python",
        )

    async def follow_wall_clock(self) -> None:
        while True:
            await asyncio.sleep(WALL_CLOCK_S)
            if self._tables is not None:
                self._serve(dataclasses.replace(self._tables, wall_offset_s=_wall_offset_s()))

    def _on_verdicts(self, live: LiveState) -> None:
        if self._snapshot is not None and self._tables is not None:
            self._serve(recompile(self._tables, self._snapshot, live))

    def _serve(self, tables: Tables) -> None:
        self._tables = tables
        self.responder.publish(tables)

    def _verdicts(self) -> list[VerdictState]:
        snapshot, live = self._snapshot, self.prober.live
        if snapshot is None:
            return []
        sites = {a: site.name for site in snapshot.sites.values() for edge in site.edges for a in edge.public}
        return [
            VerdictState(
                app=app,
                site=sites[address],
                address=str(address),
                state=verdict.state,
                reason=verdict.reason,
                since_wall_s=verdict.since_wall_s,
            )
            for (app, address), verdict in live.verdicts.items()
            if address in sites
        ]


async def run(settings: Settings, stop: asyncio.Future[Stop]) -> None:
    """Serve until `stop`. Raises HostError where the addresses cannot be bound."""
    folder = settings.data / NAME
    folder.mkdir(mode=0o700, exist_ok=True)
    role = DnsRole(settings)
    node = Node(role, folder)
    server = await serve_unix(node.app(), settings.socket(NAME))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep_running("prober", role.prober.run)),
                group.create_task(keep_running("wall clock", role.follow_wall_clock)),
                group.create_task(node.run()),
                group.create_task(node.resume()),
            ]
            await asyncio.shield(stop)
            for task in tasks:
                task.cancel()
    finally:
        await role.responder.close()
        await server.cleanup()
