"""Sampled queries as dnstap says them (the schema of dnstap.info), and the Frame Streams that carry them.

The few fields that are needed, in the wire format of Protocol Buffers, by hand. Pure: sockets and files are the role's,
and what is private was taken out before (`querylog.anonymous`).
"""

from __future__ import annotations

import struct

from gslb.dns.querylog import Sample

__all__ = ["CONTENT_TYPE", "READY", "START", "STOP", "accepts", "frame", "messages"]

CONTENT_TYPE = b"protobuf:dnstap.Dnstap"

_AUTH_QUERY, _AUTH_RESPONSE = 1, 2
_INET, _INET6 = 1, 2
_UDP, _TCP = 1, 2
_MESSAGE = 1

_VARINT, _LENGTH, _FIXED32 = 0, 2, 5
"""Wire types of Protocol Buffers."""

_U32 = struct.Struct("!I")
_CONTENT_FIELD = 1
_ACCEPT_FRAME, _START_FRAME, _STOP_FRAME, _READY_FRAME = 1, 2, 3, 4


def messages(sample: Sample, extra: bytes, identity: bytes, version: bytes) -> tuple[bytes, bytes]:
    """An AUTH_QUERY and an AUTH_RESPONSE with the messages as they were on the wire. `extra` goes with the response;
    `identity` empty: not told."""
    wall_s = sample.mono_s + sample.tables.wall_offset_s
    seconds, nanoseconds = int(wall_s), int(wall_s % 1 * 1e9)
    v4 = len(sample.peer.address) == 4
    common = b"".join(
        (
            _number(2, _INET if v4 else _INET6),
            _number(3, _TCP if sample.peer.tcp else _UDP),
            _octets(4, sample.peer.address),
            _number(8, seconds),
            _fixed32(9, nanoseconds),
        )
    )
    query = _number(1, _AUTH_QUERY) + common + _octets(10, sample.packet)
    response = _number(1, _AUTH_RESPONSE) + common + _number(12, seconds) + _fixed32(13, nanoseconds)
    about = (_octets(1, identity) if identity else b"") + _octets(2, version)
    return (
        b"".join((about, _octets(14, query), _number(15, _MESSAGE))),
        b"".join((about, _octets(3, extra), _octets(14, response + _octets(14, sample.reply)), _number(15, _MESSAGE))),
    )


def _varint(number: int) -> bytes:
    octets = bytearray()
    while number > 0x7F:
        octets.append(number & 0x7F | 0x80)
        number >>= 7
    octets.append(number)
    return bytes(octets)


def _number(field: int, number: int) -> bytes:
    return _varint(field << 3 | _VARINT) + _varint(number)


def _octets(field: int, data: bytes) -> bytes:
    return _varint(field << 3 | _LENGTH) + _varint(len(data)) + data


def _fixed32(field: int, number: int) -> bytes:
    return _varint(field << 3 | _FIXED32) + number.to_bytes(4, "little")


# Frame Streams --------------------------------------------------------------------------------------------------------


def frame(data: bytes) -> bytes:
    """A data frame."""
    return _U32.pack(len(data)) + data


def _control(kind: int, content_type: bytes = b"") -> bytes:
    """An escape (a data frame of length 0), then the frame. Without `content_type` it has no such field."""
    field = _U32.pack(_CONTENT_FIELD) + _U32.pack(len(content_type)) + content_type if content_type else b""
    return _U32.pack(0) + frame(_U32.pack(kind) + field)


READY = _control(_READY_FRAME, CONTENT_TYPE)
"""The writer's word on a socket, which the reader answers with ACCEPT; then START as in a file."""
START = _control(_START_FRAME, CONTENT_TYPE)
STOP = _control(_STOP_FRAME)


def accepts(control: bytes) -> bool:
    """Whether a control frame (from its type on) is an ACCEPT of what we send: of our content type, or of any."""
    if control[:4] != _U32.pack(_ACCEPT_FRAME):
        return False
    return len(control) == 4 or _U32.pack(len(CONTENT_TYPE)) + CONTENT_TYPE in control
