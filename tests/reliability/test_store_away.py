"""The store is gone for an hour: the same answers, failover by own view, restarts from disk; then all agree again.

A real etcd, a real DNS role behind its node endpoint, real edges as far as probes can tell. The hour passes by the clocks
that the processes read, not by waiting.
"""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from gslb import clock
from gslb.control.changes import drain, require, set_policy
from gslb.errors import HostError
from gslb.model.policy import Policy
from gslb.roles.dns import DnsRole
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.publishing.publish import RolePublisher
from gslb.roles.publishing.shared_store import follow_store
from gslb.roles.publishing.signing import Signing
from gslb.snapshot.intent import Drain, Provenance
from gslb.store import AuditEntry, open_store
from gslb.trust.signer_files import TrustFolder
from tests.support.etcd import Etcd, needs_etcd
from tests.support.ports import free_port
from tests.unit.roles.seeing.test_loads import settings, told

HOUR_S = 3600.0
DC, AWS = "127.0.7.81", "127.0.7.82"
AUDIT = AuditEntry(at_s=1.0, author="test", action="test", detail="")


def policy(port):
    return Policy.model_validate(
        {
            "zone": {"name": "gslb.example.com", "nameservers": {"ns1": "198.51.100.53"}, "ttl": "1s"},
            "sites": {
                "dc": {"edges": [{"public": DC}], "listen": {"http": port}},
                "aws": {"edges": [{"public": AWS}], "listen": {"http": port}},
            },
            "apps": {
                "shop": {
                    "hosts": "shop",
                    "steer": ["healthy", {"priority": ["dc", "aws"]}, {"first": 1}],
                    "backends": {
                        "main": {
                            "check": {"path": "/up", "interval": "1s", "timeout": "500ms", "fall": 2, "rise": 1},
                            "dc": ["10.0.0.1:80"],
                            "aws": ["10.0.0.2:80"],
                        }
                    },
                    "routes": [{"name": "all", "split": {"main": 100}}],
                }
            },
        }
    )


async def edge(address, port):
    async def good(reader, writer):
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            await reader.readuntil(b"\r\n\r\n")
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    return await asyncio.start_server(good, address, port)


class Machine:
    """A DNS role as its process runs it, and what becomes of it."""

    def __init__(self, folder):
        self.folder, self.socket = folder / "dns", folder / "dns.sock"
        self.folder.mkdir(exist_ok=True)

    @asynccontextmanager
    async def running(self):
        role = DnsRole(settings(self.folder.parent, roles=("control", "dns")), self.folder)
        node = Node(role, self.folder, TrustFolder(self.folder.parent / "trust"), role.outlook.observations)
        server = await serve_unix(node.app(), self.socket)
        async with asyncio.TaskGroup() as group:
            work = (role.prober.run, role.judge.run, role.composer.run, role.exchange.run, role.keep_last_seen)
            tasks = [group.create_task(run()) for run in work]
            await node.resume()
            yield role
            node.stop()
            for task in tasks:
                task.cancel()
        await role.responder.close()
        await role.exchange.close()
        await server.cleanup()


async def until(condition, seconds=20):
    """How long it took."""
    began_s = asyncio.get_running_loop().time()
    async with asyncio.timeout(seconds):
        while not await condition():
            await asyncio.sleep(0.05)
    return asyncio.get_running_loop().time() - began_s


def pass_an_hour(monkeypatch):
    real_mono_s, real_wall_s = clock.mono_s, clock.wall_s
    monkeypatch.setattr(clock, "mono_s", lambda: real_mono_s() + HOUR_S)
    monkeypatch.setattr(clock, "wall_s", lambda: real_wall_s() + HOUR_S)


def draining(site):
    return lambda intent: drain(require(intent), Drain(site=site, by=Provenance(at_s=clock.wall_s(), author="test")))


async def answers(role, address):
    return await told(role) == [address]


@needs_etcd
async def test_an_hour_without_a_store(tmp_path, monkeypatch):
    etcd = Etcd(tmp_path / "etcd")
    (member,) = etcd.members
    port = free_port(DC)
    dc, aws = await edge(DC, port), await edge(AWS, port)
    trust = TrustFolder(tmp_path / "trust")
    trust.make("test")
    machine = Machine(tmp_path)
    store = open_store(etcd.url("away"), tmp_path)
    publisher = RolePublisher(
        store, Signing(trust, own_file=False), (NodeClient("dns", machine.socket),), lambda _: None
    )
    try:
        async with asyncio.TaskGroup() as group:
            async with machine.running() as role:
                following = [
                    group.create_task(publisher.follow()),
                    group.create_task(follow_store(store, publisher)),
                    group.create_task(publisher.waving.run(publisher)),
                ]
                await publisher.reach_all(5)
                await publisher.change(lambda intent: set_policy(intent, policy(port)), AUDIT)
                assert await told(role) == [DC]

                member.kill()
                pass_an_hour(monkeypatch)
                assert await told(role) == [DC], "the same answers for the same observations"
                with pytest.raises(HostError):
                    await publisher.change(draining("dc"), AUDIT)
                dc.close()
                await dc.wait_closed()
                await until(lambda: answers(role, AWS))
                await until(
                    lambda: asyncio.to_thread(lambda: '"down"' in (machine.folder / "last-seen.json").read_text())
                )

            began_s = asyncio.get_running_loop().time()
            async with machine.running() as role:
                assert await told(role) == [AWS], "from its disk, with what it believed last"
                assert asyncio.get_running_loop().time() - began_s < 3
                member.start(etcd.members)
                await asyncio.to_thread(etcd.wait, etcd.members)

                async def agreed():
                    with suppress(HostError):
                        published = await publisher.change(draining("aws"), AUDIT)
                        return not published.unacknowledged and await answers(role, DC)
                    return False

                assert await until(agreed) < 10
                for task in following:
                    task.cancel()
    finally:
        await publisher.close()
        etcd.close()
        for server in (dc, aws):
            server.close()
