"""What RFC 9113 says of frames, as cases: what a client sends, and what must become of it. Run by `test_http2_conformance`.

A connection may be ended where only its stream must be (section 5.4.2 lets one do so), and without a GOAWAY where the
other side already broke the rules of framing.
"""

from __future__ import annotations

import itertools
import struct
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.support.http2 import Http2, Outcome

PROTOCOL, FLOW, STREAM_CLOSED, FRAME_SIZE, COMPRESSION = 1, 3, 5, 6, 9
DATA, HEADERS, PRIORITY, RST, SETTINGS, PUSH, PING, GOAWAY, WINDOW, CONTINUATION = range(10)
END_STREAM, ACK, END_HEADERS, PADDED, WITH_PRIORITY = 1, 1, 4, 8, 32


def raw(kind: int, flags: int, stream: int, payload: bytes = b"") -> bytes:
    return struct.pack("!I", len(payload))[1:] + bytes([kind, flags]) + struct.pack("!I", stream) + payload


@dataclass(frozen=True)
class Case:
    """`errors` empty: it is served. `connection`: more than the stream must end."""

    name: str
    send: Callable[[Http2, str], bytes]
    errors: frozenset[int] = field(default_factory=frozenset)
    connection: bool = False
    stream: int = 1

    def passed(self, outcome: Outcome) -> bool:
        if not self.errors:
            return outcome.status == 200
        if outcome.closed:
            return outcome.error is None or outcome.error in self.errors
        if self.connection:
            return False
        return outcome.error in self.errors or (outcome.status or 0) // 100 == 4


def get(connection: Http2, host: str, *more: tuple[str, str], method: str = "GET", drop: str = "") -> bytes:
    pseudo = {":method": method, ":scheme": "http", ":authority": host, ":path": "/"}
    return connection.block([*((name, value) for name, value in pseudo.items() if name != drop), *more])


def asked(stream: int = 1, flags: int = END_HEADERS | END_STREAM, *more: tuple[str, str], **how: str):
    return lambda connection, host: raw(HEADERS, flags, stream, get(connection, host, *more, **how))


def then(*steps) -> Callable[[Http2, str], bytes]:
    """Octets, or what makes them."""
    return lambda connection, host: b"".join(
        step if isinstance(step, bytes) else step(connection, host) for step in steps
    )


def setting(number: int, value: int) -> bytes:
    return raw(SETTINGS, 0, 0, struct.pack("!HI", number, value))


def u32(value: int) -> bytes:
    return struct.pack("!I", value)


def cut(connection: Http2, host: str) -> bytes:
    """A block in three frames."""
    block = get(connection, host)
    parts = block[:5], block[5:20], block[20:]
    return raw(HEADERS, END_STREAM, 1, parts[0]) + raw(CONTINUATION, 0, 1, parts[1]) + raw(CONTINUATION, 4, 1, parts[2])


def padded(connection: Http2, host: str) -> bytes:
    return raw(HEADERS, END_HEADERS | END_STREAM | PADDED, 1, b"\x08" + get(connection, host) + bytes(8))


def weighted(connection: Http2, host: str) -> bytes:
    block = struct.pack("!IB", 0, 15) + get(connection, host)
    return raw(HEADERS, END_HEADERS | END_STREAM | WITH_PRIORITY, 1, block)


GET, OPEN, POST = asked(), asked(flags=END_HEADERS), asked(1, END_HEADERS, method="POST")
SECOND = asked(3)


def posted(*data: bytes, length: int | None = None) -> Callable[[Http2, str], bytes]:
    more = () if length is None else (("content-length", str(length)),)
    return then(asked(1, END_HEADERS, *more, method="POST"), *data)


def trailers(flags: int, *fields: tuple[str, str]) -> Callable[[Http2, str], bytes]:
    return then(POST, raw(DATA, 0, 1, b"x"), lambda connection, _: raw(HEADERS, flags, 1, connection.block(fields)))


