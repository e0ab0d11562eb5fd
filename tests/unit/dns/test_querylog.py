"""What a line of the query log says, beside what `gslb explain` says and what the packet holds; whom it does not show."""

import dataclasses
import json
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network

import dns.edns
import dns.flags
import dns.message
import dns.opcode
import pytest

from gslb.control.bodies.messages import ExplainQuery
from gslb.control.explain import explain
from gslb.dns.compose import compose
from gslb.dns.cookies import stamp
from gslb.dns.protocol import Protocol
from gslb.dns.querylog import Sample, anonymous, entry
from gslb.dns.tables import Peer
from gslb.dns.wire import answer, header_only
from gslb.snapshot.types import LiveState
from tests.unit.dns.policies import APEX, app, down, snapshot, weighted

WALL_S = 1_700_000_000.25
CLIENT = "10.1.2.3"
SECRET = bytes(range(16))
COOKIE = b"12345678"


def made(*steer, live=None, **more):
    """A snapshot and its tables."""
    shot = snapshot({"shop": app(*(steer or ("healthy", weighted(dc=1, aws=1))), **more)})
    tables = compose(shot, live or LiveState(), wall_offset_s=WALL_S)
    return shot, dataclasses.replace(tables, protocol=Protocol(cookie_secrets=(SECRET,)))


def sampled(tables, message, client=CLIENT, tcp=False, random_u32=0, limited=False):
    packet = message if isinstance(message, bytes) else message.to_wire()
    peer = Peer(ip_address(client).packed, tcp, tcp)
    reply = answer(tables, packet, peer, 0.0, random_u32)
    return Sample(tables, packet, reply, peer, 0.0, random_u32, limited)


def query(name="shop", qtype="A", **more):
    return dns.message.make_query(f"{name}.{APEX}" if name else APEX, qtype, **more)


def logged(message, *steer, client=CLIENT, tcp=False, random_u32=0, full_addresses=True, limited=False, **more):
    shot, tables = made(*steer, **more)
    said = entry(sampled(tables, message, client, tcp, random_u32, limited), shot, full_addresses=full_addresses)
    assert json.loads(json.dumps(said)) == said
    return said


CHAINS = {
    "by window": ("healthy", weighted(dc=1, aws=1)),
    "by client": ("healthy", weighted("client", dc=3, gcp=1)),
    "by network": ("healthy", "networks", {"priority": ["gcp", "aws", "dc"]}, {"first": 1}),
    "residency": ({"only": ["gcp"]}, "healthy", {"first": 2}),
}


@pytest.mark.parametrize("qtype", ["A", "AAAA"])
@pytest.mark.parametrize("client", [CLIENT, "198.51.100.77", "2001:db8:a:9::1"])
@pytest.mark.parametrize("chain", CHAINS.values(), ids=CHAINS)
def test_the_reasons_are_those_of_explain(chain, client, qtype):
    shot, tables = made(*chain)
    said = entry(sampled(tables, query(qtype=qtype), client), shot)
    told = explain((object(), shot), {}, {}, ExplainQuery(host=f"shop.{APEX}", client=client, type=qtype), WALL_S)
    same = ("app", "rcode", "steps", "scope_bits", "drawn", "ttl_s", "ttl_why")
    assert {key: said[key] for key in same} == {key: told[key] for key in same}
    assert said["drawn"] is not None


@pytest.mark.parametrize("random_u32", [0, 2**31 + 1])
def test_what_was_drawn_by_chance_is_what_the_packet_holds(random_u32):
    shot, tables = made("healthy", weighted("answer", dc=1, aws=1))
    sample = sampled(tables, query(), random_u32=random_u32)
    (rrset,) = dns.message.from_wire(sample.reply).answer
    assert entry(sample, shot)["drawn"] == {
        "sites": ["aws" if random_u32 else "dc"],
        "addresses": [rdata.address for rdata in rrset],
    }


