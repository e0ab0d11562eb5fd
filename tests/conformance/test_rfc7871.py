"""RFC 7871: EDNS Client Subnet. The zone: 10.0.0.0/8 and 2001:db8:a::/48 are near."""

import dns.edns
import dns.message
import dns.rcode
import pytest

from tests.conformance.zone import APEX

NEAR, FAR = "192.0.2.10", "198.51.100.20"


def ask(server, name, option, qtype="A"):
    return server.udp(dns.message.make_query(f"{name}.{APEX}", qtype, use_edns=0, options=[option]))


def subnet(server, name, address, bits, qtype="A"):
    """The addresses and the one option of the reply."""
    reply = ask(server, name, dns.edns.ECSOption(address, bits), qtype)
    assert reply.rcode() == dns.rcode.NOERROR
    (echo,) = reply.options
    assert (echo.otype, echo.srclen) == (dns.edns.ECS, bits)
    return [rdata.address for rrset in reply.answer for rdata in rrset], echo


@pytest.mark.parametrize(
    ("address", "bits", "site", "scope"),
    [
        ("10.10.0.0", 16, NEAR, 8),
        ("10.255.255.255", 32, NEAR, 8),
        ("11.0.0.0", 24, FAR, 8),
        ("192.0.2.0", 24, FAR, 1),
        ("8.0.0.0", 5, FAR, 7),
        ("2001:db8:a::", 56, NEAR, 48),
        ("2001:db8:b::", 56, FAR, 48),
        ("3000::", 8, FAR, 4),
    ],
)
def test_7_2_1_the_scope_is_the_largest_prefix_with_the_same_answer(steered_server, address, bits, site, scope):
    """A scope longer than the source says that a longer source would have told more (section 7.2.1)."""
    addresses, echo = subnet(steered_server[0], "home", address, bits)
    assert addresses == [site]
    assert (echo.address, echo.scopelen) == (address, scope)


@pytest.mark.parametrize(
    ("address", "bits", "scope"), [("192.0.2.0", 24, 24), ("192.0.0.0", 16, 24), ("2001:db8::", 48, 56)]
)
def test_7_2_1_draws_by_client_hold_for_the_prefix_that_is_hashed(steered_server, address, bits, scope):
    assert subnet(steered_server[0], "drawn", address, bits)[1].scopelen == scope


def test_7_2_1_the_subnet_is_drawn_for_and_not_the_resolver(steered_server):
    drawn = {tuple(subnet(steered_server[0], "drawn", f"192.0.{n}.0", 24)[0]) for n in range(40)}
    assert drawn == {(NEAR,), (FAR,)}
    again = {tuple(subnet(steered_server[0], "drawn", "192.0.2.0", 24)[0]) for _ in range(20)}
    assert len(again) == 1


@pytest.mark.parametrize("name", ["chance", "all"])
def test_7_2_1_scope_0_where_the_client_does_not_matter(steered_server, name):
    assert subnet(steered_server[0], name, "10.10.0.0", 16)[1].scopelen == 0


@pytest.mark.parametrize(("name", "qtype"), [("", "SOA"), ("", "NS"), ("ns1", "A"), ("home", "TXT"), ("nowhere", "A")])
def test_7_4_scope_0_for_static_and_negative_answers(steered_server, name, qtype):
    message = dns.message.make_query(f"{name}.{APEX}".removeprefix("."), qtype, use_edns=0,
                                     options=[dns.edns.ECSOption("10.10.0.0", 16)])  # fmt: skip
    (echo,) = steered_server[0].udp(message).options
    assert echo.scopelen == 0


@pytest.mark.parametrize(("address", "bits"), [("0.0.0.0", 0), ("::", 0)])
def test_7_1_2_source_0_gives_scope_0_and_the_answer_of_the_resolver(steered_server, address, bits):
    addresses, echo = subnet(steered_server[0], "home", address, bits)
    assert (addresses, echo.scopelen) == ([FAR], 0)


def test_7_2_1_no_option_in_a_reply_to_a_query_without(steered_server):
    assert steered_server[0].ask("home", "A", use_edns=0).options == ()


BROKEN = {
    "empty": "",
    "too short": "000118",
    "unknown family": "00031800c00002",
    "family 0 with an address": "000008000a",
    "source too long": "00012100c000020100",
    "IPv6 source too long": "00028100" + "00" * 17,
    "address too short": "00011800c000",
    "address too long": "00011800c0000200",
    "bits behind the source": "00011700c00003",
    "a scope in a query": "00011818c00002",
}


@pytest.mark.parametrize("octets", BROKEN.values(), ids=BROKEN)
def test_7_1_2_a_malformed_option_is_a_format_error(steered_server, octets):
    query = dns.message.make_query(
        f"home.{APEX}", "A", use_edns=0, options=[dns.edns.GenericOption(8, bytes.fromhex(octets))]
    )
    assert steered_server[0].udp(query, raise_on_truncation=False, ignore_unexpected=True).rcode() == dns.rcode.FORMERR


def test_6_family_0_opts_out(steered_server):
    """What `dig +subnet=0` sends. dnspython and others cannot read it in a reply, so that it does not come back."""
    reply = ask(steered_server[0], "home", dns.edns.GenericOption(8, bytes(4)))
    assert (reply.rcode(), reply.options, reply.answer[0][0].address) == (dns.rcode.NOERROR, (), FAR)


def test_7_2_2_a_server_without_it_says_nothing_of_it(silent_server):
    reply = ask(silent_server, "shop", dns.edns.ECSOption("10.10.0.0", 16))
    assert (reply.rcode(), reply.options) == (dns.rcode.NOERROR, ())
