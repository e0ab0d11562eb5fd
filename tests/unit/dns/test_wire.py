"""The seam itself; what a peer can see of it over a socket stands in tests/conformance."""

import dataclasses
import struct

import dns.message
import pytest

from gslb.dns.query import parse
from gslb.dns.tables import Peer
from gslb.dns.wire import answer, header_only, rcode_of
from gslb.errors import WireError
from gslb.snapshot.types import LiveState
from tests.conformance.zone import APEX, tables
from tests.unit.dns.policies import app, snapshot, weighted

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
    from gslb.dns.compose import compose

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


@pytest.mark.parametrize(
    ("packet", "rcode"),
    [(bytes(12), 1), (b"\0\0\x28" + bytes(9), 4), (b"\0\0\0\0\0\1\0\0\0\0\0\0\0\0\1\0", 1)],
)
def test_parse_raises_wire_error_with_the_rcode(packet, rcode):
    with pytest.raises(WireError) as caught:
        parse(packet)
    assert caught.value.rcode == rcode


def test_the_root_can_be_asked_for():
    assert parse(b"\0\0\0\0\0\1\0\0\0\0\0\0\0\0\2\0\1").name == b"\0"


@pytest.mark.parametrize("rest", [b"\xc0\x0c", b"\1x\xc0\x0c", b"\0", b"\1x\1y\0"])
def test_names_of_records_are_skipped_however_they_are_written(rest):
    packet = b"\0\0\0\0\0\1\0\0\0\0\0\1\0\0\2\0\1" + rest + b"\0\1\0\1" + bytes(4) + b"\0\0"
    assert parse(packet).edns is None
