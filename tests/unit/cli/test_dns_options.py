"""The options of `gslb run` for DNS, as they arrive in the settings."""

import ipaddress
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from gslb.cli.dns_options import dns_options, take_dns_options
from gslb.roles.settings import DnsSettings


def given(*arguments):
    """The settings for a command line; what click refuses as text."""
    taken = []

    @click.command()
    @dns_options
    def command(**options):
        taken.append(DnsSettings(**take_dns_options(options)))

    result = CliRunner().invoke(command, arguments)
    return taken[0] if taken else result.output


def test_defaults():
    assert given() == DnsSettings(rate_limit=200)
    assert given().proxies == (ipaddress.ip_network("127.0.0.0/8"), ipaddress.ip_network("::1/128"))


def test_everything():
    settings = given(
        "--dns-proxy", "192.0.2.53:5353", "--dns-proxy", "[::1]:5353", "--dns-proxy-from", "10.0.0.0/8", "--dns-rate-limit", "0",
        "--dns-rate-limit-exempt", "192.0.2.1", "--dns-rate-limit-exempt", "2001:db8::/32", "--dns-cookie-secret", "secret",
        "--no-ecs", "--dns-identity", "ns1.berlin", "--dns-tell-version", "--dns-log", "queries.log", "--dns-log-dnstap",
        "unix:/run/tap.sock", "--dns-log-sample", "10", "--dns-log-full-addresses",
        "--dns-threads", "3",
    )  # fmt: skip
    assert settings == DnsSettings(
        rate_limit=0,
        rate_limit_exempt=(ipaddress.ip_network("192.0.2.1/32"), ipaddress.ip_network("2001:db8::/32")),
        cookie_secret=Path("secret").absolute(),
        ecs=False,
        identity="ns1.berlin",
        tell_version=True,
        proxied=(("192.0.2.53", 5353), ("::1", 5353)),
        proxies=(ipaddress.ip_network("10.0.0.0/8"),),
        log=str(Path("queries.log").absolute()),
        log_dnstap="unix:/run/tap.sock",
        log_sample=10,
        log_full_addresses=True,
        threads=3,
    )
    assert DnsSettings.model_validate_json(settings.model_dump_json()) == settings


def test_the_log_on_stderr():
    assert given("--dns-log", "-").log == "-"


@pytest.mark.parametrize(
    ("arguments", "remedy"),
    [
        (("--dns-proxy-from", "10.0.0.1/8"), "10.0.0.0/8 or 2001:db8::/32"),
        (("--dns-rate-limit-exempt", "office"), "10.0.0.0/8 or 2001:db8::/32"),
        (("--dns-rate-limit", "-1"), "not in the range"),
        (("--dns-identity", "x" * 65), "at most 64 printable ASCII"),
        (("--dns-identity", "nö"), "at most 64 printable ASCII"),
        (("--dns-proxy", "nowhere"), "--dns-proxy"),
        (("--dns-log-sample", "0"), "not in the range"),
        (("--dns-log-dnstap", "unix:"), "write a path"),
    ],
)
def test_mistakes(arguments, remedy):
    assert remedy in given(*arguments)


def test_the_wire():
    assert given("--wire", "native") == DnsSettings(rate_limit=200, wire="native")
    assert "is not one of 'auto', 'native', 'python'" in given("--wire", "fast")
