"""One role process on a folder, over its endpoint on a real unix socket; only what a role does with a snapshot is a
fake, and the clocks are set by hand."""

from __future__ import annotations

import json
from contextlib import asynccontextmanager

import aiohttp

from gslb.control.protocol import RoleState
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.keeping.generations import BAKE_S
from tests.support.trust import offer, trust_in
from tests.unit.control.world import NOW_S, intent


class Role:
    """Takes everything but what it was told to choke on."""

    def __init__(self):
        self.snapshot = self.published = None
        self.taken = []
        self.chokes_on = {}

    async def prepare(self, snapshot):
        self.choke(snapshot)

    async def publish(self, snapshot):
        self.published = snapshot
        self.choke(snapshot)
        self.snapshot = snapshot
        self.taken.append(snapshot)

    def choke(self, snapshot):
        for what, error in self.chokes_on.items():
            if what in (str(snapshot.version), *snapshot.apps):
                raise error

    async def state(self):
        return RoleState(name="dns", role="dns", pid=1, started_wall_s=0, ready=True)


class Process:
    """One role process on `folder`, from its start to its end."""

    def __init__(self, folder):
        self.folder, self.socket = folder, folder / "dns.sock"
        self.copies = True
        self.role, self.client = Role(), NodeClient("dns", folder / "dns.sock")

    async def begin(self, **chokes_on):
        self.role.chokes_on = {name.replace("_", "."): error for name, error in chokes_on.items()}
        self.node = Node(self.role, self.folder, trust_in(self.folder))
        self.node.overrides.copies = self.copies
        self.server = await serve_unix(self.node.app(), self.socket)

    async def end(self):
        await self.client.close()
        await self.server.cleanup()

    @property
    def version(self):
        return self.role.snapshot and str(self.role.snapshot.version)

    async def publish(self, number=1, wanted=None):
        wanted = (wanted or intent()).model_copy(update={"revision": number})
        return await self.client.offer("/publish", offer(wanted, NOW_S), 5)

    async def state(self):
        await self.client.read()
        return self.client.state

    async def ask(self, method, path, **body):
        async with aiohttp.ClientSession(connector=aiohttp.UnixConnector(str(self.socket))) as session:
            url = f"http://node{path}"
            async with session.request(method, url, data=json.dumps(body) if body else None) as response:
                return response.status, await response.json()


@asynccontextmanager
async def process(folder, *, resumes=True, **chokes_on):
    """Ends as by kill -9, unless `node.stop` was called."""
    made = Process(folder)
    await made.begin(**chokes_on)
    try:
        if resumes:
            await made.node.resume()
        yield made
    finally:
        await made.end()


async def good(folder, clocks, *numbers):
    """A process that took these, and lived long enough with each; it ends as it should."""
    async with process(folder) as it:
        for number in numbers:
            await it.publish(number)
            clocks(BAKE_S)
            await it.node._holding.look()
        it.node.stop()
