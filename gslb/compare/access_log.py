"""Lines of Envoy's access logs as they come over gRPC: which status, time and size each answer had, by request.

envoy.service.accesslog.v3.StreamAccessLogsMessage, of which a few fields are read; the encoding is Protocol Buffers'
(https://protobuf.dev/programming-guides/encoding/).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["MAX_LINES", "Line", "log_name", "read_lines"]

MAX_LINES = 10_000
"""Of one message; Envoy sends 16 KiB at a time."""

_VARINT, _FIXED64, _BYTES, _FIXED32 = 0, 1, 2, 5
_IDENTIFIER, _LOG_NAME = 1, 2
_HTTP_LOGS, _ENTRY = 2, 1
_COMMON, _REQUEST, _RESPONSE = 1, 3, 4
_CLUSTER, _ROUTE, _LAST_UPSTREAM_BYTE, _DURATION = 15, 19, 10, 23
_REQUEST_ID, _RECEIVED = 9, 12
_CODE, _BODY_SIZE = 1, 3


@dataclass(frozen=True, slots=True)
class Line:
    """`route` is empty in a line about a copy, `cluster` is that of the answer. `status` 0: there was no answer.
    `duration_s` until the last octet came from the backend."""

    route: str
    cluster: str
    request_id: str
    status: int
    duration_s: float
    size_bytes: int


def log_name(message: bytes) -> str | None:
    """What the log is called, which the first message of a stream tells; None in the others. Raises ValueError."""
    for field, value in _fields(message):
        if field == _IDENTIFIER:
            return _text(dict(_fields(_octets(value))).get(_LOG_NAME, b""))
    return None


def read_lines(message: bytes) -> Iterator[Line]:
    """The lines of one StreamAccessLogsMessage. Raises ValueError where it is none."""
    number = 0
    for field, value in _fields(message):
        if field != _HTTP_LOGS:
            continue
        for inner, entry in _fields(_octets(value)):
            number += 1
            if number > MAX_LINES:
                raise ValueError("too many lines")
            if inner == _ENTRY:
                yield _line(_octets(entry))


def _line(entry: bytes) -> Line:
    # to a copy the edge is the client: what it received is the answer
    parts = {field: _octets(value) for field, value in _fields(entry) if field in (_COMMON, _REQUEST, _RESPONSE)}
    common = dict(_fields(parts.get(_COMMON, b"")))
    request = dict(_fields(parts.get(_REQUEST, b"")))
    response = dict(_fields(parts.get(_RESPONSE, b"")))
    duration = common.get(_LAST_UPSTREAM_BYTE, common.get(_DURATION, b""))
    route = _text(common.get(_ROUTE, b""))
    return Line(
        route=route,
        cluster=_text(common.get(_CLUSTER, b"")),
        request_id=_text(request.get(_REQUEST_ID, b"")),
        status=_number(dict(_fields(_octets(response.get(_CODE, b"")))).get(1, 0)),
        duration_s=_seconds(_octets(duration)),
        size_bytes=_number(response.get(_BODY_SIZE, 0) if route else request.get(_RECEIVED, 0)),
    )


def _seconds(duration: bytes) -> float:
    """google.protobuf.Duration."""
    parts = dict(_fields(duration))
    return _number(parts.get(1, 0)) + _number(parts.get(2, 0)) / 1e9


def _octets(value: int | bytes) -> bytes:
    if isinstance(value, int):
        raise ValueError("a number stands where a message should")  # noqa: TRY004 - of what was sent, not of our types
    return value


def _number(value: int | bytes) -> int:
    if isinstance(value, bytes):
        raise ValueError("a message stands where a number should")  # noqa: TRY004 - likewise
    return value


def _text(value: int | bytes) -> str:
    return _octets(value).decode("utf-8", "replace")


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Numbers and values, in their order; groups are not read."""
    place, end = 0, len(message)
    while place < end:
        key, place = _varint(message, place)
        field, wire = key >> 3, key & 7
        if wire == _VARINT:
            value, place = _varint(message, place)
            yield field, value
            continue
        if wire == _BYTES:
            size, place = _varint(message, place)
        elif wire in (_FIXED64, _FIXED32):
            size = 8 if wire == _FIXED64 else 4
        else:
            raise ValueError(f"wire type {wire}")
        if place + size > end:
            raise ValueError("it ends too early")
        yield field, message[place : place + size]
        place += size


def _varint(message: bytes, place: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if place >= len(message) or shift > 63:
            raise ValueError("no number")
        octet = message[place]
        place += 1
        value |= (octet & 0x7F) << shift
        if octet < 0x80:
            return value, place
        shift += 7
