"""Queries with options, good and bad, alone and under a rate limit: no exception, replies that others read, of a size that
was allowed, and never longer than the query once limited."""

import dataclasses
from collections import Counter

import dns.edns
import dns.message
import dns.rcode
import dnslib
from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.dns.cookies import stamp
from gslb.dns.meter import Meter
from gslb.dns.protocol import IDENTITY_LIMIT_BYTES, Protocol
from gslb.dns.query import parse
from gslb.dns.ratelimit import Limiter
from gslb.dns.tables import Peer, Rcode
from gslb.dns.wire import answer, rcode_of
from gslb.errors import WireError
from tests.conformance.zone import APEX, steered_tables
from tests.support.examples import examples

SECRETS = (bytes(range(16)), bytes(16))
NOW_S = 1_700_000_000.0
TELLING = Protocol.telling(b"i" * IDENTITY_LIMIT_BYTES, b"v" * IDENTITY_LIMIT_BYTES, SECRETS)
TABLES = dataclasses.replace(
    steered_tables(), wall_offset_s=NOW_S, protocol=dataclasses.replace(TELLING, keepalive_ds=100)
)
QUIET = dataclasses.replace(TABLES, protocol=Protocol(ecs=False))
PEER = Peer(bytes((192, 0, 2, 1)))

good_cookies = st.builds(
    lambda client: stamp(SECRETS, client, PEER.address, NOW_S).cookie, st.binary(min_size=8, max_size=8)
)
subnets = st.one_of(
    st.builds(lambda bits, n: dns.edns.ECSOption(str(dns.ipv4.inet_ntoa(n)), bits), st.integers(0, 32), st.binary(min_size=4, max_size=4)),
    st.builds(lambda bits, n: dns.edns.ECSOption(dns.ipv6.inet_ntoa(n), bits), st.integers(0, 128), st.binary(min_size=16, max_size=16)),
)  # fmt: skip
options = st.lists(
    st.one_of(
        st.builds(dns.edns.GenericOption, st.sampled_from([3, 8, 9, 10, 11, 12, 15, 65001]), st.binary(max_size=44)),
        st.builds(dns.edns.GenericOption, st.just(10), st.one_of(good_cookies, st.binary(min_size=8, max_size=8))),
        st.builds(dns.edns.GenericOption, st.sampled_from([3, 11]), st.just(b"")),
        subnets,
    ),
    max_size=5,
)


@st.composite
def queries(draw):
    name = draw(st.sampled_from([APEX, f"home.{APEX}", f"drawn.{APEX}", f"x.y.{APEX}", "example.org", "id.server"]))
    query = dns.message.make_query(
        name,
        draw(st.sampled_from(["A", "AAAA", "TXT", "SOA", "AXFR"])),
        draw(st.sampled_from(["IN", "IN", "IN", "CH"])),
        use_edns=draw(st.sampled_from([0, 0, 0, 1])),
        payload=draw(st.sampled_from([0, 512, 1232, 4096])),
        options=draw(options),
    )
    packet = query.to_wire()
    if draw(st.integers(0, 5)) == 0:
        packet = packet[:4] + bytes(2) + packet[6:12] + packet[12 + len(query.question[0].name.to_wire()) + 4 :]
    return packet


def limit_bytes(packet, tcp):
    try:
        return 65535 if tcp else min(max(parse(packet).edns.size_bytes, 512), 1232)
    except WireError:
        return 12


@settings(max_examples=examples(1500), deadline=None)
@given(queries(), st.sampled_from([TABLES, QUIET]), st.booleans())
def test_replies_are_sound(packet, tables, tcp):
    reply = answer(tables, packet, PEER._replace(tcp=tcp, proven=tcp), 0.0, 7, Meter(Counter()))
    assert len(reply) <= limit_bytes(packet, tcp)
    read = dns.message.from_wire(reply, question_only=len(reply) == 12)
    dnslib.DNSRecord.parse(reply)
    assert rcode_of(reply) == read.rcode()
    assert reply[:2] == packet[:2]
    assert len({option.otype for option in read.options}) == len(read.options)


@settings(max_examples=examples(800), deadline=None)
@given(queries())
def test_a_limited_reply_is_never_longer_than_its_query(packet):
    limiter = Limiter(1)
    meter = Meter(Counter(), limiter)
    replies = [answer(TABLES, packet, PEER, 0.0, 7, meter) for _ in range(3)]
    assert replies[1] == replies[2]
    if len(replies[1]) > len(packet):
        assert replies[0] == replies[1], "only who has proven the address is not limited"
        assert meter.counts["cookies_good"] == 3
        assert meter.counts["limited"] == 0
    read = dns.message.from_wire(replies[1], question_only=len(replies[1]) == 12)
    assert rcode_of(replies[1]) == read.rcode()
    dnslib.DNSRecord.parse(replies[1])
    if read.rcode() == Rcode.BADCOOKIE and packet[5]:
        (option,) = read.options
        assert stamp(SECRETS, option.client + option.server, PEER.address, NOW_S).good
