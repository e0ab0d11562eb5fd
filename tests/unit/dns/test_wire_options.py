"""The seam with options and with a meter: queries without question, what limited clients get, what is told in CHAOS."""

import dataclasses
from collections import Counter

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from gslb.dns.cookies import stamp
from gslb.dns.meter import Meter
from gslb.dns.protocol import Protocol
from gslb.dns.ratelimit import Limiter
from gslb.dns.tables import Peer
from gslb.dns.wire import answer, rcode_of
from tests.conformance.zone import APEX, tables

NOW_S = 1_700_000_000.0
pytestmark = pytest.mark.usefixtures("every_wire")

SECRET = bytes(range(16))
PEER = Peer(bytes((192, 0, 2, 1)))
CLIENT = b"12345678"
PLAIN = tables()
TABLES = dataclasses.replace(PLAIN, wall_offset_s=NOW_S, protocol=Protocol.telling(b"ns1", b"gslb 1", (SECRET,)))
GOOD = stamp((SECRET,), CLIENT, PEER.address, NOW_S).cookie


def query(*options, name=f"shop.{APEX}", qtype="A", rdclass="IN", edns=0):
    message = dns.message.make_query(
        name, qtype, rdclass, id=7, **({} if edns is None else {"use_edns": edns, "options": list(options)})
    )
    return message.to_wire()


def cookie(octets):
    return dns.edns.GenericOption(10, octets)


def alone(octets, edns=0):
    packet = query(cookie(octets), name=".", edns=edns)
    return packet[:4] + bytes(2) + packet[6:12] + packet[17:]


@pytest.mark.parametrize(
    ("octets", "edns", "rcode"), [(CLIENT, 0, 0), (GOOD, 0, 0), (CLIENT + bytes(16), 0, 23), (GOOD, 1, 16), (CLIENT + bytes(8), 1, 16)]
)  # fmt: skip
def test_a_cookie_alone(octets, edns, rcode):
    reply = answer(TABLES, alone(octets, edns), PEER, 0.0, 0)
    assert rcode_of(reply) == rcode
    assert reply[4:12] == bytes(7) + b"\1"
    assert dns.message.from_wire(reply).options[0].client == CLIENT


def test_a_cookie_alone_where_there_are_none():
    reply = answer(PLAIN, alone(CLIENT), PEER, 0.0, 0)
    assert (len(reply), reply[3]) == (12, dns.rcode.FORMERR)


def limited(packet, shown=TABLES):
    """The second reply, where one a second is allowed."""
    meter = Meter(Counter(), Limiter(1))
    replies = [answer(shown, packet, PEER, 0.0, 0, meter) for _ in range(2)]
    assert meter.counts["limited"] == 1
    return replies[1]


@pytest.mark.parametrize("packet", [query(edns=None), query(), query(cookie(CLIENT)), query(cookie(CLIENT + bytes(8)))])
def test_limited_without_a_cookie_of_ours(packet):
    reply = dns.message.from_wire(limited(packet))
    assert reply.flags & dns.flags.TC
    assert (reply.rcode(), reply.answer, reply.options) == (0, [], ())
    assert (reply.edns >= 0) == (packet[11] == 1)


@pytest.mark.parametrize("length", [24, 40])
def test_limited_with_a_bad_cookie(length):
    packet = query(cookie(CLIENT.ljust(length, b"\0")))
    reply = limited(packet)
    assert len(reply) <= len(packet)
    assert rcode_of(reply) == dns.rcode.BADCOOKIE
    assert dns.message.from_wire(reply).options[0].server == GOOD[8:]


def test_limited_with_nothing_but_a_cookie():
    reply = limited(alone(CLIENT))
    assert (reply[2] & 0x02, reply[4:12], len(reply)) == (0x02, bytes(7) + b"\1", 23)


KINDS = {
    "the same name": (query(), query(), True),
    "another name": (query(), query(name=f"legacy.{APEX}"), False),
    "another type of the name": (query(), query(qtype="AAAA"), True),
    "names that are not there": (query(name=f"a.{APEX}"), query(name=f"b.{APEX}"), True),
    "a type that is not there": (query(), query(qtype="TXT"), False),
    "errors": (query(name="a.example"), query(name="b.example", qtype="NS"), True),
    "an error and a name that is not there": (query(name="a.example"), query(name=f"a.{APEX}"), False),
}


@pytest.mark.parametrize(("one", "other", "same"), KINDS.values(), ids=KINDS)
def test_what_counts_as_the_same_answer(one, other, same):
    meter = Meter(Counter(), Limiter(1))
    answer(TABLES, one, PEER, 0.0, 0, meter)
    answer(TABLES, other, PEER, 0.0, 0, meter)
    assert meter.counts["limited"] == same


@pytest.mark.parametrize(
    ("name", "text"), [("id.server", b"ns1"), ("hostname.bind", b"ns1"), ("version.bind", b"gslb 1"), ("version.server", b"gslb 1")]
)  # fmt: skip
def test_chaos(name, text):
    reply = dns.message.from_wire(answer(TABLES, query(name=name, qtype="TXT", rdclass="CH"), PEER, 0.0, 0))
    assert reply.answer[0][0].strings == (text,)
    assert reply.flags & dns.flags.AA
    for qtype, rdclass in (("A", "CH"), ("TXT", "HS"), ("TXT", "IN")):
        assert (
            rcode_of(answer(TABLES, query(name=name, qtype=qtype, rdclass=rdclass), PEER, 0.0, 0)) == dns.rcode.REFUSED
        )
