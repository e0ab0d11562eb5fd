"""Reading loads from real node endpoints on unix sockets; only what an edge has counted is a fake."""

import asyncio
import contextlib
from itertools import pairwise

import dns.asyncquery
import dns.message
import pytest

from gslb import clock
from gslb.control.protocol import EdgeState, EnvoyState, Peer, RoleState, Roster, RouteState
from gslb.roles.dns import DnsRole
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.seeing.loads import LoadReader
from gslb.roles.settings import Settings
from tests.support.trust import trust_in
from tests.unit.dns.policies import APEX, SITES, app, snapshot

PER_S = 1000
SIZED = {name: site | {"capacity": PER_S} for name, site in SITES.items()}


class Edge:
    """Counts `rate_per_s` requests, a fifth of them mirrored copies."""

    def __init__(self, site):
        self.site, self.rate_per_s, self.born_s, self.reads = site, 0, 1.0, 0
        self._since, self._base = clock.mono_s(), 0

    def carry(self, rate_per_s):
        self._base, self._since, self.rate_per_s = self._total(), clock.mono_s(), rate_per_s

    def _total(self):
        return self._base + int((clock.mono_s() - self._since) * self.rate_per_s)

    async def state(self):
        self.reads += 1
        total = self._total()
        route = RouteState(app="shop", route="all", requests={"main": total - total // 5}, mirrored=total // 5)
        edge = EdgeState(envoy=EnvoyState(state="live"), routes=(route,))
        return RoleState(name="edge", role="edge", site=self.site, pid=1, started_wall_s=self.born_s, edge=edge)


@contextlib.asynccontextmanager
async def edges(folder, *sites):
    made, servers = {}, {}
    for site in sites:
        (folder / site).mkdir()
        made[site] = Edge(site)
        servers[site] = await serve_unix(
            Node(made[site], folder / site, trust_in(folder)).app(), folder / f"edge-{site}.sock"
        )
    try:
        yield made, servers
    finally:
        for server in servers.values():
            await server.cleanup()


@pytest.fixture(autouse=True)
def quickly(monkeypatch):
    monkeypatch.setattr("gslb.roles.seeing.loads.READ_S", 0.05)


def settings(folder, **more):
    return Settings(runtime=folder, data=folder, sites=("dc", "aws"), dns=(("127.0.7.19", 0),), **more)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.02)


@contextlib.asynccontextmanager
async def reading(reader):
    async with asyncio.TaskGroup() as group:
        task = group.create_task(reader.run())
        try:
            yield
        finally:
            task.cancel()
            await reader.close()


def shed_policy(sites):
    return snapshot({"shop": app({"shed": {"low": 50, "high": 90}}, ttl="1s")}, sites=sites)


async def test_loads_are_told_when_they_change_and_only_of_sites_with_capacity_that_are_here(tmp_path):
    told = []
    reader = LoadReader(settings(tmp_path), lambda: told.append(dict(reader.loads)))
    async with edges(tmp_path, "dc", "aws") as (made, _), reading(reader):
        made["dc"].carry(400)
        await asyncio.sleep(0.2)
        assert (made["dc"].reads, told) == (0, []), "nothing is read before there is a policy"
        reader.follow(shed_policy(SIZED | {"aws": SITES["aws"]}))
        await until(lambda: reader.loads)
        assert set(reader.loads) == {"dc"}
        assert 0.2 < reader.loads["dc"] < 0.6
        assert told == [dict(item) for item in told]
        assert all(old != new for old, new in pairwise(told))
        assert made["aws"].reads == 0


async def test_an_edge_that_is_gone_keeps_its_load_and_then_has_none(tmp_path, monkeypatch):
    reader = LoadReader(settings(tmp_path), lambda: None)
    async with edges(tmp_path, "dc", "aws") as (made, servers), reading(reader):
        for edge in made.values():
            edge.carry(400)
        reader.follow(shed_policy(SIZED))
        await until(lambda: len(reader.loads) == 2)
        await servers["dc"].cleanup()
        (tmp_path / "edge-dc.sock").unlink(missing_ok=True)
        await asyncio.sleep(0.3)
        assert set(reader.loads) == {"dc", "aws"}
        monkeypatch.setattr("gslb.health.load.HOLD_S", 0.2)
        await until(lambda: set(reader.loads) == {"aws"})


async def test_where_no_edges_run_nobody_knows_a_load(tmp_path):
    reader = LoadReader(settings(tmp_path, roles=("control", "dns")), lambda: None)
    async with edges(tmp_path, "dc") as (made, _), reading(reader):
        reader.follow(shed_policy(SIZED))
        await asyncio.sleep(0.2)
        assert (reader.loads, made["dc"].reads) == ({}, 0)


async def test_edges_elsewhere_are_read_by_the_roster_and_those_of_one_site_add_up(tmp_path):
    reader = LoadReader(settings(tmp_path, roles=("control", "dns")), lambda: None)
    async with edges(tmp_path, "dc", "aws") as (made, _), reading(reader):
        for edge in made.values():
            edge.carry(200)
        reader.follow(shed_policy(SIZED))
        both = [
            Peer(name=f"m{n}/edge-dc", role="edge", site="dc", address=f"unix:{tmp_path}/edge-{name}.sock")
            for n, name in enumerate(made)
        ]
        reader.take_roster(Roster(number=1, peers=both))
        await until(lambda: 0.3 < reader.loads.get("dc", 0) < 0.5)
        reader.take_roster(Roster(number=2, peers=both[:1]))
        await asyncio.sleep(0.1)
        reads = made["aws"].reads
        await asyncio.sleep(0.2)
        assert made["aws"].reads == reads
        assert made["dc"].reads > reads


async def test_an_edge_of_this_machine_is_read_once_though_the_roster_names_it(tmp_path):
    reader = LoadReader(settings(tmp_path), lambda: None)
    own = Peer(name="edge-dc", role="edge", site="dc", address=f"unix:{tmp_path}/edge-dc.sock")
    reader.take_roster(Roster(number=1, peers=(own, Peer(name="x/dns", role="dns", address="unix:/nowhere"))))
    assert [node.name for _, node in reader._edges()] == ["edge-dc", "edge-aws"]
    await reader.close()


async def told(role):
    (address,) = role.responder.addresses()
    reply = await dns.asyncquery.udp(dns.message.make_query(f"shop.{APEX}", "A"), address[0], 10, address[1])
    return [rdata.address for rrset in reply.answer for rdata in rrset]


async def test_the_dns_role_answers_by_the_loads_of_its_edges(tmp_path):
    role = DnsRole(settings(tmp_path), tmp_path)
    async with edges(tmp_path, "dc", "aws") as (made, _), reading(role.load_reader):
        await role.publish(shed_policy(SIZED))
        try:
            await until(lambda: role.load_reader.loads.get("dc") == 0)
            assert await told(role) == ["192.0.2.10"]
            made["dc"].carry(100 * PER_S)
            await until(lambda: role.load_reader.loads.get("dc", 0) > 0.9)
            assert await told(role) == ["198.51.100.20"]
            assert (await role.state()).loads == role.load_reader.loads
        finally:
            await role.responder.close()
