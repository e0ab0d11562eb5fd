"""The native wire gives the octets of the pure one: for any packet, peer, clock and number, over tables of every kind,
without a limiter and with one that remembers."""

from collections import Counter
from ipaddress import ip_network
from random import Random

import dns.edns
import dns.message
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.dns import wire
from gslb.dns.cookies import stamp
from gslb.dns.dnssec.denial import sort_key
from gslb.dns.meter import Meter
from gslb.dns.ratelimit import Limiter
from gslb.dns.tables import Body, Chain, Choice, Denial, Peer, Pool, PoolIndex, Ranges, Tables, Variant
from gslb.snapshot.types import LiveState, Version
from tests.support import wire_cases
from tests.support.examples import examples
from tests.unit.dns.policies import APEX

native = pytest.importorskip("gslb.dns._wire", reason="the native wire was not built")

U32 = st.integers(0, 2**32 - 1)
U64 = st.integers(0, 2**64 - 1)
MONO_S = st.one_of(st.floats(0, 1e9), st.sampled_from([0.0, 1e-9, 29.999999999, 30.0, 2.0**52]))
ZONE = b"\x04gslb\x07example\x03com\0"

ADDRESSES = st.one_of(
    st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16), st.sampled_from(wire_cases.ADDRESSES)
)
PEERS = st.builds(Peer, ADDRESSES, st.booleans(), st.booleans())
RANDOM = st.randoms(use_true_random=False)

TABLES = wire_cases.every_kind()
PREPARED = [native.Prepared(each) for each in TABLES]
KINDS = st.sampled_from(range(len(TABLES)))


@settings(max_examples=examples(1200), deadline=None)
@given(KINDS, RANDOM, MONO_S, U32)
def test_any_query(which, numbers, mono_s, number):
    """Answers and counts."""
    packet, peer = wire_cases.some_packet(numbers, mono_s + TABLES[which].wall_offset_s)
    meters = [Meter(Counter()) for _ in range(2)]
    expected = wire.answer(TABLES[which], packet, peer, mono_s, number, meters[0])
    assert native.answer(PREPARED[which], packet, peer, mono_s, number, meters[1]) == expected
    assert meters[0].counts == meters[1].counts


@settings(max_examples=examples(200), deadline=None)
@given(KINDS, st.binary(max_size=600), PEERS, U32)
def test_any_octets(which, packet, peer, number):
    expected = wire.answer(TABLES[which], packet, peer, 0.0, number)
    assert native.answer(PREPARED[which], packet, peer, 0.0, number) == expected


@settings(max_examples=examples(100), deadline=None)
@given(KINDS, st.integers(1, 3), st.lists(st.tuples(RANDOM, st.floats(0, 3)), max_size=30))
def test_a_limiter_counts_and_limits_alike(which, per_s, asked):
    exempt = [ip_network("10.0.0.1/32"), ip_network("2001:db8::/32")]
    meters = [Meter(Counter(), Limiter(per_s, exempt)) for _ in range(2)]
    mono_s = 0.0
    for numbers, pause_s in asked:
        mono_s += pause_s
        packet, peer = wire_cases.some_packet(numbers, mono_s + TABLES[which].wall_offset_s)
        peer = peer._replace(address=numbers.choice((bytes(4), b"\x0a\0\0\x01", bytes(16))))
        expected = wire.answer(TABLES[which], packet, peer, mono_s, 0, meters[0])
        assert native.answer(PREPARED[which], packet, peer, mono_s, 0, meters[1]) == expected
    assert meters[0].counts == meters[1].counts
    assert meters[0].limiter.empty_at_s == meters[1].limiter.empty_at_s


# What C must answer by itself: anything may be left to the pure function, and nobody would notice but by the time it takes --


