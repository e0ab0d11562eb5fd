"""HTTP/2: one request on a connection of its own. Framing and its rules are the library h2's; here are only streams.

Settings are as small as a client's may be: one stream, no pushes, and a bound on everything that comes back.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any, cast

from h2.config import H2Configuration
from h2.connection import H2Connection
from h2.errors import ErrorCodes
from h2.events import (
    ConnectionTerminated,
    DataReceived,
    Event,
    ResponseReceived,
    StreamEnded,
    StreamReset,
    TrailersReceived,
)
from h2.exceptions import ProtocolError
from h2.settings import SettingCodes

from gslb.health.http1 import HEAD_LIMIT_BYTES, NotHttpError
from gslb.health.http_answer import Answer
from gslb.snapshot.checks import Headers

__all__ = ["ask_http2", "speaks_http2"]

_READ_BYTES = 65_536
_ANSWER_LIMIT_BYTES = 262_144
"""Of everything that comes back on the connection, frames included."""


@dataclass(slots=True)
class _Seen:
    """What came back so far. `trailers` follow the headers."""

    status: int = 0
    headers: list[tuple[str, str]] = field(default_factory=list)
    body: bytearray = field(default_factory=bytearray)
    over: bool = False


def speaks_http2(writer: asyncio.StreamWriter) -> bool:
    """Whether ALPN agreed on h2 (RFC 9113 section 3.2); so does everybody without TLS, by prior knowledge."""
    tls = cast("ssl.SSLObject | None", writer.get_extra_info("ssl_object"))
    return tls is None or tls.selected_alpn_protocol() == "h2"


async def ask_http2(
    reader: asyncio.StreamReader, writer: asyncio.StreamWriter, headers: Headers, body: bytes, limit_bytes: int
) -> Answer:
    """The answer to one request, with `limit_bytes` of its body at most, and trailers among its headers. `headers`
    begin with the pseudo-headers (RFC 9113 section 8.3.1). The caller limits the time.

    Raises NotHttpError where it is none, or too large, EOFError where it ends early, ConnectionResetError where the
    stream is refused.
    """
    connection = H2Connection(H2Configuration(client_side=True, header_encoding="utf-8"))
    connection.local_settings.update({SettingCodes.ENABLE_PUSH: 0, SettingCodes.MAX_HEADER_LIST_SIZE: HEAD_LIMIT_BYTES})
    connection.initiate_connection()
    stream = connection.get_next_available_stream_id()
    connection.send_headers(stream, list(headers), end_stream=not body)
    if body:
        connection.send_data(stream, body, end_stream=True)
    seen, left_bytes = _Seen(), _ANSWER_LIMIT_BYTES
    writer.write(connection.data_to_send())
    while not seen.over:
        data = await reader.read(_READ_BYTES)
        left_bytes -= len(data)
        if not data:
            raise EOFError
        if left_bytes < 0:
            raise NotHttpError
        try:
            _take(connection, seen, connection.receive_data(data), limit_bytes)
        except ProtocolError as error:
            raise NotHttpError from error
        writer.write(connection.data_to_send())
    return Answer(seen.status, tuple(seen.headers), bytes(seen.body[:limit_bytes]))


def _take(connection: H2Connection, seen: _Seen, events: Iterable[Event], limit_bytes: int) -> None:
    for event in events:
        match event:
            case ResponseReceived():
                fields = _fields(event.headers)
                seen.status = int(dict(fields).get(":status", "0"))
                seen.headers += fields
            case TrailersReceived():
                seen.headers += _fields(event.headers)
            case DataReceived():
                seen.body += event.data
                connection.acknowledge_received_data(event.flow_controlled_length, event.stream_id)
                seen.over |= len(seen.body) >= limit_bytes
            case StreamEnded():
                seen.over = True
            case StreamReset() | ConnectionTerminated():
                seen.over |= bool(seen.status) and event.error_code == ErrorCodes.NO_ERROR
                if not seen.over:
                    raise ConnectionResetError(0, f"HTTP/2 error {event.error_code}")


def _fields(headers: Iterable[Any] | None) -> list[tuple[str, str]]:
    return [(str(name), str(value)) for name, value in headers or ()]
