"""An upstream that keeps every octet it gets, and the ways in which servers may read those octets as requests."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field

LF = re.compile(rb"\r?\n")
STRICT = re.compile(rb"\r\n")


@dataclass(frozen=True)
class Reading:
    """How a server makes requests of octets. `lengths_first`: `content-length` beats `transfer-encoding`, against RFC
    9112 section 6.3; `newline`: what ends a line; `loose_names`: white space and underscores in names are forgiven."""

    name: str
    lengths_first: bool = False
    newline: re.Pattern[bytes] = STRICT
    loose_names: bool = False


READINGS = (
    Reading("as RFC 9112 says"),
    Reading("length before coding", lengths_first=True),
    Reading("bare LF", newline=LF),
    Reading("all that is lax", lengths_first=True, newline=LF, loose_names=True),
)


@dataclass(frozen=True)
class Request:
    line: bytes
    fields: tuple[tuple[bytes, bytes], ...]
    body: bytes

    @property
    def path(self) -> str:
        parts = self.line.split()
        return parts[1].decode("latin-1") if len(parts) > 1 else f"no request: {self.line!r}"


class Incomplete(Exception):
    """The octets end within a request."""


def requests(octets: bytes, reading: Reading) -> Iterator[Request]:
    """The whole requests in what came over one connection. Raises Incomplete behind the last."""
    while octets:
        lines, octets = _head(octets, reading)
        fields = tuple(_field(line, reading) for line in lines[1:])
        body, octets = _body(dict(fields), octets, reading)
        yield Request(lines[0], fields, body)


def _head(octets: bytes, reading: Reading) -> tuple[list[bytes], bytes]:
    lines: list[bytes] = []
    start = 0
    while found := reading.newline.search(octets, start):
        line, start = octets[start : found.start()], found.end()
        if line:
            lines.append(line)
        elif lines:
            return lines, octets[start:]
    raise Incomplete


def _field(line: bytes, reading: Reading) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    if reading.loose_names:
        name = name.strip().replace(b"_", b"-")
    return name.lower(), value.strip()


def _body(fields: dict[bytes, bytes], octets: bytes, reading: Reading) -> tuple[bytes, bytes]:
    length, coding = fields.get(b"content-length"), fields.get(b"transfer-encoding")
    if length is not None and (reading.lengths_first or coding is None):
        if len(octets) < int(length):
            raise Incomplete
        return octets[: int(length)], octets[int(length) :]
    return _chunks(octets, reading) if coding is not None else (b"", octets)


def _chunks(octets: bytes, reading: Reading) -> tuple[bytes, bytes]:
    body = b""
    while True:
        if not (found := reading.newline.search(octets)):
            raise Incomplete
        size, octets = int(octets[: found.start()].partition(b";")[0], 16), octets[found.end() :]
        if not size:
            return body, _after_trailers(octets, reading)
        if len(octets) < size + 1 or not (end := reading.newline.match(octets, size)):
            raise Incomplete
        body, octets = body + octets[:size], octets[end.end() :]


def _after_trailers(octets: bytes, reading: Reading) -> bytes:
    start = 0
    while found := reading.newline.search(octets, start):
        if found.start() == start:
            return octets[found.end() :]
        start = found.end()
    raise Incomplete


@dataclass
class _Heard:
    octets: bytearray = field(default_factory=bytearray)
    answered: int = 0


class Recorder:
    """Answers each request (read as RFC 9112 says) with 200 and its path, and closes nothing by itself."""

    def __init__(self) -> None:
        self._connections: list[_Heard] = []
        self._server: asyncio.Server | None = None

    async def start(self, address: str) -> str:
        """Its endpoint."""
        self._server = await asyncio.start_server(self._serve, address, 0)
        return "{}:{}".format(*self._server.sockets[0].getsockname()[:2])

    def close(self) -> None:
        assert self._server is not None
        self._server.close()

    def forget(self) -> None:
        for heard in self._connections:
            heard.octets.clear()
            heard.answered = 0

    def read(self, reading: Reading) -> list[Request]:
        """The whole requests so far, as such a server would see them."""
        return [request for heard in self._connections for request in _whole(bytes(heard.octets), reading)]

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        heard = _Heard()
        self._connections.append(heard)
        with suppress(OSError):
            while more := await reader.read(65_536):
                heard.octets += more
                whole = _whole(bytes(heard.octets), READINGS[0])
                for request in whole[heard.answered :]:
                    body = request.path.encode()
                    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: %d\r\n\r\n" % len(body))
                    writer.write(b"" if request.line.startswith(b"HEAD ") else body)
                heard.answered = len(whole)
                await writer.drain()
        writer.close()


def _whole(octets: bytes, reading: Reading) -> list[Request]:
    found: list[Request] = []
    with suppress(Incomplete, ValueError):
        found.extend(requests(octets, reading))
    return found
