"""A client that writes HTTP/2 frames as it is told, right or wrong, and says what came back (RFC 9113)."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass

from hpack import Decoder, Encoder
from hpack.struct import HeaderTuple, NeverIndexedHeaderTuple
from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    GoAwayFrame,
    HeadersFrame,
    PingFrame,
    RstStreamFrame,
    SettingsFrame,
)

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
Headers = Iterable[tuple[str | bytes, str | bytes]]


@dataclass(frozen=True)
class Outcome:
    """What became of a stream: the status of an answer, else the error of a reset or (`closed`) of the connection."""

    status: int | None = None
    error: int | None = None
    closed: bool = False


class Http2:
    """One connection. Nothing is sent that was not asked for, but acknowledgements of settings and pings."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader, self._writer = reader, writer
        self._encoder, self._decoder = Encoder(), Decoder()
        self.settings: dict[int, int] = {}

    def block(self, headers: Headers) -> bytes:
        """Compressed without the dynamic table, so that blocks that are never sent leave no trace."""
        made = [NeverIndexedHeaderTuple(name, value) for name, value in headers]
        return self._encoder.encode(made, huffman=False)

    def send(self, *frames: Frame) -> None:
        self.octets(b"".join(frame.serialize() for frame in frames))

    def octets(self, octets: bytes) -> None:
        self._writer.write(octets)

    async def drain(self) -> None:
        await self._writer.drain()

    def request(
        self, stream: int, headers: Headers, body: bytes | None = None, trailers: Headers | None = None
    ) -> None:
        flags = ["END_HEADERS"] + (["END_STREAM"] if body is None and trailers is None else [])
        self.send(HeadersFrame(stream, self.block(headers), flags=flags))
        if body is not None:
            self.send(DataFrame(stream, body, flags=[] if trailers is not None else ["END_STREAM"]))
        if trailers is not None:
            self.send(HeadersFrame(stream, self.block(trailers), flags=["END_HEADERS", "END_STREAM"]))

    async def frames(self) -> AsyncIterator[Frame]:
        """Until the other side closes. Settings and pings are acknowledged."""
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                frame, size = Frame.parse_frame_header(memoryview(await self._reader.readexactly(9)))
                frame.parse_body(memoryview(await self._reader.readexactly(size)))
                if isinstance(frame, SettingsFrame) and "ACK" not in frame.flags:
                    self.settings |= frame.settings
                    self.send(SettingsFrame(0, flags=["ACK"]))
                if isinstance(frame, PingFrame) and "ACK" not in frame.flags:
                    self.send(PingFrame(0, frame.opaque_data, flags=["ACK"]))
                yield frame

    def fields(self, frame: HeadersFrame) -> dict[str, str]:
        return {_text(item[0]): _text(item[1]) for item in self._decoder.decode(bytes(frame.data))}

    async def outcome(self, stream: int) -> Outcome:
        """Of what was sent on `stream`."""
        async for frame in self.frames():
            if isinstance(frame, HeadersFrame):
                fields = self.fields(frame)
                if frame.stream_id == stream and fields[":status"] != "100":
                    return Outcome(status=int(fields[":status"]))
            elif isinstance(frame, RstStreamFrame) and frame.stream_id == stream:
                return Outcome(error=frame.error_code)
            elif isinstance(frame, GoAwayFrame):
                return Outcome(error=frame.error_code, closed=True)
        return Outcome(closed=True)

    async def alive(self) -> bool:
        """Whether the connection still answers a ping."""
        self.send(PingFrame(0, b"alive?!!"))
        async for frame in self.frames():
            if isinstance(frame, PingFrame) and "ACK" in frame.flags and frame.opaque_data == b"alive?!!":
                return True
        return False


def _text(value: bytes | str | HeaderTuple) -> str:
    return value.decode("latin-1") if isinstance(value, bytes) else str(value)


def in_pieces(stream: int, block: bytes, size: int, flags: Iterable[str] = ("END_STREAM",)) -> list[Frame]:
    """A HEADERS frame and as many CONTINUATION frames as pieces of `size` octets need."""
    pieces = [block[start : start + size] for start in range(0, len(block), size)] or [b""]
    first = HeadersFrame(stream, pieces[0], flags=[*flags, *(["END_HEADERS"] if len(pieces) == 1 else [])])
    more: list[Frame] = [ContinuationFrame(stream, piece) for piece in pieces[1:]]
    if more:
        more[-1].flags.add("END_HEADERS")
    return [first, *more]


@contextlib.asynccontextmanager
async def http2(address: str, port: int, settings: dict[int, int] | None = None) -> AsyncIterator[Http2]:
    """A connection in the clear, with prior knowledge (RFC 9113 section 3.3)."""
    reader, writer = await asyncio.open_connection(address, port)
    connection = Http2(reader, writer)
    connection.octets(PREFACE)
    connection.send(SettingsFrame(0, settings=settings or {}))
    try:
        yield connection
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
