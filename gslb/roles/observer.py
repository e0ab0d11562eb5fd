"""The observer role's composition root: probes of every edge, told to whoever counts them. It answers nobody else and
steers nothing, so that a small machine outside every site is enough for it.
"""

from __future__ import annotations

import asyncio
import os

from gslb import clock
from gslb.control.protocol import RoleState
from gslb.health.probes import Prober
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_door import being_known
from gslb.roles.identities.identity import Identity
from gslb.roles.process import Stop
from gslb.roles.seeing.checking import Pushes, Told, probing_told, tools_of, watch_prober
from gslb.roles.seeing.exchange import Outlook
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running
from gslb.snapshot import probe_targets
from gslb.snapshot.targets import check_targets
from gslb.snapshot.types import Snapshot
from gslb.trust.signer_files import TrustFolder

__all__ = ["ObserverRole", "run"]

NAME = "observer"


class ObserverRole:
    """Looks at what the snapshot that was published last has."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._told = Told(prober)
        self._started_wall_s = clock.wall_s()
        self._looks = False

    async def prepare(self, snapshot: Snapshot) -> None:
        """Every snapshot can be looked at."""

    async def publish(self, snapshot: Snapshot) -> None:
        self._prober.set_targets((*probe_targets(snapshot), *check_targets(snapshot)))
        self._looks = True

    async def state(self) -> RoleState:
        return RoleState(
            name=NAME,
            role="observer",
            pid=os.getpid(),
            started_wall_s=self._started_wall_s,
            ready=self._looks and self._prober.running,
            checks=self._told.checks(),
            probing=probing_told(self._prober),
        )


async def run(settings: Settings, stop: asyncio.Future[Stop]) -> None:
    """Look until `stop`."""
    folder = settings.data / NAME
    folder.mkdir(mode=0o700, exist_ok=True)
    prober = Prober(lambda _: None, tools=tools_of(settings))
    outlook = Outlook(lambda: prober.live, lambda: prober.running)
    observations, pushes = outlook.observations, Pushes(prober).take
    node = Node(ObserverRole(prober), folder, TrustFolder(settings.trust), observations, pushes)
    identity = Identity.of(settings, NAME)
    node.identity_ends_s = lambda: identity.ends_s if identity else None
    server = await serve_unix(node.app(), settings.socket(NAME))
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep_running("prober", prober.run)),
                group.create_task(watch_prober(prober)),
                group.create_task(node.run()),
                group.create_task(keep_running("what is held", node.look)),
                group.create_task(node.resume()),
                *(group.create_task(task) for task in being_known(node, identity, settings)),
            ]
            await asyncio.shield(stop)
            node.stop()
            for task in tasks:
                task.cancel()
    finally:
        await server.cleanup()
