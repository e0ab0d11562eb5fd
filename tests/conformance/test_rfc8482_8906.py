"""RFC 8482: minimal answers to ANY. RFC 8906 section 8: what a server must survive; the EDNS probes stand in rfc6891."""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from tests.conformance.zone import APEX


@pytest.mark.parametrize("name", ["", "shop", "ns1", "big"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_8482_4_2_any_is_answered_with_one_hinfo_record(server, name, transport):
    query = dns.message.make_query(f"{name}.{APEX}".removeprefix("."), "ANY")
    (rrset,) = getattr(server, transport)(query).answer
    assert (rrset.rdtype, len(rrset), rrset[0].cpu, rrset[0].os) == (dns.rdatatype.HINFO, 1, b"RFC8482", b"")


def test_8482_4_2_any_does_not_make_a_name_exist(server):
    assert server.ask("nowhere", "ANY").rcode() == dns.rcode.NXDOMAIN


def test_8482_4_2_hinfo_itself_is_not_there(server):
    reply = server.ask("shop", "HINFO")
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])


@pytest.mark.parametrize("qtype", ["TYPE666", "TYPE1000", "TYPE65280", "TYPE65535"])
def test_8906_8_1_2_unknown_types_are_no_error(server, qtype):
    reply = server.ask("shop", qtype)
    assert (reply.rcode(), reply.answer, len(reply.authority)) == (dns.rcode.NOERROR, [], 1)


def test_8906_8_1_3_1_cd_and_ad_bits_do_no_harm(server):
    assert server.ask("shop", "A", flags=dns.flags.CD | dns.flags.AD).rcode() == dns.rcode.NOERROR


def test_8906_8_1_3_3_the_last_header_bit_is_ignored_and_cleared(server):
    query = dns.message.make_query(f"shop.{APEX}", "A", flags=0x0040)
    reply = server.udp(query)
    assert reply.rcode() == dns.rcode.NOERROR
    assert not reply.flags & 0x0040


def test_8906_8_1_4_unknown_opcodes_are_not_implemented(server):
    query = dns.message.make_query(f"shop.{APEX}", "A")
    query.set_opcode(15)
    assert server.udp(query, ignore_trailing=True).rcode() == dns.rcode.NOTIMP


def test_8906_8_1_5_tcp_is_served(server):
    assert server.tcp(dns.message.make_query(APEX, "SOA")).rcode() == dns.rcode.NOERROR
