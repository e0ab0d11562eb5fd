"""RFC 9460: HTTPS records of apps, whose address hints follow the steering; and what stands beside them, names for one
site. RFC 1034 section 3.6.2: an alias in a zone file of ours, or in somebody else's, leads to the app."""

import asyncio
import functools
import ipaddress
import threading

import dns.edns
import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdata
import dns.rdatatype
import pytest
from dns.rdtypes.svcbbase import ParamKey

from gslb.dns.compose import compose, recompile
from gslb.dns.protocol import Protocol
from gslb.dns.responder import Responder
from gslb.model.reader import parse_policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState, Verdict

TIMEOUT_S = 10
APEX = "gslb.example.com"
DC, AWS = ("192.0.2.10", "2001:db8:1::10"), ("198.51.100.20", "2001:db8:2::20")
SITES = {address: (name, *both) for name, both in (("dc", DC), ("aws", AWS)) for address in both}

APP = """
  {name}:
    hosts: [{hosts}]
    steer: {steer}
    ttl: 1d
    backends: {{web: {{dc: ["10.0.0.1:80"]}}}}
    routes: [{{name: all, split: {{web: 100}}}}]
    {more}
"""
EVEN = "[healthy, {{weighted: {{dc: 1, aws: 1}}, by: {by}}}]"
WEB = "https: {alpn: [h2, http/1.1]}"
POLICY = f"""
zone: {{name: {APEX}, nameservers: {{ns1: [198.51.100.53]}}, ttl: 30s, records: static.zone}}
sites:
  dc: {{edges: [{{public: ["{DC[0]}", "{DC[1]}"]}}], networks: [10.0.0.0/8]}}
  aws: {{edges: [{{public: ["{AWS[0]}", "{AWS[1]}"]}}]}}
apps:
""" + "".join(
    APP.format(name=name, hosts=hosts, steer=steer, more=more)
    for name, hosts, steer, more in (
        ("first", 'first, "@", www.example.org', "[healthy, {priority: [dc, aws]}, {first: 1}]", WEB),
        ("both", "both", "[{first: 2}]", "failover: manual\n    https: {alpn: [h3, h2], port: 8443}"),
        ("window", "window", EVEN.format(by="window"), WEB),
        ("client", "client", EVEN.format(by="client"), WEB),
        ("near", "near", "[healthy, networks, {priority: [aws, dc]}, {first: 1}]", "https: {}"),
        ("none", "none", EVEN.format(by="client"), ""),
    )
)
STATIC = """$TTL 1h
alias     CNAME  first
*.wild    CNAME  window
svc       SVCB   1 first alpn=h2 port=53
"""


@functools.cache
def snapshot():
    files = {"p/a.yaml": POLICY.encode(), "p/static.zone": STATIC.encode()}
    return compile_snapshot(Intent(revision=7, policy=parse_policy(files).policy), 0.0)


def dead(*addresses):
    places = [(app, ipaddress.ip_address(address)) for app in snapshot().apps for address in addresses]
    return LiveState(1, {place: Verdict("down", "refused", 0.0) for place in places})


class Served:
    """A responder in a thread of its own; every test is to leave it as it was, with nothing known to be down."""

    def __init__(self, wire):
        self._started, self._loop, self._stop = threading.Event(), asyncio.new_event_loop(), asyncio.Event()
        self._responder = Responder(wire=wire, protocol=Protocol())
        self._tables = compose(snapshot(), LiveState())
        self._thread = threading.Thread(target=self._loop.run_until_complete, args=(self._serve(),))
        self._thread.start()
        assert self._started.wait(TIMEOUT_S)

    async def _serve(self):
        await self._responder.open([("127.0.7.5", 0)])
        self._responder.publish(self._tables)
        self._started.set()
        await self._stop.wait()
        await self._responder.close()

    def close(self):
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()
        self._loop.close()

    def seeing(self, live):
        async def publish():
            self._tables = recompile(self._tables, snapshot(), live)
            self._responder.publish(self._tables)

        asyncio.run_coroutine_threadsafe(publish(), self._loop).result(TIMEOUT_S)

    def ask(self, name, qtype="HTTPS", client=None):
        options = [dns.edns.ECSOption(*client)] if client else []
        full = name if name.endswith(".") else f"{name}.{APEX}".removeprefix("@.")
        host, port = self._responder.addresses()[0]
        query = dns.message.make_query(full, qtype, use_edns=0, options=options)
        return dns.query.udp(query, host, TIMEOUT_S, port)


@pytest.fixture(scope="module")
def server(wire):
    served = Served(wire)
    yield served
    served.close()


def one(reply, qtype="HTTPS"):
    """The data of the only record of that type."""
    assert (reply.rcode(), bool(reply.flags & dns.flags.AA)) == (dns.rcode.NOERROR, True)
    (rrset,) = [rrset for rrset in reply.answer if rrset.rdtype == dns.rdatatype.from_text(qtype)]
    (rdata,) = rrset
    return rdata


def https(text):
    return dns.rdata.from_text("IN", "HTTPS", text)


