"""Headers of the PROXY protocol: who is behind them. Dropping and believing is tested over sockets, in conformance."""

import pytest

from gslb.dns.proxy import PREAMBLE_BYTES, Preamble, parse_preamble, parse_source
from gslb.dns.tables import Peer

SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
PROXY = Peer(bytes((127, 0, 0, 1)))
V4 = bytes((192, 0, 2, 1)) + bytes((198, 51, 100, 1)) + bytes(4)
V6 = bytes(range(16)) + bytes(20)
MAPPED = bytes(10) + b"\xff\xff\xc0\0\2\1" + bytes(20)


@pytest.mark.parametrize(("command", "protocol"), [(0x20, 0x00), (0x21, 0x11), (0x21, 0xFF)])
def test_the_part_of_fixed_size(command, protocol):
    octets = SIGNATURE + bytes((command, protocol)) + b"\1\2" + b"more"
    assert parse_preamble(octets) == Preamble(command, protocol, 258)


@pytest.mark.parametrize(
    "octets",
    [b"", SIGNATURE, SIGNATURE + b"\x21\x11\0", b"X" + SIGNATURE[1:] + b"\x21\x11\0\x0c", SIGNATURE + b"\x22\x11\0\x0c",
     SIGNATURE + b"\x11\x11\0\x0c", b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n"],
)  # fmt: skip
def test_what_is_no_header(octets):
    assert parse_preamble(octets) is None


@pytest.mark.parametrize(
    ("protocol", "rest", "expected"),
    [
        (0x12, V4, Peer(V4[:4])),
        (0x11, V4, Peer(V4[:4], proven=True)),
        (0x22, V6, Peer(V6[:16])),
        (0x21, V6, Peer(V6[:16], proven=True)),
        (0x22, MAPPED, Peer(V4[:4])),
        (0x12, V4 + b"\x01\0\2xx", Peer(V4[:4])),
        (0x00, b"", PROXY),
        (0x00, b"whatever", PROXY),
    ],
)
def test_who_asked(protocol, rest, expected):
    assert parse_source(Preamble(0x21, protocol, len(rest)), rest, PROXY) == expected
    assert parse_source(Preamble(0x20, protocol, len(rest)), rest, PROXY) == PROXY, "LOCAL: the proxy itself"


@pytest.mark.parametrize(
    ("protocol", "rest"),
    [(0x12, V4[:-1]), (0x22, V4), (0x13, V4), (0x10, V4), (0x31, bytes(216)), (0x02, V4), (0xF1, V4)],
)
def test_what_makes_no_sense(protocol, rest):
    assert parse_source(Preamble(0x21, protocol, len(rest)), rest, PROXY) is None


def test_a_rest_that_was_cut_off():
    assert parse_source(Preamble(0x21, 0x12, len(V4)), V4[:-1], PROXY) is None
    assert parse_source(Preamble(0x20, 0x00, 5), b"", PROXY) is None


def test_how_the_reply_travels_stays():
    assert parse_source(Preamble(0x21, 0x12, len(V4)), V4, PROXY._replace(tcp=True)).tcp
    assert PREAMBLE_BYTES == 16
