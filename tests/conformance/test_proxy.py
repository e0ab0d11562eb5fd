"""The PROXY protocol, version 2 (HAProxy's specification, section 2.2), on listeners of its own."""

import ipaddress
import socket

import dns.flags
import dns.message
import pytest

from tests.conformance.conftest import LIMIT_PER_S, PROXY
from tests.conformance.test_rfc7766 import framed, read
from tests.conformance.zone import APEX

NEAR, FAR = "192.0.2.10", "198.51.100.20"
STREAM, DATAGRAM = 1, 2
SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def header(client, transport=DATAGRAM, *, command=0x21, more=b"", family=None):
    address = ipaddress.ip_address(client)
    family = family or (1 if address.version == 4 else 2)
    data = address.packed + bytes(len(address.packed)) + b"\x30\x39\0\x35" + more
    return SIGNATURE + bytes((command, family << 4 | transport)) + len(data).to_bytes(2) + data


def query(name="home"):
    return dns.message.make_query(f"{name}.{APEX}", "A")


def udp(server, packet, source=PROXY, timeout_s=10):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.bind((source, 0))
        sock.settimeout(timeout_s)
        sock.sendto(packet, (server.host, server.port))
        try:
            return dns.message.from_wire(sock.recv(65535))
        except TimeoutError:
            return None


def connect(server, source=PROXY):
    return socket.create_connection((server.host, server.port), timeout=10, source_address=(source, 0))


def site(reply):
    return reply.answer[0][0].address


CLIENTS = [
    (header("10.1.2.3"), NEAR),
    (header("192.0.2.99"), FAR),
    (header("10.1.2.3", STREAM), NEAR),
    (header("2001:db8:a::1"), NEAR),
    (header("2001:db8:b::1"), FAR),
    (header("::ffff:10.1.2.3"), NEAR),
    (header("10.1.2.3", more=b"\x04\0\x05hello\xe0\0\0"), NEAR),
    (header("10.1.2.3", command=0x20), FAR),
    (SIGNATURE + b"\x20\0\0\0", FAR),
    (SIGNATURE + b"\x21\0\0\0", FAR),
]


@pytest.mark.parametrize(("start", "expected"), CLIENTS)
def test_the_client_in_the_header_is_steered_for(steered_server, start, expected):
    """LOCAL, and a protocol that the proxy does not know, mean the proxy itself."""
    server = steered_server[1]
    assert site(udp(server, start + query().to_wire())) == expected
    with connect(server) as sock:
        for part in (start[:5], start[5:] + framed(query()), framed(query())):
            sock.sendall(part)
        assert [site(read(sock)), site(read(sock))] == [expected, expected]


MALFORMED = {
    "no header": b"",
    "version 1": b"PROXY UDP4 10.1.2.3 10.0.0.1 1 53\r\n",
    "another version": SIGNATURE + b"\x11" + header("10.1.2.3")[13:],
    "unknown command": header("10.1.2.3", command=0x22),
    "unknown family": header("10.1.2.3", family=3),
    "unknown transport": header("10.1.2.3", 3),
    "addresses too short": SIGNATURE + b"\x21\x12\0\x08" + bytes(8),
    "one octet of the signature": b"\0" + header("10.1.2.3")[1:],
}


@pytest.mark.parametrize("start", MALFORMED.values(), ids=MALFORMED)
def test_a_malformed_header_drops_the_datagram_and_the_connection(steered_server, start):
    server = steered_server[1]
    before = server.counts().get("proxy_malformed", 0)
    assert udp(server, start + query().to_wire(), timeout_s=0.2) is None
    with connect(server) as sock:
        sock.sendall(start + framed(query()) + bytes(64))
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
    assert server.counts()["proxy_malformed"] == before + 2


def test_a_header_that_ends_too_early_is_malformed(steered_server):
    server = steered_server[1]
    for length in (15, 16, len(header("10.1.2.3")) - 1):
        assert udp(server, header("10.1.2.3")[:length], timeout_s=0.2) is None


def test_others_than_the_proxies_are_not_believed(steered_server):
    server = steered_server[1]
    before = server.counts().get("proxy_refused", 0)
    assert udp(server, header("10.1.2.3") + query().to_wire(), source="127.0.7.4", timeout_s=0.2) is None
    with connect(server, source="127.0.7.4") as sock:
        try:
            assert sock.recv(1) == b""
        except ConnectionResetError:
            pass
    assert server.counts()["proxy_refused"] == before + 2


def test_a_header_is_nothing_to_the_plain_listener(steered_server):
    reply = udp(steered_server[0], header("10.1.2.3") + query().to_wire(), timeout_s=0.2)
    assert reply is None or not reply.answer


def burst(server, start):
    return sum(bool(udp(server, start + query("all").to_wire()).flags & dns.flags.TC) for _ in range(5 * LIMIT_PER_S))


def test_the_client_is_limited_and_not_the_proxy(steered_server):
    server = steered_server[1]
    assert burst(server, header("192.0.2.1"))
    assert not udp(server, header("203.0.113.1") + query("all").to_wire()).flags & dns.flags.TC


def test_a_client_that_came_to_the_proxy_by_a_stream_has_proven_its_address(steered_server):
    assert burst(steered_server[1], header("198.51.100.1", STREAM)) == 0
