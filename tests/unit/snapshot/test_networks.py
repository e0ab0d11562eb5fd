"""A value for each network of clients: nested as people write, flat as machines look up."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from gslb.snapshot.networks import NetworkMap, Spans, network_map, overlay


def ip(text):
    return ipaddress.ip_address(text)


def made(**networks):
    return network_map((ipaddress.ip_network(network), value) for value, network in networks.items())


def test_nothing_is_known_of_anybody_at_first():
    assert NetworkMap().find(ip("192.0.2.1")) == NetworkMap().find(ip("::1")) == (None, 0)
    assert network_map([]) == NetworkMap()


def test_the_longest_prefix_counts_and_bits_tell_how_far_it_holds():
    found = made(a="10.0.0.0/8", b="10.1.0.0/16", c="2001:db8::/32")
    assert found.find(ip("10.10.0.0")) == ("a", 13), "a shorter prefix would hold 10.1.0.0"
    assert found.find(ip("10.1.2.3")) == ("b", 16)
    assert found.find(ip("10.200.0.0")) == ("a", 9)
    assert found.find(ip("11.0.0.0")) == (None, 8)
    assert found.find(ip("192.0.2.1")) == (None, 1)
    assert found.find(ip("2001:db8:1::")) == ("c", 32)


def test_a_subnet_in_a_map_of_one_network_depends_on_that_network():
    assert made(a="10.0.0.0/8").find(ip("10.10.0.0")) == ("a", 8)
    assert made(a="0.0.0.0/0").find(ip("10.10.0.0")) == ("a", 0)


def test_neighbours_that_are_alike_are_one():
    same = network_map([(ipaddress.ip_network(n), "x") for n in ("10.0.0.0/9", "10.128.0.0/9")])
    assert same.v4.starts == (0, 10 << 24, 11 << 24)
    assert same.find(ip("10.129.0.0")) == ("x", 8)
    assert Spans((0, 5, 9), ("a", "b", "c")).mapped(lambda value: value == "c") == Spans((0, 9), (False, True))


def test_mapping_asks_once_for_each_value():
    asked = []
    Spans(tuple(range(100)), ("a", "b") * 50).mapped(asked.append)
    assert asked == ["a", "b"]


def test_layers_are_told_together():
    layers = [Spans((0, 10), ("a", "b")), Spans((0, 5, 10), (1, 2, 3))]
    assert overlay(layers) == Spans((0, 5, 10), (("a", 1), ("a", 2), ("b", 3)))
    assert overlay(layers[:1]) == layers[0]
    assert overlay([]) == Spans((0,), ((),))


def test_the_ends_of_the_address_space():
    found = made(a="0.0.0.0/1", b="128.0.0.0/1", c="255.255.255.255/32", d="::/0", e="ffff::/16")
    assert [found.find(ip(a))[0] for a in ("0.0.0.0", "127.255.255.255", "128.0.0.0", "255.255.255.255")] == list(
        "aabc"
    )
    assert [found.find(ip(a))[0] for a in ("::", "fffe::", "ffff::", "ffff:ffff::ffff")] == list("ddee")
    assert found.v4.starts[-1] == 2**32 - 1


NETWORKS = st.tuples(st.integers(0, 255), st.integers(24, 32)).map(
    lambda made: ipaddress.ip_network((0x0A000000 + made[0], made[1]), strict=False)
)


@given(st.lists(st.tuples(NETWORKS, st.integers(0, 3)), max_size=12), st.integers(0, 255), st.integers(0, 255))
def test_flat_is_what_longest_match_says_and_every_client_of_the_prefix_has_it(networks, one, other):
    client, neighbour = (ipaddress.IPv4Address(0x0A000000 + n) for n in (one, other))
    found = network_map(networks)

    def longest(who):
        inside = [(n.prefixlen, place, v) for place, (n, v) in enumerate(networks) if who in n]
        return max(inside)[2] if inside else None

    value, bits = found.find(client)
    assert value == longest(client)
    if neighbour in ipaddress.ip_network((client, bits), strict=False):
        assert longest(neighbour) == value
