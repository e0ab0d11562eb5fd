"""The seam itself; what a peer can see of it over a socket stands in tests/conformance."""

import dataclasses
import struct

import dns.flags
import dns.message
import pytest

from gslb.dns.compose import compose
from gslb.dns.tables import Peer
from gslb.dns.wire import answer, header_only, rcode_of
from gslb.snapshot.types import LiveState
from tests.conformance.zone import APEX, tables
from tests.unit.dns.policies import app, snapshot, weighted

pytestmark = pytest.mark.usefixtures("every_wire")

TABLES = tables()
UDP, TCP = Peer(bytes([192, 0, 2, 1])), Peer(bytes([192, 0, 2, 1]), tcp=True)


def ask(name, qtype="A", peer=UDP, **more):
    return answer(TABLES, dns.message.make_query(name, qtype, id=1, **more).to_wire(), peer, 0.0, 0)


def test_the_most_common_reply_octet_for_octet():
    name = b"\x04shop\x04gslb\x07example\x03com\0"
    question = name + b"\0\1\0\1"
    query = b"\x12\x34\x01\0\0\1\0\0\0\0\0\1" + question + b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"
    record = b"\xc0\x0c\0\1\0\1\0\0\0\x14\0\4\xc0\0\2\x0a"
    opt = b"\0\0\x29\x04\xd0\0\0\x80\0\0\0"
    assert answer(TABLES, query, UDP, 0.0, 0) == b"\x12\x34\x85\0\0\1\0\1\0\0\0\1" + question + record + opt


def test_the_soa_of_a_negative_answer_points_into_the_question():
    reply = ask(f"nowhere.{APEX}")
    question_end = 12 + len(f"nowhere.{APEX}") + 2 + 4
    assert reply[question_end : question_end + 2] == struct.pack("!H", 0xC000 | 12 + 8)


def test_wall_time_is_mono_time_and_the_offset():
    policy = snapshot({"shop": app("healthy", weighted(dc=50, aws=50), ttl="10s")})
    base = compose(policy, LiveState())
    packet = dns.message.make_query(f"shop.{APEX}", "A", id=1).to_wire()
    for wall_s in range(0, 1000, 10):
        shifted = dataclasses.replace(base, wall_offset_s=wall_s - 77.0)
        assert answer(shifted, packet, UDP, 77.0, 0) == answer(base, packet, UDP, float(wall_s), 0)
    assert len({answer(base, packet, UDP, float(wall_s), 0) for wall_s in range(0, 1000, 10)}) == 2


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [
        (ask(f"shop.{APEX}"), 0),
        (ask(f"shop.{APEX}", use_edns=0), 0),
        (ask(APEX, "NS"), 0),
        (ask(f"nowhere.{APEX}", use_edns=0), 3),
        (ask("example.org", use_edns=0), 5),
        (ask(f"shop.{APEX}", use_edns=1), 16),
        (ask(f"big.{APEX}", "AAAA", use_edns=0), 0),
        (header_only(bytes(12), 1), 1),
        (header_only(bytes(12), 2), 2),
    ],
)
def test_rcode_of_our_own_replies(packet, rcode):
    assert rcode_of(packet) == rcode


def test_header_only_gives_back_id_opcode_rd_and_cd():
    assert header_only(b"\xab\xcd\x7f\xff" + bytes(range(8)), 2) == b"\xab\xcd\xf9\x12" + bytes(8)


def test_a_reply_over_tcp_is_not_cut_at_the_edns_size():
    assert len(ask(f"big.{APEX}", "AAAA", TCP, use_edns=0, payload=512)) == 1729


def test_glue_that_does_not_fit_is_left_out_without_tc():
    """RFC 2181 section 9. Here the NS records fit into 512 octets and the glue does not."""
    servers = {f"ns{number}": [f"192.0.2.{number}", f"2001:db8::{number}"] for number in range(1, 13)}
    many = compose(snapshot({}, zone={"nameservers": servers}), LiveState())
    packet = answer(many, dns.message.make_query(APEX, "NS").to_wire(), UDP, 0.0, 0)
    reply = dns.message.from_wire(packet)
    assert len(packet) <= 512
    assert len(reply.answer[0]) == 12
    assert reply.additional == []
    assert not reply.flags & dns.flags.TC


def test_a_negative_answer_whose_soa_does_not_fit_is_truncated():
    """No stranger to long names: 255 octets in the question, in the nameserver and in the contact."""
    long = ".".join(["x" * 63] * 3 + ["y" * 43, APEX])
    zone = {"nameservers": {long: ["192.0.2.1"]}, "contact": long}
    packet = dns.message.make_query(long.replace("x", "z", 1), "A").to_wire()
    tables = compose(snapshot({}, zone=zone), LiveState())
    cut = dns.message.from_wire(answer(tables, packet, UDP, 0.0, 0))
    assert (cut.rcode(), cut.authority, bool(cut.flags & dns.flags.TC)) == (3, [], True)
    whole = dns.message.from_wire(answer(tables, packet, TCP, 0.0, 0))
    assert (whole.rcode(), str(whole.authority[0].name), whole.flags & dns.flags.TC) == (3, f"{APEX}.", 0)


@pytest.mark.parametrize("packet", [b"", bytes(11), b"\0\0\x80" + bytes(30)])
def test_silence(packet):
    assert answer(TABLES, packet, UDP, 0.0, 0) is None


def test_what_parsing_refuses_gets_a_header_with_its_rcode():
    assert answer(TABLES, b"\xab\xcd\x29" + bytes(9), UDP, 0.0, 0) == b"\xab\xcd\xa9\x04" + bytes(8)
    assert answer(TABLES, b"\xab\xcd\x01" + bytes(9), UDP, 0.0, 0) == b"\xab\xcd\x81\x01" + bytes(8)


@pytest.mark.parametrize(
    ("name", "qtype", "rdclass", "rcode"),
    [
        (f"shop.{APEX}", 41, "IN", 1),
        (f"shop.{APEX}", 128, "IN", 1),
        (f"shop.{APEX}", "AXFR", "IN", 5),
        (f"shop.{APEX}", "A", "CH", 5),
        (f"x{APEX}", "A", "IN", 5),
        (".", "A", "IN", 5),
        (f"shop.{APEX}", "TXT", "ANY", 0),
        (f"x.{APEX}", "A", "ANY", 3),
    ],
)
def test_rcodes(name, qtype, rdclass, rcode):
    assert rcode_of(ask(name, qtype, rdclass=rdclass)) == rcode
