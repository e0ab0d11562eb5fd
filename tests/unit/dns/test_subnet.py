"""EDNS Client Subnet: what is read, what is refused, and the scope of replies against counting every client."""

import ipaddress
from ipaddress import ip_address

import pytest

from gslb.dns.subnet import Subnet, parse_subnet, scope_bits
from gslb.dns.tables import Body, Choice, Ranges, Variant
from gslb.errors import WireError

FORMERR = 1


@pytest.mark.parametrize(
    ("option", "address"),
    [
        ("0001 18 00 c00002", "192.0.2.0"),
        ("0001 20 00 c0000201", "192.0.2.1"),
        ("0001 09 00 0a80", "10.128.0.0"),
        ("0002 38 00 20010db8000a00", "2001:db8:a::"),
        ("0002 80 00 20010db8000000000000000000000001", "2001:db8::1"),
    ],
)
def test_what_is_read(option, address):
    octets = bytes.fromhex(option)
    assert parse_subnet(octets) == Subnet(ip_address(address).packed, octets)


def test_no_family_is_as_good_as_no_option():
    assert parse_subnet(bytes(4)) is None


@pytest.mark.parametrize("family", [1, 2])
def test_source_0_tells_nobody_apart(family):
    octets = family.to_bytes(2) + b"\0\0"
    assert parse_subnet(octets) == Subnet(None, octets)


@pytest.mark.parametrize(
    "option",
    [
        "", "0001 18", "0003 00 00", "0000 08 00 0a", "ffff 18 00 c00002", "0001 21 00 c000020100", "0002 81 00" + "00" * 17,
        "0001 18 00 c000", "0001 18 00 c0000200", "0001 00 00 00", "0001 17 00 c00003", "0001 09 00 0ac0",
        "0002 01 00 40", "0001 18 18 c00002", "0001 00 01",
    ],
)  # fmt: skip
def test_what_is_refused(option):
    with pytest.raises(WireError) as caught:
        parse_subnet(bytes.fromhex(option))
    assert caught.value.rcode == FORMERR


def test_the_echo_differs_in_its_scope_alone():
    assert parse_subnet(bytes.fromhex("0001 18 00 c00002")).echo(20) == bytes.fromhex("0001 18 14 c00002")


def choice(name, *, count=1, by="client"):
    return Choice(by, tuple(Variant((name,), 1 / count, n, 2**32, Body()) for n in range(count)))


def ranges(*starts_and_choices):
    starts, choices = zip(*starts_and_choices, strict=True)
    return Ranges((b"", *(ip_address(text).packed for text in starts[1:])), choices)


ALONE = ranges(("", choice("dc")))
TEN = ranges(("", choice("else")), ("10.0.0.0", choice("dc")), ("11.0.0.0", choice("else")))


@pytest.mark.parametrize(
    ("client", "bits"),
    [("10.10.0.0", 8), ("10.255.255.255", 8), ("11.0.0.0", 8), ("9.9.9.9", 7), ("0.0.0.0", 5), ("192.0.2.1", 1)],
)
def test_the_scope_is_that_of_the_map_that_matched(client, bits):
    assert scope_bits(TEN, ip_address(client).packed) == bits


def test_scope_0_where_all_are_told_the_same():
    assert scope_bits(ALONE, ip_address("192.0.2.1").packed) == 0
    assert scope_bits(ALONE, ip_address("2001:db8::1").packed) == 0


@pytest.mark.parametrize(("by", "v4", "v6"), [("client", 24, 56), ("window", 24, 56), ("answer", 0, 0)])
def test_draws_that_hash_the_client_hold_for_its_prefix(by, v4, v6):
    drawn = ranges(("", choice("any", count=2, by=by)))
    assert scope_bits(drawn, ip_address("192.0.2.1").packed) == v4
    assert scope_bits(drawn, ip_address("2001:db8::1").packed) == v6


def test_a_class_narrower_than_the_draw_has_its_own_scope():
    narrow = ranges(("", choice("else")), ("192.0.2.16", choice("dc", count=2)), ("192.0.2.32", choice("else")))
    assert scope_bits(narrow, ip_address("192.0.2.17").packed) == 28


@pytest.mark.parametrize("cuts", [(), (1,), (128,), (96, 160), (3, 5, 6, 7, 200, 255)])
def test_the_scope_is_the_shortest_prefix_without_strangers(cuts):
    """Every last octet of one /24, whose neighbours belong to others, against prefixes tried one by one."""
    base = int(ip_address("192.0.2.0"))
    starts = [base, *(base + cut for cut in cuts), base + 256]
    table = Ranges(
        (b"", *(start.to_bytes(4) for start in starts)), tuple(choice(str(n)) for n in range(len(starts) + 1))
    )
    for last in range(256):
        client = ip_address(base + last)
        whole = table.choice(client.packed)
        for bits in range(33):
            network = ipaddress.ip_network((client, bits), strict=False)
            inside = [start for start in starts if int(network[0]) < start <= int(network[-1])]
            if not inside and table.choice(network[0].packed) is whole:
                break
        assert scope_bits(table, client.packed) == bits
