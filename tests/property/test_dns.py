"""Whatever octets arrive: no exception, and a reply that others can read, of a size that was allowed, to what was asked."""

import contextlib
import ipaddress

import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dnslib
from hypothesis import example, given, settings
from hypothesis import strategies as st

from gslb.dns.compose import compose
from gslb.dns.draw import pick
from gslb.dns.query import parse
from gslb.dns.tables import Peer
from gslb.dns.wire import answer, rcode_of
from gslb.errors import WireError
from gslb.steering import decide
from tests.conformance.zone import APEX, tables
from tests.support.examples import examples
from tests.unit.dns.policies import SITES, app, down, snapshot

TABLES = tables()
PEERS = st.builds(
    Peer, st.one_of(st.binary(min_size=4, max_size=4), st.binary(min_size=16, max_size=16)), st.booleans()
)
U32 = st.integers(0, 2**32 - 1)

labels = st.sampled_from(["shop", "SHOP", "big", "ns1", "under", "here", "deep", "nowhere", "x" * 63, "*", "gslb"])
names = st.one_of(
    st.lists(labels, max_size=3).map(lambda parts: ".".join([*parts, APEX])),
    st.lists(labels, min_size=1, max_size=2).map(".".join),
)


@st.composite
def good_queries(draw):
    edns = draw(st.sampled_from([None, 0, 0, 0, 1]))
    more = {} if edns is None else {"use_edns": edns, "payload": draw(st.integers(0, 65535))}
    query = dns.message.make_query(
        draw(names),
        draw(st.sampled_from(["A", "AAAA", "NS", "SOA", "ANY", "TXT", "HTTPS", "TYPE1000", "AXFR"])),
        draw(st.sampled_from(["IN", "IN", "IN", "ANY", "CH"])),
        want_dnssec=draw(st.booleans()) and edns is not None,
        id=draw(st.integers(0, 65535)),
        flags=draw(st.sampled_from([0, dns.flags.RD, dns.flags.CD | dns.flags.AD])),
        **more,
    )
    return query.to_wire()


@st.composite
def mutated_queries(draw):
    packet = bytearray(draw(good_queries()))
    for _ in range(draw(st.integers(1, 4))):
        where = draw(st.integers(0, len(packet)))
        packet[where : where + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(packet)


def limit_bytes(packet, peer):
    if peer.tcp:
        return 65535
    try:
        edns = parse(packet).edns
    except WireError:
        return 12
    return min(max(edns.size_bytes, 512), 1232) if edns else 512


def assert_sound(packet, peer, reply):
    if len(packet) < 12 or packet[2] & 0x80:
        assert reply is None
        return
    assert reply[:2] == packet[:2], "the id comes back"
    assert reply[2] & 0x80
    assert len(reply) <= limit_bytes(packet, peer)
    read = dns.message.from_wire(reply, question_only=len(reply) == 12)
    assert rcode_of(reply) == read.rcode()
    if len(reply) == 12:
        dnslib.DNSRecord.parse(reply)
    else:
        name, *_, question, _ = parse(packet)
        if name.isascii():  # dnslib reads no others
            dnslib.DNSRecord.parse(reply)
        assert reply[12 : 12 + len(question)] == question, "the question comes back octet for octet"


@settings(max_examples=examples(500), deadline=None)
@given(st.binary(max_size=600), PEERS, U32)
@example(bytes(12), Peer(bytes(4)), 0)
def test_any_octets(packet, peer, number):
    assert_sound(packet, peer, answer(TABLES, packet, peer, 0.0, number))


@settings(max_examples=examples(1500), deadline=None)
@given(mutated_queries(), PEERS, U32)
def test_mutated_queries(packet, peer, number):
    assert_sound(packet, peer, answer(TABLES, packet, peer, 0.0, number))


@settings(max_examples=examples(500), deadline=None)
@given(good_queries(), PEERS, U32)
def test_good_queries_are_answered_to_the_letter(packet, peer, number):
    query = dns.message.from_wire(packet)
    reply = dns.message.from_wire(answer(TABLES, packet, peer, 0.0, number))
    assert query.is_response(reply)
    assert (reply.edns >= 0) == (query.edns >= 0)
    assert not reply.flags & (dns.flags.RA | dns.flags.AD)
    if reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN) and not reply.flags & dns.flags.TC:
        assert len(reply.answer) + len(reply.authority) == 1, "one RRset, or the SOA record"


@settings(max_examples=examples(500), deadline=None)
@given(st.binary(min_size=12, max_size=600))
def test_parsing_raises_wire_error_alone(packet):
    with contextlib.suppress(WireError):
        parse(packet)


@settings(max_examples=examples(500), deadline=None)
@given(mutated_queries().filter(lambda packet: len(packet) >= 12))
def test_what_we_can_read_others_read_alike(packet):
    """Not the other way round: others follow pointers in questions and pass over what is left at the end."""
    try:
        query = parse(packet)
    except WireError:
        return
    try:
        other = dns.message.from_wire(packet, question_only=True)
    except dns.exception.DNSException:
        return
    assert other.question[0].name == dns.name.from_wire(query.question, 0)[0]
    assert (other.question[0].rdtype, other.question[0].rdclass) == (query.qtype, query.qclass)


networks_v4 = st.builds(
    lambda number, length: ipaddress.ip_network((number >> 32 - length << 32 - length, length)),
    st.one_of(U32, st.sampled_from([0, 2**32 - 1, 0x0A000000, 0x0A090000])),
    st.integers(1, 32),
)


@settings(max_examples=examples(200), deadline=None)
@given(
    st.lists(st.tuples(networks_v4, st.sampled_from(["dc", "aws", "gcp"])), max_size=12),
    st.sets(st.sampled_from(["dc", "aws"])),
    st.data(),
)
def test_every_client_is_told_what_steering_says(networks, dead, data):
    """The classes are found at the edges of networks; here clients are asked for at and around every edge, and anywhere."""
    sites = {
        name: site | {"networks": [str(network) for network, owner in networks if owner == name]}
        for name, site in SITES.items()
    }
    steer = data.draw(st.permutations(["networks", "healthy"]))
    policy = snapshot({"shop": app(*steer, {"priority": ["gcp", "aws"]}, {"first": 1})}, sites=sites)
    live = down(*(address for name in sorted(dead) for address in SITES[name]["edges"][0]["public"]))
    pool = compose(policy, live).pools[0]
    edges = {int(end) for network, _ in networks for end in (network[0], network[-1])}
    clients = {(edge + step) % 2**32 for edge in edges for step in (-1, 0, 1)} | {data.draw(U32)}
    for client in map(ipaddress.IPv4Address, clients):
        (outcome,) = decide(policy, live, policy.apps["shop"], client, 4).outcomes
        assert pick(pool, client.packed, 0.0, 0).sites == outcome.sites
