"""One site's edge with the real Envoy, on 127.0.7.x, in front of backends that are processes of their own."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from pathlib import Path

import pytest

from gslb.edge import EdgeRunner, find_envoy
from gslb.edge.runner import Places
from gslb.model.policy import Policy
from gslb.roles.identities.edge_credentials import edge_credentials
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent, Overrides
from gslb.snapshot.types import RouteId, SiteName
from tests.support.backend import Backend
from tests.support.http1 import Connection
from tests.support.ports import free_port

HOST = "shop.gslb.test"
DC, AWS = "127.0.7.1", "127.0.7.2"
CHECK = {"path": "/healthz", "interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 2}


def pytest_collection_modifyitems(items):
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.e2e)


class Stage:
    """Backends, a port, policies over them, and running edges."""

    def __init__(self, folder: Path, stack: AsyncExitStack) -> None:
        self.folder, self.stack = folder, stack
        self.port = free_port(DC, AWS)
        self.revision = 0
        self.comparer = folder / "comparer.sock"

    def backend(self, name: str, **options: str) -> Backend:
        backend = Backend(name, "127.0.7.9", **options)
        self.stack.callback(backend.kill)
        return backend

    def snapshot(self, backends, routes, overrides: Overrides | None = None, **sites):
        """`peers` are the peer addresses by site, `capacity` requests a second; other words the public addresses,
        one or a list."""
        self.revision += 1
        peers, capacities = sites.pop("peers", {}), sites.pop("capacity", {})

        def size(site):
            return {"capacity": capacities[site]} if site in capacities else {}

        def edge(public, site):
            every = public if isinstance(public, list) else [public]
            return {"public": every, **({"peer": peers[site]} if site in peers else {})}

        policy = Policy.model_validate(
            {
                "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.7.53"]}},
                "sites": {
                    "dc": {"edges": [edge(sites.get("dc", DC), "dc")], "listen": {"http": self.port}, **size("dc")},
                    "aws": {"edges": [edge(AWS, "aws")], "listen": {"http": self.port}, **size("aws")},
                },
                "apps": {"shop": {"hosts": ["shop"], "backends": backends, "routes": routes}},
            }
        )
        return compile_snapshot(Intent(revision=self.revision, policy=policy, overrides=overrides or Overrides()), 0.0)

    @asynccontextmanager
    async def edge(self, site: str = "dc", folder: str = "", end_envoy: bool = True, concurrency: int = 1):
        trust = self.folder / "trust"
        runner = EdgeRunner(
            SiteName(site),
            self.folder / (folder or site),
            find_envoy(None),
            concurrency,
            credentials=lambda: edge_credentials(trust, f"edge-{site}"),
            places=Places(self.folder / (folder or site) / "certificates", self.comparer),
        )
        async with asyncio.TaskGroup() as tasks:
            running = tasks.create_task(runner.run())
            watching = tasks.create_task(runner.watch_deadline())
            try:
                yield runner
            finally:
                running.cancel()
                watching.cancel()
                with suppress(asyncio.CancelledError):
                    await running
                await runner.close(end_envoy)

    def connection(self, address: str = DC) -> Connection:
        connection = Connection(address, self.port, HOST)
        self.stack.push_async_callback(connection.close)
        return connection


@pytest.fixture
async def stage(tmp_path):
    async with AsyncExitStack() as stack:
        yield Stage(tmp_path, stack)


async def seen(backend: Backend):
    """The requests that `backend` saw, without checks and questions like this one."""
    connection = Connection(backend.address, backend.port, "backend")
    reply = await connection.ask("/~seen")
    await connection.close()
    return reply.json()


async def eventually(question, limit_s: float = 20.0):
    """The first true answer of `question`. Only the limit is in seconds: no test depends on how long it took."""
    async with asyncio.timeout(limit_s):
        while not (answer := await question()):
            await asyncio.sleep(0.02)
        return answer


async def counted(runner: EdgeRunner, route: str, total: int):
    """The counts of `route` once `total` requests are in them: Envoy counts a moment after it has answered."""

    async def all_in():
        got = await counts(runner, route)
        return got if sum(got.requests.values()) == total else None

    return await eventually(all_in)


async def counts(runner: EdgeRunner, route: str):
    _, routes = await runner.state()
    return next(item.counts for item in routes if item.route == RouteId("shop", route))