def test_a_whole_line():
    ecs = dns.edns.ECSOption("10.9.8.0", 24)
    cookie = dns.edns.GenericOption(10, COOKIE)
    message = query(options=[ecs, cookie], want_dnssec=True)
    said = logged(message, "healthy", "networks", {"first": 1}, live=down("198.51.100.20", "2001:db8:2::20"))
    assert said.pop("digest") == made("healthy", "networks", {"first": 1})[0].digest
    assert said == {
        "time": datetime.fromtimestamp(WALL_S, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "client": CLIENT,
        "subnet": "10.9.8.0/24",
        "transport": "udp",
        "name": f"shop.{APEX}",
        "type": "A",
        "rcode": "NOERROR",
        "flags": ["aa", "do"],
        "limited": False,
        "cookie": "new",
        "reply_bytes": len(message.to_wire()) + 16 + 16,
        "version": "7.0",
        "app": "shop",
        "steps": [
            {"filter": "healthy", "kept": ["dc", "gcp"], "reason": "down: aws"},
            {"filter": "networks", "kept": ["dc", "gcp"], "reason": "the client is in a network of dc"},
            {"filter": "first", "kept": ["dc"], "reason": "the first 1 of the order"},
        ],
        "scope_bits": said["scope_bits"],
        "drawn": {"sites": ["dc"], "addresses": ["192.0.2.10"]},
        "ttl_s": 10,
        "ttl_why": "fixed by the policy",
    }


def test_how_health_bounds_the_ttl_is_told():
    said = logged(query(), ttl={"min": "5s", "max": "60s"})
    assert (said["ttl_s"], said["ttl_why"]) == (5, "health may change at any moment; bounds 5 s to 60 s")


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (query("nowhere"), ("NXDOMAIN", None, 10, "the zone's, for negative answers")),
        (query(qtype="TXT"), ("NOERROR", None, 10, "the zone's, for negative answers")),
        (query("", "SOA"), ("NOERROR", None, 10, "fixed")),
        (query("", "NS"), ("NOERROR", None, 3600, "fixed")),
        (dns.message.make_query("www.example.org", "A"), ("REFUSED", None, None, None)),
        (dns.message.make_query("id.server", "TXT", "CH"), ("REFUSED", None, None, None)),
        (query(use_edns=1), ("BADVERS", None, None, None)),
        (query(qtype="AXFR"), ("REFUSED", None, None, None)),
    ],
)
def test_what_is_not_steered(message, expected):
    said = logged(message)
    assert (said["rcode"], said["app"], said["ttl_s"], said["ttl_why"]) == expected
    assert (said["steps"], said["drawn"], said["scope_bits"]) == ([], None, 0)


def test_an_alias_tells_the_app_that_it_leads_to_and_the_least_ttl():
    shot = snapshot({"shop": app("healthy", weighted(dc=1))})
    line = f"www.{APEX} 7 IN TYPE5 \\# {len(APEX) + 7} 0473686f70" + f"{len('gslb'):02x}" + b"gslb".hex()
    line += f"{len('example'):02x}" + b"example".hex() + "03" + b"com".hex() + "00"
    shot = dataclasses.replace(shot, zone=dataclasses.replace(shot.zone, records=line))
    tables = compose(shot, LiveState(), wall_offset_s=WALL_S)
    said = entry(sampled(tables, query("www")), shot)
    assert (said["app"], said["drawn"]["sites"], said["ttl_s"], said["ttl_why"]) == ("shop", ["dc"], 7, "fixed")
    shot = dataclasses.replace(shot, zone=dataclasses.replace(shot.zone, records=line.replace("TYPE5", "TYPE2")))
    tables = compose(shot, LiveState(), wall_offset_s=WALL_S)
    referral = entry(sampled(tables, query("www")), shot)
    assert (referral["rcode"], referral["ttl_s"], referral["ttl_why"]) == ("NOERROR", 7, "the delegation's")


def test_residency_that_leaves_nobody():
    said = logged(query(), {"only": ["gcp"]}, "healthy", weighted(dc=1))
    assert (said["app"], said["drawn"], said["ttl_why"]) == ("shop", None, "the zone's, for negative answers")
    assert said["steps"][0]["reason"] == "allowed: gcp"


@pytest.mark.parametrize("other", [None, snapshot({})])
def test_tables_of_another_policy_give_no_reasons(other):
    _, tables = made()
    said = entry(sampled(tables, query()), other)
    assert (said["app"], said["steps"], said["ttl_s"]) == (None, [], 10)


def test_a_bug_is_logged_and_not_met_again():
    shot, tables = made()
    packet = query().to_wire()
    broken = dataclasses.replace(tables, names=None)
    sample = Sample(broken, packet, header_only(packet, 2), Peer(bytes(4)), 0.0, 0, False)
    assert entry(sample, shot)["rcode"] == "SERVFAIL"