def subnet(network):
    network = ip_network(network)
    octets = network.network_address.packed[: (network.prefixlen + 7) // 8]
    return dns.edns.GenericOption(
        8, b"\0" + bytes([1 if network.version == 4 else 2]) + bytes((network.prefixlen, 0)) + octets
    )


CLIENT = bytes(range(8))
GOOD = stamp(wire_cases.COOKIE_SECRETS, CLIENT, bytes([192, 0, 2, 1]), wire_cases.NOW_S).cookie
OLD = stamp((bytes(16),), CLIENT, bytes([192, 0, 2, 1]), wire_cases.NOW_S).cookie
OURS = {
    "a plain one": ("w", "A", {}),
    "a lot": ("a", "AAAA", {}),
    "EDNS": ("c", "A", {"use_edns": 0}),
    "NODATA": ("shop", "TXT", {}),
    "NODATA of a pool": ("v4", "AAAA", {"use_edns": 0}),
    "NXDOMAIN": ("nowhere", "A", {"use_edns": 0}),
    "NXDOMAIN far below": ("a.b.c.d.e.f.g.h.i.j.k.l.m.n", "A", {}),
    "a subnet": ("n", "A", {"options": [subnet("10.9.0.0/24")]}),
    "a subnet of IPv6": ("n", "A", {"options": [subnet("2001:db8:a:9::/64")]}),
    "no subnet": ("n", "A", {"options": [subnet("0.0.0.0/0")]}),
    "a first cookie": ("n", "A", {"options": [dns.edns.GenericOption(10, CLIENT)]}),
    "a good cookie": ("n", "A", {"options": [dns.edns.GenericOption(10, GOOD)]}),
    "a bad cookie": ("n", "A", {"options": [dns.edns.GenericOption(10, OLD)]}),
    "NSID": ("n", "A", {"options": [dns.edns.GenericOption(3, b"")]}),
    "an unknown option": ("n", "A", {"options": [dns.edns.GenericOption(77, b"x")]}),
    "signed": ("n", "A", {"want_dnssec": True}),
    "signed, static": ("ns1", "A", {"want_dnssec": True}),
    "signed keys": ("", "DNSKEY", {"want_dnssec": True}),
    "signed NODATA": ("shop", "TXT", {"want_dnssec": True}),
    "signed NODATA of a pool": ("v4", "AAAA", {"want_dnssec": True}),
    "signed NODATA without records": ("b.ent", "A", {"want_dnssec": True}),
    "signed NXDOMAIN": ("nowhere", "A", {"want_dnssec": True}),
    "signed NXDOMAIN of odd octets": ("\\000\\001b", "A", {"want_dnssec": True}),
    "signed NXDOMAIN far below": ("a.b.c.d.shop", "A", {"want_dnssec": True}),
}


@pytest.mark.parametrize("which", [6, 7], ids=["unsigned", "signed"])
@pytest.mark.parametrize(("name", "qtype", "more"), OURS.values(), ids=OURS)
def test_c_answers_these(monkeypatch, which, name, qtype, more):
    packet = dns.message.make_query(f"{name}.{APEX}" if name else APEX, qtype, **more).to_wire()
    asked = (packet, Peer(bytes([192, 0, 2, 1])), 0.0, 0)
    expected = wire.answer(TABLES[which], *asked)
    monkeypatch.setattr(native, "_pure_answer", lambda *_: pytest.fail("left to the pure function"))
    assert native.answer(PREPARED[which], *asked) == expected
    limiter = Limiter(1)
    limited = [native.answer(PREPARED[which], *asked, Meter(Counter(), limiter)) for _ in range(2)][1]
    monkeypatch.undo()
    assert limited == wire.answer(TABLES[which], *asked, Meter(Counter(), limiter))


# Tables that no policy compiles to ----------------------------------------------------------------------------------------

RECORDS = st.sampled_from([b"", b"\xc0\x0c\0\1\0\1\0\0\0\x14\0\4\xc0\0\2\x0a", bytes(400), bytes(1190), bytes(1300)])
COUNTS = st.sampled_from([0, 1, 1, 2, 65535, 65536])
MARKS = st.sampled_from([0, 1, 6, 28, 1 << 63, (1 << 64) - 1])
NO_AUTHORITY = st.tuples(st.just(0), st.just(b""))
AUTHORITY = st.one_of(NO_AUTHORITY, NO_AUTHORITY, st.tuples(st.integers(0, 1), RECORDS))
BODIES = st.builds(
    lambda answers, records, extras, extra, authority, referral, mark: Body(
        answers, records, extras, extra, *authority, referral, mark
    ),
    COUNTS, RECORDS, COUNTS, RECORDS, AUTHORITY, st.sampled_from([False] * 5 + [True]), MARKS,
)  # fmt: skip
SEALS = st.sampled_from([b"\xc0\x0c\0\x2e\0\1\0\0\0\x14\0\3abc", b"\xc0\x0c\0\x2e\0\1" + bytes(400), b"\xc0\x0c\0"])
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
def chain(draw, apex, owners):
    """Of some of the names below `apex`, in order; now and then of names that are not, or out of order."""
    owners = [owner for owner in owners if owner.endswith(apex) or draw(st.integers(0, 9)) == 9]
    keys = sorted({sort_key(owner) for owner in [apex, *owners]}, reverse=draw(st.integers(0, 9)) == 9)
    denials = [Denial(*draw(st.tuples(*[st.binary(max_size=40)] * 3))) for _ in keys]
    return Chain(tuple(keys), tuple(denials))


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
    chains = {apex: draw(chain(apex, names)) for apex in zones if draw(st.booleans())}
    seals = {owner: draw(st.dictionaries(MARKS, SEALS, max_size=4)) for owner in names}
    seals |= {apex: {6: draw(SEALS), **seals.get(apex, {})} for apex in zones}
    lacking = draw(st.dictionaries(st.tuples(OWNERS, st.sampled_from([1, 28])), st.just(Denial(b"", b"nsec", b"seal"))))
    signed = {"chains": chains, "seals": seals, "lacking": lacking}
    return Tables(Version(1, 0), "", LiveState(), zones, names, cuts, pools, **signed)


def outcome(answer, *arguments):
    """What it returns, or the kind of error: both meet the same bug in the tables alike."""
    try:
        return answer(*arguments)
    except Exception as error:
        return type(error)


@settings(max_examples=examples(400), deadline=None)
@given(any_tables(), st.data())
def test_any_tables(given_tables, data):
    name = data.draw(st.sampled_from([b"", b"\x01q", b"\x01A", b"\x01b\x01a", b"\x01q\x01a", b"\x02\0\1"])) + ZONE
    opt = data.draw(st.sampled_from([b"", b"\0\0\x29\x04\xd0\0\0\x80\0\0\0", b"\0\0\x29\xff\xff\0\0\0\0\0\0"]))
    qtype = data.draw(st.sampled_from([1, 28, 43, 5, 16]))
    counts = b"\0\1\0\0\0\0\0" + (b"\1" if opt else b"\0")
    packet = b"\x12\x34\1\0" + counts + name + qtype.to_bytes(2) + b"\0\1" + opt
    arguments = (packet, data.draw(PEERS), data.draw(MONO_S), data.draw(U32))
    assert outcome(native.answer, given_tables, *arguments) == outcome(wire.answer, given_tables, *arguments)


def many(size, numbers, count):
    """So many classes that C finds them in another way, close together and far apart."""
    top = 1 << size * 8
    drawn = {numbers.getrandbits(size * 8) for _ in range(count // 2)}
    near = {(numbers.getrandbits(16) << size * 8 - 16) + step for _ in range(count // 8) for step in (0, 1, 255, -1)}
    starts = sorted(start for start in drawn | near if 0 < start < top)
    choices = [
        Choice(
            "client",
            (Variant((), 1.0, number, 2**32, Body(1, b"\xc0\x0c\0\1\0\1\0\0\0\1\0\4" + bytes([0, 0, 0, number]))),),
        )
        for number in range(5)
    ]
    told = tuple(numbers.choice(choices) for _ in range(len(starts) + 1))
    return Ranges((b"", *(start.to_bytes(size) for start in starts)), told)


def test_many_classes():
    numbers = Random(5)
    pool = Pool(1, 30, many(4, numbers, 4000), many(16, numbers, 4000))
    zone = {ZONE: b"\0\6\0\1" + bytes(20)}
    given_tables = Tables(Version(1, 0), "", LiveState(), zone, {ZONE: {1: PoolIndex(0)}}, {}, (pool,))
    prepared = native.Prepared(given_tables)
    for size, ranges in ((4, pool.v4), (16, pool.v6)):
        for start in (*ranges.starts[1:], bytes(size), b"\xff" * size):
            for step in (-1, 0, 1):
                address = (int.from_bytes(start) + step) % (1 << size * 8)
                option = b"\0" + bytes([1 if size == 4 else 2, size * 8, 0]) + address.to_bytes(size)
                query = dns.message.make_query(APEX, "A", options=[dns.edns.GenericOption(8, option)]).to_wire()
                asked = (query, Peer(b"\xc0\0\2\1"), 0.0, 0)
                assert native.answer(prepared, *asked) == wire.answer(given_tables, *asked), address
