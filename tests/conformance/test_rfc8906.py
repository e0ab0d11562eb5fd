"""RFC 8906 section 8: what a server must do with each probe, one after the other, for names that exist and that do not.

Where a section asks for several cases, each is a test. What other RFCs say of the same stands in their own files.
"""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from tests.conformance.test_rfc1034_1035 import exchange
from tests.conformance.zone import APEX

UNKNOWN = dns.edns.GenericOption(100, b"")
Z_FLAG = 0x0080
BIG = 4096


def soa(**more):
    return dns.message.make_query(APEX, "SOA", **more)


def assert_answered(server, query, *, edns=None, transport="udp"):
    reply = getattr(server, transport)(query)
    assert reply.rcode() == dns.rcode.NOERROR
    assert reply.flags & dns.flags.AA
    assert reply.answer[0][0].mname.to_text() == f"ns1.{APEX}."
    if edns is not None:
        assert reply.edns == edns
    return reply


def test_8_1_1_is_the_server_configured_for_the_zone(server):
    assert_answered(server, soa(), edns=-1)


@pytest.mark.parametrize("qtype", ["TYPE1000", "TYPE65534"])
def test_8_1_2_an_unknown_type(server, qtype):
    reply = server.ask("shop", qtype)
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize(
    ("flag", "echoed"), [(dns.flags.CD, True), (dns.flags.AD, False), (0x0040, False), (dns.flags.RD, True)]
)
def test_8_1_3_header_bits_one_by_one(server, flag, echoed):
    reply = assert_answered(server, soa(flags=flag))
    assert bool(reply.flags & flag) == echoed
    assert not reply.flags & dns.flags.RA


def test_8_1_4_an_unknown_opcode_comes_back_without_anything_else(server):
    packet = soa().to_wire()
    reply = exchange(server, packet[:2] + b"\x78" + packet[3:12])
    assert (len(reply), reply[2] >> 3 & 0xF, reply[3] & 0xF) == (12, 15, dns.rcode.NOTIMP)


def test_8_1_5_the_same_over_tcp(server):
    assert_answered(server, soa(), edns=-1, transport="tcp")
    assert_answered(server, soa(use_edns=0), edns=0, transport="tcp")


def test_8_2_1_plain_edns(server):
    reply = assert_answered(server, soa(use_edns=0), edns=0)
    assert reply.payload >= 512


def test_8_2_2_an_unknown_version(server):
    reply = server.udp(soa(use_edns=1))
    assert (reply.rcode(), reply.edns, reply.answer) == (dns.rcode.BADVERS, 0, [])
    assert not reply.flags & dns.flags.AA


def test_8_2_3_an_unknown_option(server):
    assert assert_answered(server, soa(use_edns=0, options=[UNKNOWN]), edns=0).options == ()


def test_8_2_4_an_unknown_flag(server):
    assert assert_answered(server, soa(use_edns=0, ednsflags=Z_FLAG), edns=0).ednsflags == 0


def test_8_2_5_an_unknown_version_and_flag(server):
    reply = server.udp(soa(use_edns=1, ednsflags=Z_FLAG))
    assert (reply.rcode(), reply.edns, reply.ednsflags & Z_FLAG) == (dns.rcode.BADVERS, 0, 0)


def test_8_2_6_an_unknown_version_and_option(server):
    reply = server.udp(soa(use_edns=1, options=[UNKNOWN]))
    assert (reply.rcode(), reply.edns, reply.options) == (dns.rcode.BADVERS, 0, ())


def test_8_2_6_an_unknown_version_flag_and_option(server):
    reply = server.udp(soa(use_edns=1, ednsflags=Z_FLAG, options=[UNKNOWN]))
    assert (reply.rcode(), reply.edns, reply.ednsflags & Z_FLAG, reply.options) == (dns.rcode.BADVERS, 0, 0, ())


def test_8_2_7_a_truncated_reply_still_has_its_opt(server):
    reply = server.udp(dns.message.make_query(f"big.{APEX}", "AAAA", use_edns=0, payload=512))
    assert reply.flags & dns.flags.TC
    assert (reply.edns, reply.answer) == (0, [])


def test_8_2_8_dnssec_ok_is_echoed(server):
    assert assert_answered(server, soa(want_dnssec=True), edns=0).ednsflags == dns.flags.DO


def test_8_2_9_an_unknown_version_with_dnssec_ok(server):
    reply = server.udp(soa(use_edns=1, ednsflags=dns.flags.DO))
    assert (reply.rcode(), reply.ednsflags & dns.flags.DO) == (dns.rcode.BADVERS, dns.flags.DO)


@pytest.mark.parametrize(
    ("options", "known"),
    [
        ([dns.edns.GenericOption(3, b"")], [3]),
        ([dns.edns.GenericOption(10, b"12345678")], [10]),
        ([dns.edns.ECSOption("0.0.0.0", 0)], [8]),
        ([dns.edns.GenericOption(9, b"")], []),
        ([dns.edns.GenericOption(11, b"")], []),
        ([dns.edns.GenericOption(12, bytes(64))], []),
        ([UNKNOWN, dns.edns.GenericOption(10, b"12345678"), dns.edns.GenericOption(3, b"")], [3, 10]),
    ],
    ids=["NSID", "COOKIE", "ECS", "EXPIRE", "KEEPALIVE", "PADDING", "several"],
)
def test_8_2_10_defined_options_are_answered_or_ignored_and_never_fatal(server, options, known):
    reply = assert_answered(server, soa(use_edns=0, options=options), edns=0)
    assert sorted(option.otype for option in reply.options) == known


def test_8_5_a_truncated_reply_still_has_its_opt(server):
    reply = server.udp(dns.message.make_query(f"big.{APEX}", "AAAA", use_edns=0, payload=512))
    assert reply.flags & dns.flags.TC
    assert (reply.edns, reply.answer) == (0, [])


@pytest.mark.parametrize("transport", ["udp", "tcp"])
@pytest.mark.parametrize("name", [APEX, f"nowhere.{APEX}", f"here.{APEX}"])
def test_8_2_10_everything_at_once_is_answered(server, name, transport):
    """DO, a large size, and every option that resolvers send today."""
    options = [dns.edns.GenericOption(3, b""), dns.edns.GenericOption(10, b"12345678"), dns.edns.ECSOption("192.0.2.0", 24),
               dns.edns.GenericOption(11, b"")]  # fmt: skip
    query = dns.message.make_query(name, "SOA", want_dnssec=True, payload=BIG, options=options)
    reply = getattr(server, transport)(query)
    assert reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN)
    assert {3, 8, 10} <= {option.otype for option in reply.options}
