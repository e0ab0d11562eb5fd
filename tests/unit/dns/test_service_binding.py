"""The octets of an HTTPS record, which dnspython reads and writes alike."""

from ipaddress import ip_address

import dns.rdata
import pytest

from gslb.dns.service_binding import https_data
from gslb.snapshot.types import Https


@pytest.mark.parametrize(
    ("alpn", "port", "addresses", "expected"),
    [
        (["http/1.1"], 443, [], "1 ."),
        (["h2", "http/1.1"], 443, [], "1 . alpn=h2"),
        (["http/1.1", "h3", "h2"], 443, [], "1 . alpn=h3,h2"),
        (["h2"], 443, [], "1 . alpn=h2 no-default-alpn"),
        (["h3", "h2"], 8443, [], "1 . alpn=h3,h2 no-default-alpn port=8443"),
        (["http/1.1"], 65535, [], "1 . port=65535"),
        (["http/1.1"], 443, ["192.0.2.1"], "1 . ipv4hint=192.0.2.1"),
        (["http/1.1"], 443, ["2001:db8::1"], "1 . ipv6hint=2001:db8::1"),
        (
            ["h2", "http/1.1"],
            8443,
            ["2001:db8::1", "192.0.2.2", "2001:db8::2", "192.0.2.1"],
            "1 . alpn=h2 port=8443 ipv4hint=192.0.2.2,192.0.2.1 ipv6hint=2001:db8::1,2001:db8::2",
        ),
        ([r"a,b\c", "~" * 255], 443, [], rf'1 . alpn="a\\,b\\\\c,{"~" * 255}" no-default-alpn'),
    ],
)
def test_the_data_is_what_the_text_means(alpn, port, addresses, expected):
    data = https_data(Https(tuple(alpn), port), [ip_address(address).packed for address in addresses])
    assert data == dns.rdata.from_text("IN", "HTTPS", expected).to_wire()
    assert data == dns.rdata.from_wire("IN", "HTTPS", data, 0, len(data)).to_wire()
