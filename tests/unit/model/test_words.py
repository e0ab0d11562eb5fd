"""The small written forms."""

import ipaddress

import pytest
from pydantic import TypeAdapter, ValidationError

from gslb.model.words import (
    Address,
    DnsName,
    Mailbox,
    Name,
    Network,
    Percent,
    format_duration,
    parse_duration,
    parse_endpoint,
)


@pytest.mark.parametrize(
    ("text", "seconds"), [("500ms", 0.5), ("2s", 2), ("1h30m", 5400), ("1.5s", 1.5), ("1d", 86400)]
)
def test_durations(text, seconds):
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "5", "s", "5 s", "-5s", "5s ", "٣s", "1e3s", 5, None, True])
def test_what_is_no_duration(text):
    with pytest.raises(ValueError, match="a number with its unit"):
        parse_duration(text)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.5, "500ms"), (90, "90s"), (3600, "1h"), (86400, "1d"), (1.0005, "1.0005s")]
)
def test_durations_are_written_short(seconds, text):
    assert format_duration(seconds) == text


@pytest.mark.parametrize(
    ("text", "endpoint"),
    [
        ("10.1.0.11:8080", ("10.1.0.11", 8080)),
        ("[2001:DB8::1]:80", ("2001:db8::1", 80)),
        ("App2.dc.internal:8080", ("app2.dc.internal", 8080)),
    ],
)
def test_endpoints(text, endpoint):
    assert parse_endpoint(text) == endpoint


@pytest.mark.parametrize(
    "text",
    [
        "10.1.0.11",
        "10.1.0:80",
        "10.1.0.999:80",
        "[2001:db8::1:80",
        "[x]:80",
        "2001:db8::1:80",
        "a b:80",
        ":80",
        "a:0",
        "a:65536",
        "a:٣",
    ],
)
def test_what_is_no_endpoint(text):
    with pytest.raises(ValueError, match="is not an endpoint; write HOST:PORT"):
        parse_endpoint(text)


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Percent, "95%", 95.0),
        (Percent, 0.01, 0.01),
        (Percent, 33.33, 33.33),
        (Address, "2001:DB8::1", ipaddress.ip_address("2001:db8::1")),
        (Network, "10.0.0.0/8", ipaddress.ip_network("10.0.0.0/8")),
        (DnsName, "Shop.Example.", "shop.example."),
        (Name, "shop-v2", "shop-v2"),
        (Mailbox, "Host@Example.com", "host.example.com"),
    ],
)
def test_values(kind, text, value):
    adapter = TypeAdapter(kind)
    assert adapter.validate_python(text) == value
    assert adapter.validate_python(value) == value


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        *[(Percent, text) for text in (-1, 100.01, 0.001, "x", "", True, None, [], "nan%", 10**400)],
        *[(Address, text) for text in ("10.0.0", 5, None)],
        *[(Network, text) for text in ("10.0.0.1/8", "x", 10.5)],
        *[(DnsName, text) for text in ("", ".", "a..b", "-a", "a" * 64, ".".join(["a" * 63] * 5))],
        *[(Name, text) for text in ("Shop", "-a", "a_b", "", "a" * 64)],
        *[(Mailbox, text) for text in ("a.b@c", "@c", "a@", "a b")],
    ],
)
def test_what_is_refused(kind, text):
    with pytest.raises(ValidationError, match=r"; (write|use) "):
        TypeAdapter(kind).validate_python(text)