SERVED = {
    "4.1 unknown type": then(raw(0xFA, 0, 0, b"12345678"), GET),
    "4.1 unknown flags": then(raw(PING, 0xFE, 0, b"12345678"), GET),
    "4.1 reserved bit of the stream": then(raw(PING, 0, 0x80000000, b"12345678"), GET),
    "4.3 a block in three frames": cut,
    "5.1.1 streams left out": then(asked(5)),
    "5.3 priority of an idle stream": then(raw(PRIORITY, 0, 7, struct.pack("!IB", 0, 9)), GET),
    "6.1 padding": posted(raw(DATA, END_STREAM | PADDED, 1, b"\x03abc" + bytes(3))),
    "6.1 empty at the end": posted(raw(DATA, 0, 1, b"abc"), raw(DATA, END_STREAM, 1)),
    "6.2 padding": padded,
    "6.2 priority": weighted,
    "6.5 unknown setting": then(setting(0xFA, 1), GET),
    "6.5.2 table size 0": then(setting(1, 0), GET),
    "6.5.2 largest frames": then(setting(5, 2**24 - 1), GET),
    "6.9 window of the connection": then(raw(WINDOW, 0, 0, u32(1000)), GET),
    "8.1 GET": GET,
    "8.1 HEAD": asked(method="HEAD"),
    "8.1 POST": posted(raw(DATA, END_STREAM, 1, b"abc"), length=3),
    "8.1 trailers": trailers(END_HEADERS | END_STREAM, ("x-sum", "1")),
    "8.2.3 crumbs": asked(1, 5, ("cookie", "a=b"), ("cookie", "c=d")),
    "8.2.2 te: trailers": asked(1, 5, ("te", "trailers")),
}
ENDS_THE_CONNECTION = {
    "3.4 no preface": (lambda _, __: raw(7, 0, 0, b"nonsense" * 3), {PROTOCOL}),
    "4.2 DATA too large": (posted(raw(DATA, END_STREAM, 1, bytes(16_385))), {FRAME_SIZE}),
    "4.3 a block that is none": (then(raw(HEADERS, 5, 1, b"\xff\xff\xff\xff\xff\xff\xff")), {COMPRESSION}),
    "4.3 index out of the table": (then(raw(HEADERS, 5, 1, b"\xfe")), {COMPRESSION}),
    "4.3 PRIORITY within a block": (then(asked(flags=1), raw(PRIORITY, 0, 1, bytes(5))), {PROTOCOL}),
    "4.3 another stream within a block": (then(asked(flags=1), SECOND), {PROTOCOL}),
    "5.1 DATA on an idle stream": (then(raw(DATA, END_STREAM, 1, b"x")), {PROTOCOL}),
    "5.1 RST_STREAM on an idle stream": (then(raw(RST, 0, 1, u32(8))), {PROTOCOL}),
    "5.1 WINDOW_UPDATE on an idle stream": (then(raw(WINDOW, 0, 1, u32(1))), {PROTOCOL}),
    "5.1 CONTINUATION on an idle stream": (then(raw(CONTINUATION, 4, 1, b"")), {PROTOCOL}),
    "5.1.1 even stream": (asked(2), {PROTOCOL}),
    "5.1.1 lower stream": (then(asked(5), asked(3)), {PROTOCOL, STREAM_CLOSED}),
    "6.1 DATA on stream 0": (then(raw(DATA, 1, 0, b"x")), {PROTOCOL}),
    "6.1 more padding than there is": (posted(raw(DATA, END_STREAM | PADDED, 1, b"\x06abc")), {PROTOCOL}),
    "6.2 HEADERS on stream 0": (asked(0), {PROTOCOL}),
    "6.2 more padding than there is": (then(raw(HEADERS, 13, 1, b"\xff\x82")), {PROTOCOL}),
    "6.3 PRIORITY on stream 0": (then(raw(PRIORITY, 0, 0, bytes(5))), {PROTOCOL}),
    "6.4 RST_STREAM on stream 0": (then(raw(RST, 0, 0, u32(8))), {PROTOCOL}),
    "6.4 RST_STREAM too short": (then(OPEN, raw(RST, 0, 1, b"123")), {FRAME_SIZE}),
    "6.5 SETTINGS on a stream": (then(raw(SETTINGS, 0, 1)), {PROTOCOL}),
    "6.5 ACK with a payload": (then(raw(SETTINGS, ACK, 0, bytes(6))), {FRAME_SIZE}),
    "6.5 odd size": (then(raw(SETTINGS, 0, 0, bytes(5))), {FRAME_SIZE}),
    "6.5.2 push 2": (then(setting(2, 2)), {PROTOCOL}),
    "6.5.2 window too large": (then(setting(4, 2**31)), {FLOW}),
    "6.5.2 frames too small": (then(setting(5, 16_383)), {PROTOCOL}),
    "6.5.2 frames too large": (then(setting(5, 2**24)), {PROTOCOL}),
    "6.7 PING on a stream": (then(raw(PING, 0, 1, bytes(8))), {PROTOCOL}),
    "6.7 PING too short": (then(raw(PING, 0, 0, bytes(6))), {FRAME_SIZE}),
    "6.8 GOAWAY on a stream": (then(raw(GOAWAY, 0, 1, bytes(8))), {PROTOCOL}),
    "6.9 window by 0": (then(raw(WINDOW, 0, 0, u32(0))), {PROTOCOL}),
    "6.9 WINDOW_UPDATE too short": (then(raw(WINDOW, 0, 0, b"123")), {FRAME_SIZE}),
    "6.9.1 window too large": (then(raw(WINDOW, 0, 0, u32(2**31 - 1)) * 2), {FLOW}),
    "6.10 CONTINUATION behind the end": (then(OPEN, raw(CONTINUATION, 4, 1, b"")), {PROTOCOL}),
    "6.10 CONTINUATION of another stream": (then(asked(flags=1), raw(CONTINUATION, 4, 3, b"")), {PROTOCOL}),
    "6.10 DATA within a block": (then(asked(flags=0), raw(DATA, 1, 1, b"x")), {PROTOCOL}),
    "8.4 PUSH_PROMISE of a client": (then(OPEN, raw(PUSH, 4, 1, u32(2) + b"\x82")), {PROTOCOL}),
}
ENDS_THE_STREAM = {
    "5.1 DATA behind the end": (then(GET, raw(DATA, 1, 1, b"x")), {STREAM_CLOSED}),
    "5.1 HEADERS behind the end": (then(GET, GET), {STREAM_CLOSED, PROTOCOL}),
    "6.3 PRIORITY too short": (then(OPEN, raw(PRIORITY, 0, 1, bytes(4))), {FRAME_SIZE}),
    "5.3.1 depends on itself": (then(asked(1, 4), raw(PRIORITY, 0, 1, struct.pack("!IB", 1, 9))), {PROTOCOL}),
    "6.9 window of a stream by 0": (then(OPEN, raw(WINDOW, 0, 1, u32(0))), {PROTOCOL}),
    "6.9.1 window of a stream too large": (then(OPEN, raw(WINDOW, 0, 1, u32(2**31 - 1)) * 2), {FLOW}),
    "8.1 HEADERS twice, no end": (trailers(END_HEADERS, ("x", "1")), {PROTOCOL}),
    "8.1 pseudo-header in trailers": (trailers(5, (":method", "GET")), {PROTOCOL}),
    "8.1.1 shorter than its length": (posted(raw(DATA, 1, 1, b"x"), length=2), {PROTOCOL}),
    "8.1.1 longer than its length": (posted(raw(DATA, 0, 1, b"x"), raw(DATA, 1, 1, b"yz"), length=1), {PROTOCOL}),
    "8.2 capitals": (asked(1, 5, ("X-Test", "a")), {PROTOCOL}),
    "8.2.1 colon in a name": (asked(1, 5, ("x:y", "a")), {PROTOCOL}),
    "8.2.1 line break in a value": (asked(1, 5, ("x", "a\r\nb: c")), {PROTOCOL}),
    "8.2.2 connection": (asked(1, 5, ("connection", "close")), {PROTOCOL}),
    "8.2.2 transfer-encoding": (asked(1, 5, ("transfer-encoding", "chunked")), {PROTOCOL}),
    "8.2.2 te": (asked(1, 5, ("te", "gzip")), {PROTOCOL}),
    "8.3 unknown pseudo-header": (asked(1, 5, (":test", "a")), {PROTOCOL}),
    "8.3 of an answer": (asked(1, 5, (":status", "200")), {PROTOCOL}),
    "8.3 behind a field": (asked(1, 5, ("x", "a"), (":path", "/"), drop=":path"), {PROTOCOL}),
    "8.3.1 twice": (asked(1, 5, (":path", "/")), {PROTOCOL}),
    **{f"8.3.1 no {name}": (asked(drop=name), {PROTOCOL}) for name in (":method", ":scheme", ":path")},
}
CASES = [
    *(Case(name, send, stream=5 if "left out" in name else 1) for name, send in SERVED.items()),
    *(Case(name, send, frozenset(errors), True) for name, (send, errors) in ENDS_THE_CONNECTION.items()),
    *(Case(name, send, frozenset(errors)) for name, (send, errors) in ENDS_THE_STREAM.items()),
]
assert len({case.name for case in CASES}) == len(list(itertools.chain(SERVED, ENDS_THE_CONNECTION, ENDS_THE_STREAM)))
