"""Where Envoys tell their access logs: gRPC's StreamAccessLogs over HTTP/2 on a unix socket, as far as Envoy uses it.

One stream, which the client never ends; each message is five octets of flag and length, then the message (gRPC over
HTTP2, "Length-Prefixed-Message"). Nothing is answered but headers, for whatever is sent. What a sender may have under
way is HTTP/2's flow control: octets are acknowledged once they were read, so that who reads slowly is sent less.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import cast

import h2.config
import h2.connection
import h2.events
import h2.exceptions
import structlog

from gslb.errors import HostError

__all__ = ["MAX_MESSAGE_BYTES", "open_log_door"]

MAX_MESSAGE_BYTES = 1024 * 1024
_MODE = 0o600
_HEAD_BYTES = 5


Take = Callable[[bytes], None]


async def open_log_door(path: Path, begin: Callable[[], Take]) -> asyncio.Server:
    """Serve on the unix socket `path` (mode 0600); `begin` is asked with each stream for what takes its messages, and
    may raise ValueError. Raises HostError."""
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    before = os.umask(0o777 - _MODE)
    try:
        return await asyncio.get_running_loop().create_unix_server(lambda: _Connection(begin), str(path))
    except OSError as error:
        raise HostError(
            f"cannot listen on the unix socket {path}: {error.strerror or error}", "use a shorter runtime folder"
        ) from error
    finally:
        os.umask(before)


class _Connection(asyncio.Protocol):
    def __init__(self, begin: Callable[[], Take]) -> None:
        self._begin = begin
        self._http = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False))
        self._streams: dict[int, tuple[Take, bytearray]] = {}
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)  # uvloop's is no subclass
        self._http.initiate_connection()
        self._send()

    def data_received(self, data: bytes) -> None:
        try:
            for event in self._http.receive_data(data):
                self._meet(event)
            self._send()
        except (h2.exceptions.H2Error, ValueError) as error:
            structlog.get_logger().warning("an access log cannot be read", why=str(error))
            if self._transport is not None:
                self._transport.abort()

    def connection_lost(self, _exc: Exception | None) -> None:
        self._transport = None

    def _meet(self, event: h2.events.Event) -> None:
        if isinstance(event, h2.events.RequestReceived):
            assert event.stream_id is not None
            self._streams[event.stream_id] = self._begin(), bytearray()
            self._http.send_headers(event.stream_id, [(":status", "200"), ("content-type", "application/grpc")])
        elif isinstance(event, h2.events.DataReceived):
            assert event.stream_id is not None
            self._http.acknowledge_received_data(event.flow_controlled_length or 0, event.stream_id)
            _messages(*self._streams[event.stream_id], event.data or b"")
        elif isinstance(event, h2.events.StreamEnded):
            assert event.stream_id is not None
            self._streams.pop(event.stream_id, None)
            self._http.send_headers(event.stream_id, [("grpc-status", "0")], end_stream=True)
        elif isinstance(event, h2.events.StreamReset):
            self._streams.pop(event.stream_id or 0, None)

    def _send(self) -> None:
        if self._transport is not None:
            self._transport.write(self._http.data_to_send())


def _messages(take: Take, kept: bytearray, data: bytes) -> None:
    """Raises ValueError where a message is too long, or packed."""
    kept += data
    while len(kept) >= _HEAD_BYTES:
        size = int.from_bytes(kept[1:_HEAD_BYTES])
        if kept[0] or size > MAX_MESSAGE_BYTES:
            raise ValueError("a message is packed, or too long")
        if len(kept) < _HEAD_BYTES + size:
            return
        message = bytes(kept[_HEAD_BYTES : _HEAD_BYTES + size])
        del kept[: _HEAD_BYTES + size]
        take(message)