def hints(rdata):
    return {
        str(address)
        for key in (ParamKey.IPV4HINT, ParamKey.IPV6HINT)
        if key in rdata.params
        for address in rdata.params[key].addresses
    }


def assert_nodata(reply):
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert [rrset.rdtype for rrset in reply.authority] == [dns.rdatatype.SOA]


@pytest.mark.parametrize("name", ["first", "FIRST", "@"])
def test_2_1_one_record_in_service_mode_at_every_host(server, name):
    reply = server.ask(name)
    assert one(reply) == https(f"1 . alpn=h2 ipv4hint={DC[0]} ipv6hint={DC[1]}")
    assert (reply.answer[0].ttl, reply.additional) == (86400, [])


def test_7_1_what_does_not_speak_the_default_says_so_and_7_2_where_it_listens(server):
    expected = "1 . alpn=h3,h2 no-default-alpn port=8443"
    assert one(server.ask("both")) == https(f"{expected} ipv4hint={DC[0]},{AWS[0]} ipv6hint={DC[1]},{AWS[1]}")


def test_7_1_the_default_alone_needs_no_parameter(server):
    assert one(server.ask("near")) == https(f"1 . ipv4hint={AWS[0]} ipv6hint={AWS[1]}")


@pytest.mark.parametrize("name", ["window", "client", "near"])
def test_7_3_hints_are_the_addresses_that_the_same_client_is_told(server, name):
    drawn = set()
    for number in range(200):
        client = (f"10.0.{number}.0", 24) if number % 2 else (f"2001:db8:ff:{number:x}00::", 56)
        a, aaaa = (one(server.ask(name, qtype, client), qtype).address for qtype in ("A", "AAAA"))
        assert hints(one(server.ask(name, "HTTPS", client))) == {a, aaaa}
        assert SITES[a] == SITES[aaaa]
        drawn.add(SITES[a][0])
    assert drawn == {"dc", "aws"}


def test_7_3_the_scope_is_that_of_the_addresses(server):
    for client in (("10.1.2.0", 24), ("203.0.113.0", 24)):
        scopes = {server.ask("near", qtype, client).options[0].scopelen for qtype in ("A", "AAAA", "HTTPS")}
        assert len(scopes) == 1
        assert scopes != {0}


def test_7_3_hints_follow_health(server):
    server.seeing(dead(*DC))
    try:
        assert one(server.ask("first")) == https(f"1 . alpn=h2 ipv4hint={AWS[0]} ipv6hint={AWS[1]}")
        clients = [(f"10.0.{number}.0", 24) for number in range(20)]
        assert all(hints(one(server.ask("client", client=client))) == set(AWS) for client in clients)
        server.seeing(dead(DC[0], AWS[0]))
        assert one(server.ask("first")) == https(f"1 . alpn=h2 ipv6hint={DC[1]}"), "a dead family is not hinted at"
    finally:
        server.seeing(LiveState())
    assert hints(one(server.ask("first"))) == set(DC)


def test_9_5_an_app_that_says_nothing_of_https_publishes_nothing(server):
    """Or browsers would go to https, where nobody listens."""
    assert_nodata(server.ask("none"))
    assert one(server.ask("none", "A"), "A")


def test_3_aliases_lead_to_the_record_of_the_app(server):
    reply = server.ask("alias")
    assert [rrset.name.to_text() for rrset in reply.answer] == [f"alias.{APEX}.", f"first.{APEX}."]
    assert hints(one(reply)) == set(DC), "TargetName . is the owner of the record, not what was asked for"
    assert one(server.ask("alias", "A"), "A").address == DC[0]
    client = ("10.0.1.0", 24)
    assert hints(one(server.ask("x.wild", "HTTPS", client))) == hints(one(server.ask("window", "HTTPS", client)))


def test_2_svcb_records_are_those_of_the_zone_file(server):
    assert one(server.ask("svc", "SVCB"), "SVCB").to_text() == '1 first.gslb.example.com. alpn="h2" port="53"'
    assert_nodata(server.ask("first", "SVCB"))


@pytest.mark.parametrize(("site", "addresses"), [("dc", DC), ("aws", AWS)])
def test_names_for_one_site_stay_whatever_health_says(server, site, addresses):
    for live in (LiveState(), dead(*addresses), dead(*DC, *AWS)):
        server.seeing(live)
        try:
            for qtype, address in zip(("A", "AAAA"), addresses, strict=True):
                reply = server.ask(f"First--{site}", qtype)
                assert one(reply, qtype).address == address
                assert reply.answer[0].ttl == 86400
        finally:
            server.seeing(LiveState())


def test_names_for_one_site_upgrade_nobody_and_lead_nowhere_else(server):
    assert_nodata(server.ask("first--dc", "HTTPS"))
    assert_nodata(server.ask("first--dc", "TXT"))
    assert server.ask("first--gcp", "A").rcode() == dns.rcode.NXDOMAIN
    assert server.ask("x.first--dc", "A").rcode() == dns.rcode.NXDOMAIN


def test_1034_3_6_2_a_host_outside_is_left_to_its_own_zone(server):
    assert server.ask("www.example.org.", "A").rcode() == dns.rcode.REFUSED
