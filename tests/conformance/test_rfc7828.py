"""RFC 7828: edns-tcp-keepalive."""

import dns.edns
import dns.message
import dns.rcode
import pytest

from gslb.dns.streams import Limits
from tests.conformance.zone import APEX

KEEPALIVE = 11


def query(data=b""):
    return dns.message.make_query(f"shop.{APEX}", "A", use_edns=0, options=[dns.edns.GenericOption(KEEPALIVE, data)])


def test_3_3_2_over_tcp_the_time_in_tenths_of_a_second(server):
    (option,) = server.tcp(query()).options
    assert (option.otype, int.from_bytes(option.data)) == (KEEPALIVE, Limits().idle_s * 10)


def test_3_3_1_over_udp_it_is_ignored(server):
    assert server.udp(query()).options == ()


def test_3_3_2_only_for_those_who_ask(server):
    assert server.tcp(dns.message.make_query(f"shop.{APEX}", "A", use_edns=0)).options == ()


@pytest.mark.parametrize("data", [b"\0\1", b"\0"])
def test_3_2_1_a_client_has_no_time_to_tell(server, data):
    """One that does is answered without the option."""
    reply = server.tcp(query(data))
    assert (reply.rcode(), reply.options) == (dns.rcode.NOERROR, ())
