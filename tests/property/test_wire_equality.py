"""The native wire gives the octets of the pure one: for any packet, peer, clock and number, over tables of every kind,
without a limiter and with one that remembers."""

import dataclasses
from collections import Counter
from ipaddress import ip_network

import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.dns import wire
from gslb.dns.compose import compose
from gslb.dns.meter import Meter
from gslb.dns.protocol import Protocol
from gslb.dns.ratelimit import Limiter
from gslb.dns.tables import Body, Choice, Peer, Pool, PoolIndex, Ranges, Tables, Variant
from gslb.snapshot.types import LiveState, Version
from tests.conformance.zone import APEX, steered_tables, tables
from tests.unit.dns.policies import app, snapshot, weighted

native = pytest.importorskip("gslb.dns._wire", reason="the native wire was not built")

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
MONO_S = st.one_of(st.floats(0, 1e9), st.sampled_from([0.0, 1e-9, 29.999999999, 30.0, 2.0**52]))
COOKIES = Protocol.telling(b"ns1", b"gslb", (b"0123456789abcdef",))
ZONE = b"\x04gslb\x07example\x03com\0"

ADDRESSES = st.one_of(
    st.binary(min_size=4, max_size=4),
    st.binary(min_size=16, max_size=16),
    st.sampled_from([b"\x0a\0\0\0", b"\x09\xff\xff\xff", b"\x0a\xff\xff\xff", b"\x0b\0\0\0"]),
)
PEERS = st.builds(Peer, ADDRESSES, st.booleans(), st.booleans())


def drawn():
    policy = snapshot(
        {
            "w": app("healthy", weighted(dc=50, aws=30, gcp=20), hosts=["w"], ttl="30s"),
            "c": app("networks", "healthy", weighted("client", dc=1, aws=99), hosts=["c", "shop"]),
            "a": app("healthy", weighted("answer", dc=80, aws=20), hosts=["a", "big"]),
            "n": app("networks", {"priority": ["gcp", "aws"]}, {"first": 1}, hosts=["n"]),
        }
    )
    return compose(policy, LiveState())


TABLES = [tables(), steered_tables(), drawn()]
TABLES += [dataclasses.replace(each, protocol=COOKIES, wall_offset_s=1.7e9) for each in TABLES]
PREPARED = [native.Prepared(each) for each in TABLES]

LABELS = st.sampled_from(
    ["shop", "SHOP", "big", "ns1", "under", "here", "deep", "nowhere", "x" * 63, "*", "w", "c", "a", "n", "home",
     "drawn", "chance", "all", "legacy"]
)  # fmt: skip
NAMES = st.one_of(
    st.lists(LABELS, max_size=3).map(lambda parts: ".".join([*parts, APEX])),
    st.lists(LABELS, min_size=1, max_size=2).map(".".join),
)
TYPES = st.sampled_from(
    ["A"] * 4 + ["AAAA", "NS", "SOA", "ANY", "TXT", "HTTPS", "DS", "CNAME", "TYPE41", "TYPE128", "AXFR"]
)


@st.composite
def queries(draw):
    more = {}
    if draw(st.booleans()):
        options = draw(st.lists(st.sampled_from([3, 8, 10, 11, 77]), max_size=2))
        more = {
            "use_edns": draw(st.sampled_from([0, 0, 0, 1])),
            "payload": draw(st.integers(0, 65535)),
            "want_dnssec": draw(st.booleans()),
            "options": [dns.edns.GenericOption(code, draw(st.binary(max_size=16))) for code in options],
        }
    flags = draw(st.sampled_from([0, dns.flags.RD, dns.flags.CD | dns.flags.AD]))
    rdclass = draw(st.sampled_from(["IN"] * 6 + ["ANY", "CH"]))
    return dns.message.make_query(
        draw(NAMES), draw(TYPES), rdclass, id=draw(U32) & 0xFFFF, flags=flags, **more
    ).to_wire()


@st.composite
def packets(draw):
    packet = bytearray(draw(queries()))
    for _ in range(draw(st.sampled_from([0, 0, 1, 2, 4]))):
        where = draw(st.integers(0, len(packet)))
        packet[where : where + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(packet)


@settings(max_examples=500, deadline=None)
@given(st.sampled_from(range(len(TABLES))), packets(), PEERS, MONO_S, U32)
def test_any_query(which, packet, peer, mono_s, number):
    expected = wire.answer(TABLES[which], packet, peer, mono_s, number)
    assert native.answer(PREPARED[which], packet, peer, mono_s, number) == expected


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=600), PEERS, U32)
def test_any_octets(packet, peer, number):
    assert native.answer(PREPARED[0], packet, peer, 0.0, number) == wire.answer(TABLES[0], packet, peer, 0.0, number)


