"""RFC 2181 section 9: truncation. RFC 2308: negative answers. RFC 8020: empty non-terminals."""

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import pytest

from tests.conformance.zone import APEX, MANY, REVISION, SOME


def assert_negative(reply, rcode):
    assert reply.rcode() == rcode
    assert reply.flags & dns.flags.AA
    assert reply.answer == []
    (soa,) = reply.authority
    assert (str(soa.name), soa.rdtype, soa[0].serial) == (f"{APEX}.", dns.rdatatype.SOA, REVISION)
    assert soa.ttl == min(30, soa[0].minimum)


@pytest.mark.parametrize("name", ["nowhere", "under.shop", "a.b.c.d", "here.deep", "*", "_tcp.shop", "x" * 63])
def test_2308_2_1_a_name_that_does_not_exist(server, name):
    assert_negative(server.ask(name, "A"), dns.rcode.NXDOMAIN)


@pytest.mark.parametrize(
    ("name", "qtype"), [("shop", "TXT"), ("", "A"), ("legacy", "AAAA"), ("ns2", "AAAA"), ("", "DS"), ("shop", "NS")]
)
def test_2308_2_2_a_type_that_the_name_does_not_have(server, name, qtype):
    assert_negative(server.ask(name, qtype), dns.rcode.NOERROR)


@pytest.mark.parametrize("name", ["here", "under.here"])
@pytest.mark.parametrize("qtype", ["A", "ANY"])
def test_8020_3_1_what_lies_between_a_name_and_the_apex_exists(server, name, qtype):
    assert_negative(server.ask(name, qtype), dns.rcode.NOERROR)


@pytest.mark.parametrize("qtype", ["A", "AAAA"])
def test_2181_9_an_rrset_that_does_not_fit_goes_as_a_whole_and_leaves_tc(server, qtype):
    reply = server.ask("big", qtype)
    assert reply.flags & dns.flags.TC
    assert (reply.answer, reply.authority, reply.additional) == ([], [], [])


def test_2181_9_the_same_question_fits_over_tcp(server):
    for qtype, addresses in (("A", SOME), ("AAAA", MANY)):
        reply = server.tcp(dns.message.make_query(f"big.{APEX}", qtype))
        assert not reply.flags & dns.flags.TC
        assert {rdata.address for rdata in reply.answer[0]} == set(addresses)
