"""RFC 5001: NSID. RFC 8914: extended errors. RFC 4892: the names of class CHAOS."""

import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest

from tests.conformance.conftest import IDENTITY
from tests.conformance.zone import APEX

NSID = dns.edns.GenericOption(3, b"")


@pytest.mark.parametrize("name", [f"shop.{APEX}", f"nowhere.{APEX}", "www.example.org"])
def test_5001_2_2_who_answered(server, name):
    reply = server.udp(dns.message.make_query(name, "A", use_edns=0, options=[NSID]))
    assert [bytes(option.nsid) for option in reply.options if option.otype == dns.edns.NSID] == [IDENTITY]


def test_5001_2_1_only_for_those_who_ask_and_only_if_the_operator_lets(server, silent_server):
    assert server.ask("shop", "A", use_edns=0).options == ()
    assert silent_server.ask("shop", "A", use_edns=0, options=[NSID]).options == ()


def error_of(reply):
    assert reply.rcode() == dns.rcode.REFUSED
    (option,) = reply.options
    return option.code


def test_8914_4_21_not_authoritative_for_other_zones(server):
    assert error_of(server.udp(dns.message.make_query("www.example.org", "A", use_edns=0))) == 20


@pytest.mark.parametrize(("name", "qtype", "rdclass"), [(APEX, "AXFR", "IN"), ("version.bind", "TXT", "CH")])
def test_8914_4_19_prohibited_is_what_exists_and_is_not_given(server, name, qtype, rdclass):
    assert error_of(server.udp(dns.message.make_query(name, qtype, rdclass, use_edns=0))) == 18


def test_8914_2_no_option_without_edns(server):
    assert server.udp(dns.message.make_query("www.example.org", "A")).edns == -1


@pytest.mark.parametrize("name", ["id.server", "hostname.bind", "ID.Server"])
@pytest.mark.parametrize("transport", ["udp", "tcp"])
def test_4892_2_id_server(server, name, transport):
    reply = getattr(server, transport)(dns.message.make_query(name, "TXT", "CH"))
    assert [(rrset.rdclass, rrset[0].strings, rrset.ttl) for rrset in reply.answer] == [(3, (IDENTITY,), 0)]
    assert reply.flags & dns.flags.AA


@pytest.mark.parametrize(
    ("name", "qtype"),
    [("version.bind", "TXT"), ("id.server", "A"), ("authors.bind", "TXT"), (APEX, "TXT"), (".", "TXT")],
)
def test_4892_2_everything_else_of_class_chaos_is_refused(server, name, qtype):
    assert server.udp(dns.message.make_query(name, qtype, "CH")).rcode() == dns.rcode.REFUSED


def test_4892_3_nothing_is_told_unless_the_operator_lets(silent_server):
    for name in ("id.server", "hostname.bind", "version.bind", "version.server"):
        assert silent_server.udp(dns.message.make_query(name, "TXT", "CH")).rcode() == dns.rcode.REFUSED
