"""Response rate limiting: rates, bursts, prefixes, kinds, exemptions."""

from ipaddress import ip_address, ip_network

import pytest

from gslb.dns.ratelimit import Limiter


def allowed(limiter, address, times, mono_s, kind=b"shop"):
    packed = ip_address(address).packed
    return sum(limiter.take(packed, kind, mono_s) for _ in range(times))


@pytest.mark.parametrize("per_s", [1, 7, 200, 10_000])
@pytest.mark.parametrize("mono_s", [0.0, 12_345_678.9])
def test_a_second_s_worth_at_once_and_then_the_rate(per_s, mono_s):
    limiter = Limiter(per_s)
    assert allowed(limiter, "192.0.2.1", 2 * per_s, mono_s) == per_s
    assert allowed(limiter, "192.0.2.1", 2 * per_s, mono_s + 1.0) == per_s
    assert allowed(limiter, "192.0.2.1", 2 * per_s, mono_s + 60.0) == per_s, "silence does not save up"


def test_steady_traffic_at_the_rate_is_never_limited_and_twice_of_it_by_half():
    limiter = Limiter(100)
    assert all(limiter.take(bytes(4), b"", step / 100) for step in range(5000))
    passed = sum(limiter.take(b"\1\1\1\1", b"", step / 200) for step in range(5000))
    assert 2500 <= passed <= 2500 + 101


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.254", True),
        ("192.0.2.1", "192.0.3.1", False),
        ("2001:db8:0:aa00::1", "2001:db8:0:aaff::1", True),
        ("2001:db8:0:aa00::1", "2001:db8:0:ab00::1", False),
    ],
)
def test_networks(one, other, same):
    limiter = Limiter(5)
    assert allowed(limiter, one, 5, 0.0) == 5
    assert allowed(limiter, other, 5, 0.0) == (0 if same else 5)


def test_kinds_have_a_bucket_each():
    limiter = Limiter(5)
    assert [allowed(limiter, "192.0.2.1", 9, 0.0, kind) for kind in (b"shop", b"zone", b"")] == [5, 5, 5]


def test_exempt_networks():
    limiter = Limiter(5, [ip_network("192.0.2.0/28"), ip_network("2001:db8::/32")])
    for address in ("192.0.2.0", "192.0.2.15", "2001:db8:ffff:ffff::1"):
        assert allowed(limiter, address, 100, 0.0) == 100
    for address in ("192.0.2.16", "192.0.1.255", "2001:db9::1", "32.1.13.184"):
        assert allowed(limiter, address, 100, 0.0) == 5


def test_what_is_refused_does_not_prolong_it():
    limiter = Limiter(10)
    allowed(limiter, "192.0.2.1", 10_000, 0.0)
    assert allowed(limiter, "192.0.2.1", 1, 0.11) == 1


def test_a_flood_of_invented_networks_limits_nobody_else():
    """100,000 networks in a second: the buckets that two share are far from full."""
    limiter = Limiter(200)
    for number in range(100_000):
        limiter.take((number << 8).to_bytes(4), b"zone", number / 100_000)
    assert allowed(limiter, "203.0.113.1", 100, 1.0) == 100
