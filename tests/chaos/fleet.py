"""Two controls on one etcd, and four nodes that both publish to: all real but for what a role does with a snapshot."""

from __future__ import annotations

import asyncio
import contextlib

import aiohttp

from gslb import clock
from gslb.control import changes
from gslb.control.protocol import RoleState
from gslb.errors import GslbError, RefusedError
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.publishing.leading import Leading
from gslb.roles.publishing.publish import RolePublisher
from gslb.roles.publishing.shared_store import follow_store
from gslb.store import AuditEntry
from gslb.store.etcd import EtcdStore
from tests.support.trust import signing_in, trust_in
from tests.unit.control.world import POLICY, a_drain, policy

NAMES = ("edge-dc", "edge-aws", "dns", "m2-dns")
AUDIT = AuditEntry(1.0, "ann", "test", "")
EQUAL_WITHIN_S = 5.0


class Role:
    """Remembers every version that it was given, in order."""

    def __init__(self, name):
        self.name, self.taken, self.drained = name, [], set()

    async def prepare(self, snapshot):
        pass

    async def publish(self, snapshot):
        self.taken.append((snapshot.version.revision, snapshot.version.overrides))
        self.drained = {name for name, site in snapshot.sites.items() if site.drained}

    async def state(self):
        return RoleState(name=self.name, role="dns", pid=1, started_wall_s=0, ready=True)


class Control:
    """A publisher that follows the store and its nodes, and may lead."""

    def __init__(self, name, url, folder, store=None):
        self.store = store or EtcdStore(url)
        nodes = tuple(NodeClient(node, folder / f"{node}.sock") for node in NAMES)
        self.publisher = RolePublisher(self.store, signing_in(folder, own_file=False), nodes, lambda _: None)
        self.leading = self.publisher.leading = Leading(self.store, name, alone=False)

    async def run(self):
        async with asyncio.TaskGroup() as group:
            group.create_task(follow_store(self.store, self.publisher))
            group.create_task(self.publisher.follow())
            group.create_task(self.leading.run())

    async def toggle(self, fence=None, site="dc"):
        """Drain `site`, or undrain it."""

        def make(found):
            found = changes.require(found)
            if found.overrides.drains:
                return changes.undrain(found, found.overrides.drains[0].site, None)
            return changes.drain(found, a_drain(site))

        return await self.publisher.change(make, AUDIT, fence=fence)

    async def insist(self, patience_s=30.0):
        """Toggle until it is taken."""
        until_s = clock.mono_s() + patience_s
        while True:
            try:
                return await self.toggle()
            except GslbError:
                assert clock.mono_s() < until_s
                await asyncio.sleep(0.05)

    def version(self):
        current = self.publisher.current()
        return current and (current[1].version.revision, current[1].version.overrides)


class Fleet:
    def __init__(self, folder, url, stores=(None, None)):
        self.folder, self.roles, self.servers = folder, {name: Role(name) for name in NAMES}, []
        made = zip(("berlin", "munich"), stores, strict=True)
        self.controls = [Control(name, url, folder, store) for name, store in made]
        self.tasks = []

    async def start(self):
        trust = trust_in(self.folder)
        for name, role in self.roles.items():
            (self.folder / name).mkdir()
            node = Node(role, self.folder / name, trust)
            self.servers.append(await serve_unix(node.app(), self.folder / f"{name}.sock"))
        first, second = (control.publisher for control in self.controls)
        await first.reach_all(20)
        await first.change(lambda found: changes.set_policy(found, policy(**POLICY)), AUDIT)
        await second.load()
        loop = asyncio.get_running_loop()
        self.tasks = [loop.create_task(control.run()) for control in self.controls]

    async def stop(self):
        for task in self.tasks:
            task.cancel()
        await asyncio.wait(self.tasks or [asyncio.get_running_loop().create_task(asyncio.sleep(0))])
        for control in self.controls:
            await control.publisher.close()
        for server in self.servers:
            await server.cleanup()

    async def write_until(self, done, refusals):
        """Both controls change something all the while; what was refused, and why, is added to `refusals`."""

        async def write(control):
            while not done.is_set():
                try:
                    await control.toggle()
                except RefusedError as error:
                    refusals.append(error.rule)
                except GslbError as error:
                    refusals.append(type(error).__name__)
                await asyncio.sleep(0.02)

        await asyncio.gather(*map(write, self.controls))

    async def settled(self, slack=1.0):
        """Seconds until every control and node has what the store holds, whoever asks it."""
        since_s = clock.mono_s()
        while True:
            wanted = self.controls[0].version()
            if {control.version() for control in self.controls} == {wanted} and all(
                role.taken and role.taken[-1] == wanted for role in self.roles.values()
            ):
                stored = await asyncio.to_thread(self.controls[0].store.read)
                if (stored.revision, stored.overrides_version) == wanted:
                    return clock.mono_s() - since_s
            assert clock.mono_s() - since_s < EQUAL_WITHIN_S * slack, (wanted, self.told())
            await asyncio.sleep(0.02)

    def told(self):
        return {name: role.taken[-3:] for name, role in self.roles.items()}

    def assert_nobody_went_back(self):
        for role in self.roles.values():
            assert role.taken == sorted(set(role.taken)), role.name

    async def drain_at_node(self, name, site):
        connector = aiohttp.UnixConnector(str(self.folder / f"{name}.sock"))
        async with aiohttp.ClientSession(connector=connector) as session:
            body = {"site": site, "author": "ann", "reason": "it burns"}
            async with session.post("http://node/v1/drains", json=body) as answer:
                assert answer.status == 200, await answer.text()


@contextlib.asynccontextmanager
async def fleet(folder, url, stores=(None, None)):
    made = Fleet(folder, url, stores)
    try:
        await made.start()
        yield made
    finally:
        await made.stop()
