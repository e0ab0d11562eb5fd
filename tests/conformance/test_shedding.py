"""Shedding over sockets: a load that crosses a mark moves its share of the answers, and the same clients come back."""

import contextlib
from ipaddress import ip_network

import dns.asyncquery
import dns.edns
import dns.message

from gslb.dns.compose import compose, recompile
from gslb.dns.protocol import Protocol
from gslb.dns.responder import Responder
from gslb.snapshot.types import LiveState
from tests.support.binomial import assert_share
from tests.unit.dns.policies import APEX, SITES, app, snapshot

CLIENTS = [str(network[0]) for network in list(ip_network("100.64.0.0/10").subnets(new_prefix=24))[:600]]
V4 = {"192.0.2.10": "dc", "198.51.100.20": "aws", "203.0.113.30": "gcp"}
V6 = {"2001:db8:1::10": "dc", "2001:db8:2::20": "aws", "2001:db8:3::30": "gcp"}
POLICY = snapshot(
    {"shop": app("healthy", {"priority": ["dc", "aws"]}, {"shed": {"low": 70, "high": 90}})},
    sites={name: site | {"capacity": 1000} for name, site in SITES.items()},
)


class Shop:
    """A responder whose loads can be set."""

    def __init__(self, responder):
        self._responder, self._address = responder, responder.addresses()[0]
        self._tables = compose(POLICY, LiveState())
        responder.publish(self._tables)

    def carry(self, **loads):
        self._tables = recompile(self._tables, POLICY, LiveState(loads=loads))
        self._responder.publish(self._tables)

    async def told(self, qtype="A", sites=V4):
        """Who is told which site, one client of each network."""
        return {client: sites[await self._ask(client, qtype)] for client in CLIENTS}

    async def _ask(self, client, qtype):
        query = dns.message.make_query(f"shop.{APEX}", qtype, use_edns=0, options=[dns.edns.ECSOption(client, 24)])
        reply = await dns.asyncquery.udp(query, self._address[0], 10, self._address[1])
        (address,) = [rdata.address for rrset in reply.answer for rdata in rrset]
        return address


@contextlib.asynccontextmanager
async def shop(wire):
    responder = Responder(protocol=Protocol(), wire=wire)
    await responder.open([("127.0.7.61", 0)])
    try:
        yield Shop(responder)
    finally:
        await responder.close()


async def test_a_load_between_the_marks_moves_its_share_to_the_next_of_the_order_and_back(wire):
    async with shop(wire) as it:
        calm = await it.told()
        assert set(calm.values()) == {"dc"}, "nobody knows a load"
        it.carry(dc=0.7, aws=0.1)
        assert await it.told() == calm, "the low mark itself moves nobody"
        it.carry(dc=0.8, aws=0.1)
        half = await it.told()
        assert set(half.values()) == {"dc", "aws"}
        assert_share(list(half.values()).count("aws"), len(CLIENTS), 0.5)
        assert await it.told("AAAA", V6) == half, "types agree"
        it.carry(dc=0.85, aws=0.1)
        most = await it.told()
        assert_share(list(most.values()).count("aws"), len(CLIENTS), 0.75)
        assert all(most[client] == "aws" for client in CLIENTS if half[client] == "aws"), "nobody moves back"
        it.carry(dc=0.9, aws=0.1)
        assert set((await it.told()).values()) == {"aws"}
        it.carry(dc=0.8, aws=0.1)
        assert await it.told() == half, "the same clients come back"


async def test_where_everybody_is_full_nobody_moves_and_nobody_is_refused(wire):
    async with shop(wire) as it:
        it.carry(dc=1.4, aws=0.95, gcp=0.9)
        assert set((await it.told()).values()) == {"dc"}
        it.carry(dc=1.4, aws=0.95, gcp=0.8)
        told = list((await it.told()).values())
        assert_share(told.count("gcp"), len(told), 0.5)
        assert set(told) == {"dc", "gcp"}
