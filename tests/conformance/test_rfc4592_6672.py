"""RFC 4592: wildcards and empty non-terminals. RFC 6672: DNAME."""

import dns.flags
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from tests.conformance.test_rfc1034_static import APEX, LONG, ask, assert_negative, lines

__all__ = ["ask"]  # the fixture


@pytest.mark.parametrize("name", ["x.wild", "x.y.z.wild", "*.wild", "_443._tcp.wild"])
def test_4592_3_3_1_a_wildcard_stands_for_names_below_its_parent(ask, name):
    reply = ask(name)
    assert lines(reply.answer) == [f"{name} A 192.0.2.99"]
    assert reply.flags & dns.flags.AA
    assert lines(ask(name, "MX").answer) == [f"{name} MX 10 mail"]


def test_4592_2_2_2_a_name_that_exists_is_not_covered(ask):
    for name in ("exact.wild", "b.wild", "a.b.wild", "wild"):
        assert_negative(ask(name), dns.rcode.NOERROR)


def test_4592_3_3_1_the_closest_encloser_has_no_wildcard(ask):
    for name in ("x.b.wild", "x.exact.wild", "x.*.wild"):
        assert_negative(ask(name), dns.rcode.NXDOMAIN)


def test_4592_2_2_1_a_type_that_the_wildcard_does_not_have(ask):
    assert_negative(ask("x.wild", "AAAA"), dns.rcode.NOERROR)


def test_4592_2_2_2_an_empty_wildcard_is_a_wildcard(ask):
    """`*.star.ent` makes `star.ent` and `ent` exist; `under.ent` is empty as well."""
    for name in ("ent", "star.ent", "under.ent"):
        assert_negative(ask(name, "TXT"), dns.rcode.NOERROR)
    assert lines(ask("x.star.ent", "TXT").answer) == ['x.star.ent TXT "deep"']


def test_4592_4_4_a_wildcard_may_be_an_alias_of_a_steered_name(ask):
    alias, address = lines(ask("x.alias").answer)
    assert alias == "x.alias CNAME shop"
    assert address.startswith("shop A ")
    assert lines(ask("x.alias", "CNAME").answer) == ["x.alias CNAME shop"]


# DNAME ----------------------------------------------------------------------------------------------------------------


def test_6672_2_2_names_below_are_renamed_with_a_cname_of_the_same_ttl(ask):
    reply = ask("HOST.Old")
    assert lines(reply.answer) == ["Old DNAME new", "HOST.Old CNAME host.new", "host.new A 192.0.2.71"]
    assert {rrset.ttl for rrset in reply.answer} == {300}
    assert reply.flags & dns.flags.AA


def test_6672_2_3_the_owner_itself_is_not_renamed(ask):
    assert lines(ask("old", "TXT").answer) == ['old TXT "of the owner itself"']
    assert lines(ask("old", "DNAME").answer) == ["old DNAME new"]
    assert_negative(ask("old", "A"), dns.rcode.NOERROR)


def test_6672_3_2_the_chain_goes_on_behind_it(ask):
    assert lines(ask("to-old").answer) == [
        "to-old CNAME host.old", "old DNAME new", "host.old CNAME host.new", "host.new A 192.0.2.71",
    ]  # fmt: skip
    reply = ask("none.old")
    assert_negative(reply, dns.rcode.NXDOMAIN)
    assert lines(reply.answer) == ["old DNAME new", "none.old CNAME none.new"]


def test_6672_3_2_a_target_elsewhere_is_left_alone(ask):
    reply = ask("a.b.far")
    assert lines(reply.answer) == ["far DNAME example.net.", "a.b.far CNAME a.b.example.net."]
    assert (reply.rcode(), reply.authority) == (dns.rcode.NOERROR, [])


def test_6672_2_2_a_name_that_becomes_too_long_is_yxdomain(ask):
    reply = ask(f"{'y' * 60}.wide", transport=dns.query.tcp)
    assert reply.rcode() == dns.rcode.YXDOMAIN
    assert [rrset.rdtype for rrset in reply.answer] == [dns.rdatatype.DNAME]
    assert str(reply.answer[0][0].target) == f"{LONG}.{APEX}."
    assert reply.flags & dns.flags.AA
    assert ask("y.wide").rcode() == dns.rcode.NXDOMAIN


def test_6672_3_1_a_dname_that_applies_again_and_again_stands_in_the_answer_once(ask):
    """x.grow, x.y.back, x.y.grow, x.y.y.back ..."""
    reply = ask("x.grow", transport=dns.query.tcp)
    assert [rrset.rdtype for rrset in reply.answer].count(dns.rdatatype.DNAME) == 2
    assert [rrset.rdtype for rrset in reply.answer].count(dns.rdatatype.CNAME) == 16
    assert reply.rcode() == dns.rcode.NOERROR
