"""RFC 1034 section 4.3.2 for static records beside steered names: aliases, delegations, types, several zones, the apex.
RFC 3597: unknown types. RFC 4035 section 3.1.4.1: DS at a cut. RFC 9471: glue."""

import asyncio
import threading

import dns.flags
import dns.message
import dns.query
import dns.rcode
import dns.rdatatype
import pytest

from gslb.dns.responder import Responder
from tests.conformance.static_zone import APEX, LONG, tables

TIMEOUT_S = 10
DC, AWS = "192.0.2.10", "198.51.100.20"


@pytest.fixture(scope="module")
def ask(wire):
    """Asks a responder of this module: a name (relative to the zone unless it ends in a dot) and a type."""
    started, loop, stop, found = threading.Event(), asyncio.new_event_loop(), asyncio.Event(), []

    async def serve():
        responder = Responder(wire=wire)
        await responder.open([("127.0.7.4", 0)])
        responder.publish(tables())
        found.extend(responder.addresses())
        started.set()
        await stop.wait()
        await responder.close()

    def ask(name, qtype="A", transport=dns.query.udp, **more):
        full = name if name.endswith(".") else f"{name}.{APEX}".removeprefix("@.")
        host, port = found[0]
        return transport(dns.message.make_query(full, qtype, **more), host, TIMEOUT_S, port)

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(TIMEOUT_S)
    yield ask
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()


def lines(section):
    """`owner TYPE data` of each record, without the zone's name."""
    return [
        f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)} {rdata}".replace(f".{APEX}.", "")
        for rrset in section
        for rdata in rrset
    ]


def assert_negative(reply, rcode, apex=APEX):
    assert reply.rcode() == rcode
    assert reply.flags & dns.flags.AA
    (soa,) = reply.authority
    assert (str(soa.name), soa.rdtype) == (f"{apex}.", dns.rdatatype.SOA)


# The apex and the names beside the steered ones -----------------------------------------------------------------------


@pytest.mark.parametrize(("qtype", "among"), [("A", {DC, AWS}), ("AAAA", {"2001:db8:1::10", "2001:db8:2::20"})])
def test_1034_4_3_2_an_app_at_the_apex_is_steered_beside_soa_ns_and_mx(ask, qtype, among):
    reply = ask("@", qtype)
    (rrset,) = reply.answer
    assert (rrset.ttl, {rdata.address for rdata in rrset} <= among, len(rrset)) == (20, True, 1)
    assert lines(ask("@", "MX").answer) == [f"{APEX}. MX 10 mail"]
    assert ask("@", "SOA").answer[0][0].serial == 7
    assert {rdata.target.to_text() for rdata in ask("@", "NS").answer[0]} == {f"ns1.{APEX}.", f"ns2.{APEX}."}


def test_1034_4_3_2_a_steered_name_may_have_static_records_of_other_types(ask):
    assert lines(ask("shop", "TXT").answer) == ['shop TXT "beside a steered name"']
    assert ask("shop", "A").answer[0].ttl == 20


@pytest.mark.parametrize(("name", "qtype"), [("@", "MX"), ("srv", "SRV"), ("@", "NS")])
def test_2181_9_addresses_of_targets_are_not_volunteered(ask, name, qtype):
    reply = ask(name, qtype)
    assert reply.answer
    assert reply.additional == []


def test_2181_9_a_static_rrset_that_does_not_fit_leaves_tc(ask):
    reply = ask("big", "TXT", use_edns=0)
    assert reply.flags & dns.flags.TC
    assert reply.answer == []
    assert len(ask("big", "TXT", dns.query.tcp).answer[0][0].strings) == 6


TYPES = {
    "TYPE65280": "\\# 3 010203",
    "NAPTR": '100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!" .',
    "SSHFP": "1 1 123456789abcdef67890123456789abcdef67890",
    "TLSA": f"3 1 1 {'0' * 64}",
    "HTTPS": '1 . alpn="h2"',
    "LOC": "50 6 36.000 N 8 40 48.000 E 100.00m",
    "HINFO": '"PDP-11" "UNIX"',
    "PTR": f"Mixed.Case.{APEX}.",
    "A": "192.0.2.1",
}


@pytest.mark.parametrize("qtype", TYPES)
def test_3597_3_every_type_is_served(ask, qtype):
    (rrset,) = ask("types", qtype).answer
    assert [str(rdata) for rdata in rrset] == [TYPES[qtype]]
    assert rrset.ttl == 300


def test_8482_4_2_any_is_still_the_one_hinfo_record(ask):
    for name in ("types", "www", "@", "x.wild"):
        assert lines(ask(name, "ANY").answer)[0].endswith(' HINFO "RFC8482" ""')
    assert ask("ent", "ANY").answer == []
    assert ask("nowhere", "ANY").rcode() == dns.rcode.NXDOMAIN