@settings(max_examples=60, deadline=None)
@given(
    st.integers(1, 3),
    st.lists(
        st.tuples(packets(), st.sampled_from([bytes(4), b"\0\0\0\1", b"\x0a\0\0\x01", bytes(16)]), st.floats(0, 3)),
        max_size=30,
    ),
)
def test_a_limiter_counts_and_limits_alike(per_s, asked):
    exempt = [ip_network("10.0.0.1/32")]
    meters = [Meter(Counter(), Limiter(per_s, exempt)) for _ in range(2)]
    mono_s = 0.0
    for packet, address, pause_s in asked:
        mono_s += pause_s
        expected = wire.answer(TABLES[3], packet, Peer(address), mono_s, 0, meters[0])
        assert native.answer(PREPARED[3], packet, Peer(address), mono_s, 0, meters[1]) == expected
    assert meters[0].counts == meters[1].counts
    assert meters[0].limiter.empty_at_s == meters[1].limiter.empty_at_s


# Tables that no policy compiles to ----------------------------------------------------------------------------------------

RECORDS = st.sampled_from([b"", b"\xc0\x0c\0\1\0\1\0\0\0\x14\0\4\xc0\0\2\x0a", bytes(400), bytes(1190), bytes(1300)])
COUNTS = st.sampled_from([0, 1, 1, 2, 65535, 65536])
BODIES = st.builds(Body, COUNTS, RECORDS, COUNTS, RECORDS, st.sampled_from([0, 0, 1]), RECORDS, st.booleans())
VARIANTS = st.builds(
    Variant, st.just(()), st.one_of(st.floats(1e-9, 1e9), st.integers(1, 100)), U64, st.integers(1, 2**32), BODIES
)
CHOICES = st.builds(
    Choice, st.sampled_from(["window", "client", "answer"]), st.lists(VARIANTS, min_size=1, max_size=4).map(tuple)
)


@st.composite
def ranges(draw, size):
    starts = draw(st.lists(st.binary(min_size=size, max_size=size), max_size=5, unique=True))
    return Ranges((b"", *sorted(starts)), tuple(draw(CHOICES) for _ in range(len(starts) + 1)))


POOLS = st.builds(Pool, U64, st.sampled_from([0, 1, 7, 30, 86400]), ranges(4), ranges(16))
OWNERS = st.sampled_from(
    [ZONE, b"\x01a" + ZONE, b"\x01b\x01a" + ZONE, b"\x01*" + ZONE, b"\x01*\x01a" + ZONE, b"\x01z\0", b"\0"]
)
TARGET = b"\x01b\x01a" + ZONE
ALIAS = Body(1, b"\xc0\x0c\0\5\0\1\0\0\0\x14" + len(TARGET).to_bytes(2) + TARGET)


@st.composite
def any_tables(draw):
    pools = tuple(draw(st.lists(POOLS, max_size=2)))
    contents = st.one_of(BODIES, st.integers(0, 2).map(PoolIndex))
    names = {}
    for owner in draw(st.lists(OWNERS, max_size=5, unique=True)):
        names[owner] = draw(st.dictionaries(st.sampled_from([1, 28, 43]), contents, max_size=2))
        for alias in draw(st.lists(st.sampled_from([5, 39]), max_size=1)):
            names[owner][alias] = ALIAS
    cuts = {owner: Body(1, ALIAS.records) for owner in draw(st.lists(OWNERS, max_size=1))}
    zones = {owner: b"\0\6\0\1" + bytes(20) for owner in draw(st.lists(OWNERS, max_size=2))}
    return Tables(Version(1, 0), "", LiveState(), zones, names, cuts, pools)


def outcome(answer, *arguments):
    """What it returns, or the kind of error: both meet the same bug in the tables alike."""
    try:
        return answer(*arguments)
    except Exception as error:
        return type(error)


@settings(max_examples=500, deadline=None)
@given(any_tables(), st.data())
def test_any_tables(given_tables, data):
    name = data.draw(st.sampled_from([b"", b"\x01q", b"\x01A", b"\x01b\x01a", b"\x01q\x01a"])) + ZONE
    opt = data.draw(st.sampled_from([b"", b"\0\0\x29\x04\xd0\0\0\x80\0\0\0", b"\0\0\x29\xff\xff\0\0\0\0\0\0"]))
    qtype = data.draw(st.sampled_from([1, 28, 43, 5, 16]))
    counts = b"\0\1\0\0\0\0\0" + (b"\1" if opt else b"\0")
    packet = b"\x12\x34\1\0" + counts + name + qtype.to_bytes(2) + b"\0\1" + opt
    arguments = (packet, data.draw(PEERS), data.draw(MONO_S), data.draw(U32))
    assert outcome(native.answer, given_tables, *arguments) == outcome(wire.answer, given_tables, *arguments)
