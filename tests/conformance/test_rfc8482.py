"""RFC 8482: minimal answers to ANY."""

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