# Aliases --------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "path"), [("www", ["www CNAME shop"]), ("twice", ["twice CNAME WWW", "WWW CNAME shop"])]
)
def test_1034_3_6_2_an_alias_of_a_steered_name_is_followed_by_its_own_draw(ask, name, path):
    drawn = set()
    for number in range(40):
        reply = ask(name, "A", flags=0, id=number)
        *aliases, address = lines(reply.answer)
        assert [line.lower() for line in aliases] == [line.lower() for line in path]
        assert address.startswith("shop A ")
        assert reply.flags & dns.flags.AA
        drawn.add(address.split()[-1])
    assert len(drawn) == 1, "by window: one client keeps its site, whichever name it asks for"
    assert drawn == {ask("shop").answer[0][0].address}


def test_1034_3_6_2_the_alias_itself_is_not_followed(ask):
    assert lines(ask("www", "CNAME").answer) == ["www CNAME shop"]


@pytest.mark.parametrize(("name", "target"), [("out", "www.example.net."), ("org", "shop.example.org.")])
def test_1034_4_3_2_what_lies_outside_the_zone_is_left_alone(ask, name, target):
    reply = ask(name)
    assert lines(reply.answer) == [f"{name} CNAME {target}"]
    assert (reply.rcode(), reply.authority) == (dns.rcode.NOERROR, [])


def test_6604_3_the_end_of_the_chain_decides_the_rcode(ask):
    dangling = ask("dangling")
    assert_negative(dangling, dns.rcode.NXDOMAIN)
    assert lines(dangling.answer) == ["dangling CNAME nowhere"]
    for name, qtype in (("nodata", "TXT"), ("to-ent", "A")):
        assert_negative(ask(name, qtype), dns.rcode.NOERROR)


@pytest.mark.parametrize(
    ("name", "count"), [("loop1", 2), ("self", 1), ("chain0", 16), ("round", None), ("x.round", None)]
)
def test_1034_5_2_2_chains_end(ask, name, count):
    reply = ask(name, transport=dns.query.tcp)
    assert len(reply.answer) == count or count is None
    assert reply.rcode() == dns.rcode.NOERROR
    assert len(reply.answer) <= 32


# Delegations ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["child", "www.child", "a.b.child", "ns.child"])
@pytest.mark.parametrize("qtype", ["A", "NS", "ANY", "SOA"])
def test_1034_4_3_2_at_and_below_a_cut_others_are_named(ask, name, qtype):
    reply = ask(name, qtype)
    assert (reply.rcode(), reply.answer) == (dns.rcode.NOERROR, [])
    assert not reply.flags & dns.flags.AA
    assert sorted(lines(reply.authority)) == ["child NS mail", "child NS ns.child", "child NS ns.example.net."]
    assert {"ns.child A 192.0.2.53", "ns.child AAAA 2001:db8::5353"} <= set(lines(reply.additional))


def test_4035_3_1_4_1_the_ds_records_of_a_cut_are_ours(ask):
    reply = ask("child", "DS")
    assert reply.flags & dns.flags.AA
    assert reply.answer[0][0].key_tag == 4711
    assert_negative(ask("bare", "DS"), dns.rcode.NOERROR)
    assert not ask("x.child", "DS").flags & dns.flags.AA


def test_1034_4_3_2_an_alias_into_a_delegation_ends_in_a_referral(ask):
    reply = ask("to-child")
    assert lines(reply.answer) == ["to-child CNAME www.child"]
    assert "child NS ns.child" in lines(reply.authority)
    assert reply.flags & dns.flags.AA, "of the first name in the answer (RFC 1035 section 4.1.1)"


def test_9471_3_glue_that_does_not_fit_leaves_tc(ask):
    cut = ask("x.wide-cut")
    assert cut.flags & dns.flags.TC
    whole = ask("x.wide-cut", transport=dns.query.tcp)
    assert len(whole.authority[0]) == 13
    assert f"{LONG}.a.wide-cut A 192.0.2.53" in lines(whole.additional)


# Several zones --------------------------------------------------------------------------------------------------------


def test_1034_4_3_2_the_nearest_zone_answers(ask):
    assert ask("example.org.").answer[0][0].address == "192.0.2.80"
    assert lines(ask("x.example.org.", "TXT").answer) == ['x.example.org. TXT "any of example.org"']
    assert_negative(ask("x.inner.example.org.", "TXT"), dns.rcode.NXDOMAIN, "inner.example.org")
    assert_negative(ask("inner.example.org.", "TXT"), dns.rcode.NOERROR, "inner.example.org")
    assert ask("inner.example.org.", "NS").flags & dns.flags.AA


def test_4035_3_1_4_1_the_ds_records_of_an_apex_belong_to_the_zone_above(ask):
    assert ask("inner.example.org.", "DS").answer[0][0].key_tag == 1
    assert_negative(ask("example.org.", "DS"), dns.rcode.NOERROR, "example.org")


def test_1034_4_3_2_an_app_is_answered_in_the_zone_that_its_host_lies_in(ask):
    assert ask("shop.example.org.").answer[0][0].address in (DC, AWS)
    assert_negative(ask("shop.example.org.", "TXT"), dns.rcode.NOERROR, "example.org")


@pytest.mark.parametrize("name", ["www.example.net.", "org.", ".", "xexample.org.", "example.com."])
def test_1034_4_3_2_outside_all_zones_is_refused(ask, name):
    reply = ask(name)
    assert (reply.rcode(), reply.answer, reply.authority) == (dns.rcode.REFUSED, [], [])
