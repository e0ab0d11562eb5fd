"""dnstap as an independent reader of the schema finds it, for every transport and family, and Frame Streams."""

import struct
from ipaddress import ip_address
from types import SimpleNamespace

import pytest

from gslb.dns.dnstap import CONTENT_TYPE, READY, START, STOP, accepts, frame, messages
from gslb.dns.querylog import Sample
from gslb.dns.tables import Peer
from tests.support import dnstap_reader

WALL_S = 1_700_000_000.5
PACKET, REPLY = bytes(range(200)), bytes(300)


def sample(client, tcp=False):
    tables = SimpleNamespace(wall_offset_s=WALL_S - 10)
    return Sample(tables, PACKET, REPLY, Peer(ip_address(client).packed, tcp), 10.0, 0, False)


@pytest.mark.parametrize(("client", "family"), [("192.0.2.7", 1), ("2001:db8::7", 2)])
@pytest.mark.parametrize(("tcp", "protocol"), [(False, 1), (True, 2)])
def test_a_query_and_a_response(client, family, tcp, protocol):
    query, response = map(dnstap_reader.dnstap, messages(sample(client, tcp), b"{}", b"ns1", b"gslb 1"))
    about = {"identity": b"ns1", "version": b"gslb 1", "type": 1}
    common = {
        "socket_family": family, "socket_protocol": protocol, "query_address": ip_address(client).packed,
        "query_time_sec": 1_700_000_000, "query_time_nsec": 500_000_000,
    }  # fmt: skip
    assert query == about | {"message": {"type": 1, **common, "query_message": PACKET}}
    left = {"response_time_sec": 1_700_000_000, "response_time_nsec": 500_000_000, "response_message": REPLY}
    assert response == about | {"extra": b"{}", "message": {"type": 2, **common, **left}}


def test_a_server_without_a_name_tells_none():
    for message in messages(sample("192.0.2.7"), b"{}", b"", b"gslb 1"):
        assert "identity" not in dnstap_reader.dnstap(message)


def test_frames():
    stream = READY + START + frame(b"one") + frame(b"three") + STOP
    types = [b"protobuf:dnstap.Dnstap"]
    assert list(dnstap_reader.frames(stream)) == [("READY", types), ("START", types), b"one", b"three", ("STOP", [])]


def accept(kind=1, *types):
    return struct.pack("!I", kind) + b"".join(struct.pack("!II", 1, len(text)) + text for text in types)


@pytest.mark.parametrize(
    ("control", "expected"),
    [
        (accept(), True),
        (accept(1, CONTENT_TYPE), True),
        (accept(1, b"other", CONTENT_TYPE), True),
        (accept(1, b"other"), False),
        (accept(5), False),
        (b"", False),
    ],
)
def test_which_readers_want_it(control, expected):
    assert accepts(control) is expected
