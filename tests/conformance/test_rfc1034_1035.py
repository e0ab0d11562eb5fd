"""RFC 1034 and 1035: names, records, headers. RFC 4343: case. RFC 8020: what lies under a name that does not exist."""

import socket
import struct

import dns.flags
import dns.message
import dns.name
import dns.opcode
import dns.rcode
import dns.zone
import pytest

from tests.conformance.zone import APEX, REVISION, ZONE_FILE

ZONE = dns.zone.from_text(ZONE_FILE, relativize=False, check_origin=True)
RRSETS = [(name, rdataset) for name, rdataset in ZONE.iterate_rdatasets()]


def exchange(server, packet, timeout_s=10):
    """One raw datagram there and back; None where nothing comes."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.settimeout(timeout_s)
        sock.connect((server.host, server.port))
        sock.send(packet)
        try:
            return sock.recv(65535)
        except TimeoutError:
            return None


@pytest.mark.parametrize(("name", "rdataset"), RRSETS, ids=lambda value: str(value).split("\n")[0][:40])
def test_1034_4_3_2_every_rrset_of_the_zone_is_answered_whole(server, name, rdataset):
    reply = server.tcp(dns.message.make_query(name, rdataset.rdtype))
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.flags & dns.flags.AA
    assert [rrset.to_rdataset() for rrset in reply.answer] == [rdataset]
    assert reply.answer[0].ttl == rdataset.ttl
    assert reply.authority == []


def test_1034_4_3_2_names_of_other_zones_are_refused(server):
    for name in ("www.example.org", "example.com", "com", ".", "xgslb.example.com"):
        reply = server.udp(dns.message.make_query(name, "A"))
        assert (reply.rcode(), reply.answer, reply.authority) == (dns.rcode.REFUSED, [], [])
        assert not reply.flags & dns.flags.AA


def test_1034_4_3_2_a_label_that_holds_the_octets_of_the_apex_is_not_below_it(server):
    inside_one_label = dns.name.Name([b"x\x04gslb\x07example\x03com", b""])
    reply = server.udp(dns.message.make_query(inside_one_label, "A"))
    assert reply.rcode() == dns.rcode.REFUSED


def test_2181_9_nothing_is_volunteered_with_the_ns_records(server):
    reply = server.ask("", "NS")
    assert len(reply.answer[0]) == 3
    assert reply.additional == []


def test_1034_4_2_1_soa_serial_is_the_unsigned_policy_revision(server):
    assert server.ask("", "SOA").answer[0][0].serial == REVISION


def test_4343_4_1_case_of_the_question_comes_back_and_does_not_matter(server):
    query = dns.message.make_query(f"sHoP.{APEX.upper()}", "A")
    wire = query.to_wire()
    reply = exchange(server, wire)
    assert reply[12 : len(wire)] == wire[12:]
    assert dns.message.from_wire(reply).answer[0][0].address == "192.0.2.10"


@pytest.mark.parametrize(("flags", "expected"), [(0, 0), (dns.flags.RD, dns.flags.RD)])
def test_1035_4_1_1_rd_is_copied_and_ra_is_never_set(server, flags, expected):
    reply = server.ask("shop", "A", flags=flags)
    assert reply.flags == dns.flags.QR | dns.flags.AA | expected


def test_4035_3_1_6_cd_is_copied_and_ad_is_clear(server):
    reply = server.ask("shop", "A", flags=dns.flags.CD | dns.flags.AD)
    assert reply.flags & dns.flags.CD
    assert not reply.flags & dns.flags.AD


def test_1035_4_1_1_responses_are_met_with_silence(server):
    query = dns.message.make_query(f"shop.{APEX}", "A")
    query.flags |= dns.flags.QR
    assert exchange(server, query.to_wire(), timeout_s=0.3) is None


@pytest.mark.parametrize("length", [0, 1, 11])
def test_1035_4_1_1_less_than_a_header_is_met_with_silence(server, length):
    assert exchange(server, bytes(length), timeout_s=0.3) is None


GOOD = dns.message.make_query(f"shop.{APEX}", "A", id=4711).to_wire()
MALFORMED = {
    "header only": GOOD[:4] + bytes(8),
    "count without question": GOOD[:12],
    "name cut off": GOOD[:15],
    "type cut off": GOOD[:-3],
    "octets left over": GOOD + b"\0",
    "two questions": GOOD[:4] + b"\0\2" + GOOD[6:] + GOOD[12:],
    "question is a pointer to itself": GOOD[:12] + b"\xc0\x0c\0\1\0\1",
    "question ends in a pointer": GOOD[:12] + b"\x04shop\xc0\x0c\0\1\0\1",
    "label of 64": GOOD[:12] + b"\x40" + b"x" * 64 + b"\0\0\1\0\1",
    "name of 256 octets": GOOD[:12] + (b"\x3f" + b"x" * 63) * 3 + b"\x3e" + b"x" * 62 + b"\0" + b"\0\1\0\1",
    "additional record missing": GOOD[:11] + b"\1" + GOOD[12:],
}


@pytest.mark.parametrize("packet", MALFORMED.values(), ids=MALFORMED)
def test_1035_4_1_1_what_cannot_be_read_is_a_format_error(server, packet):
    reply = exchange(server, packet)
    assert reply[:2] == packet[:2]
    assert reply[2] & 0x80
    assert reply[3] & 0xF == dns.rcode.FORMERR
    assert struct.unpack("!4H", reply[4:12])[1:] == (0, 0, 0)


def test_1035_2_3_4_a_name_of_255_octets_is_a_name(server):
    name = (b"\x3f" + b"x" * 63) * 3 + b"\x2c" + b"x" * 44 + dns.name.from_text(APEX).to_wire()
    assert len(name) == 255
    reply = exchange(server, GOOD[:12] + name + b"\0\1\0\1")
    assert reply[3] & 0xF == dns.rcode.NXDOMAIN
    assert str(dns.message.from_wire(reply).authority[0].name) == f"{APEX}."


def test_1035_6_2_a_response_to_class_any_is_not_authoritative(server):
    reply = server.ask("shop", "A", rdclass="ANY")
    assert reply.answer[0][0].address == "192.0.2.10"
    assert not reply.flags & dns.flags.AA


@pytest.mark.parametrize("rdclass", ["CH", "HS", "NONE"])
def test_1035_3_2_4_other_classes_are_refused(server, rdclass):
    reply = server.udp(dns.message.make_query("version.bind", "TXT", rdclass))
    assert reply.rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("qtype", ["AXFR", "IXFR"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_5936_4_2_transfers_are_refused(server, qtype, transport):
    query = dns.message.make_query(APEX, qtype)
    assert getattr(server, transport)(query).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("qtype", ["TKEY", "TSIG", "MAILA", "MAILB"])
def test_6895_3_1_meta_types_are_refused(server, qtype):
    assert server.ask("shop", qtype).rcode() == dns.rcode.REFUSED


@pytest.mark.parametrize("qtype", [0, 41, 128])
def test_6895_3_1_types_that_nobody_may_ask_for_are_a_format_error(server, qtype):
    packet = GOOD[:-4] + struct.pack("!HH", qtype, 1)
    assert exchange(server, packet)[3] & 0xF == dns.rcode.FORMERR


@pytest.mark.parametrize("opcode", [dns.opcode.IQUERY, dns.opcode.STATUS, dns.opcode.NOTIFY, dns.opcode.UPDATE, 15])
def test_1035_4_1_1_other_opcodes_are_not_implemented_and_come_back(server, opcode):
    packet = GOOD[:2] + bytes([opcode << 3 | 1]) + GOOD[3:]
    reply = exchange(server, packet)
    assert len(reply) == 12
    assert reply[2] == 0x80 | opcode << 3 | 1
    assert reply[3] == dns.rcode.NOTIMP