def test_malformed_and_foreign_messages():
    said = logged(query().to_wire()[:-1])
    assert (said["rcode"], said["name"], said["type"], said["cookie"]) == ("FORMERR", None, None, None)
    notify = query()
    notify.set_opcode(dns.opcode.NOTIFY)
    assert logged(notify)["rcode"] == "NOTIMP"


def test_a_query_for_a_cookie_alone():
    asked = query(options=[dns.edns.GenericOption(10, COOKIE)])
    asked.question.clear()
    said = logged(asked)
    assert (said["name"], said["type"], said["rcode"], said["cookie"]) == (None, None, "NOERROR", "new")


@pytest.mark.parametrize(
    ("cookie", "state"),
    [
        (None, None),
        (COOKIE, "new"),
        (COOKIE + bytes(16), "bad"),
        (stamp((SECRET,), COOKIE, ip_address(CLIENT).packed, WALL_S).cookie, "good"),
    ],
)
def test_cookies(cookie, state):
    options = [] if cookie is None else [dns.edns.GenericOption(10, cookie)]
    assert logged(query(options=options))["cookie"] == state


def test_what_was_limited_tells_its_reasons_but_no_ttl():
    shot, tables = made()
    sample = sampled(tables, query())
    cut = sample._replace(reply=sample.packet[:2] + b"\x82" + sample.packet[3:], limited=True)
    said = entry(cut, shot)
    assert (said["limited"], said["flags"], said["app"], said["ttl_s"]) == (True, ["tc"], "shop", None)


def test_streams():
    assert logged(query(), tcp=True)["transport"] == "tcp"


# Whom it shows --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("client", "masked"),
    [("203.0.113.77", "203.0.113.0/24"), ("2001:db8:1:2:3:4:5:6", "2001:db8:1::/56")],
)
def test_clients_are_networks_unless_they_are_asked_for(client, masked):
    assert logged(query(), client=client, full_addresses=False)["client"] == masked
    assert logged(query(), client=client)["client"] == client


@pytest.mark.parametrize(
    ("address", "bits", "masked", "whole"),
    [
        ("203.0.113.77", 32, "203.0.113.0/24", "203.0.113.77"),
        ("203.0.0.0", 16, "203.0.0.0/16", "203.0.0.0/16"),
        ("2001:db8:1:2::", 64, "2001:db8:1::/56", "2001:db8:1:2::/64"),
        ("0.0.0.0", 0, None, None),
    ],
)
def test_subnets_are_no_longer_than_networks(address, bits, masked, whole):
    message = query(options=[dns.edns.ECSOption(address, bits)])
    assert logged(message, full_addresses=False)["subnet"] == masked
    assert logged(message)["subnet"] == whole


@pytest.mark.parametrize(
    ("subnet", "left"),
    [
        ("203.0.113.77/32", "203.0.113.0"),
        ("203.0.112.0/20", "203.0.112.0"),
        ("2001:db8:1:2::/64", "2001:db8:1::"),
        ("0.0.0.0/0", "0.0.0.0"),
        (None, None),
    ],
)
def test_anonymous_messages_hold_no_more_than_the_network(subnet, left):
    """Otherwise they are the messages that were sent."""
    network = ip_network(subnet) if subnet else None
    options = [dns.edns.ECSOption(str(network[0]), network.prefixlen)] if network else []
    _, tables = made("healthy", "networks", {"first": 1})
    sample = sampled(tables, query(options=options), "203.0.113.77")
    shown = anonymous(sample)
    assert shown.peer.address == ip_address("203.0.113.0").packed
    for before, after in ((sample.packet, shown.packet), (sample.reply, shown.reply)):
        first, second = dns.message.from_wire(before), dns.message.from_wire(after)
        assert [option.address for option in second.options if option.otype == 8] == ([left] if left else [])
        assert [(o.srclen, o.scopelen) for o in first.options] == [(o.srclen, o.scopelen) for o in second.options]
        assert (first.question, first.answer) == (second.question, second.answer)


def test_a_malformed_message_is_anonymous_as_it_is():
    _, tables = made()
    sample = sampled(tables, query().to_wire()[:-1])
    assert anonymous(sample).packet == sample.packet


def test_a_reply_that_does_not_echo_the_subnet_is_left_alone():
    _, tables = made()
    silent = dataclasses.replace(tables, protocol=Protocol(ecs=False))
    sample = sampled(silent, query(options=[dns.edns.ECSOption("203.0.113.77", 32)]))
    assert anonymous(sample).reply == sample.reply
    assert anonymous(sample).packet != sample.packet
