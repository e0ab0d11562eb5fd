"""The head of an answer to one HTTP/1.1 request, for less than half of what a whole client costs.

Nine of ten probes want a status and no more. This asks, reads the head, and hangs up: no body, no redirect, no second
request. Whoever needs a body asks with aiohttp (`request`, `checks.http`); both say the same of every answer
(tests/unit/health/test_http1.py).
"""

from __future__ import annotations

import asyncio
import dataclasses
import re
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from gslb.snapshot.checks import Headers

__all__ = [
    "HEAD_LIMIT_BYTES",
    "LINE_LIMIT_BYTES",
    "Door",
    "Head",
    "NotHttpError",
    "first_head",
    "head_of",
    "request_octets",
]

LINE_LIMIT_BYTES = 8190
"""Of a status line or a header: aiohttp's and Apache's."""
HEAD_LIMIT_BYTES = 65_536
_STATUS = re.compile(rb"HTTP/1\.[01] ([1-9][0-9][0-9])(?: [^\r\n]*)?")
_FIELD = re.compile(rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*([^\r\n\0]*?)[ \t]*")  # RFC 9110 section 5.5
_SWITCHING = 101


class NotHttpError(Exception):
    """What came back is not HTTP, or its head is too large."""


@dataclass(frozen=True, slots=True)
class Head:
    """`headers` have lower-case names, in the order in which they came. `certificate` (DER) was shown, over TLS."""

    status: int
    headers: Headers
    certificate: bytes | None = None

    def first(self, name: str) -> str | None:
        """The value of a header, the first where it came several times."""
        return next((value for known, value in self.headers if known == name), None)


def request_octets(method: str, target: str, host: str, headers: Headers) -> bytes:
    """A request without a body (RFC 9112 section 3). The caller has looked at what stands in it."""
    lines = [f"{method} {target} HTTP/1.1", f"host: {host}", *(f"{name}: {value}" for name, value in headers)]
    length = ["content-length: 0"] if method == "POST" else []
    return "\r\n".join([*lines, *length, "connection: close", "\r\n"]).encode("latin-1")


def head_of(octets: bytes) -> Head:
    """The head that `octets` are, without the empty line that ends it. Raises NotHttpError."""
    first, *fields = octets.split(b"\r\n")
    status = _STATUS.fullmatch(first)
    if status is None or max(map(len, (first, *fields))) > LINE_LIMIT_BYTES:
        raise NotHttpError
    headers = []
    for line in fields:
        field = _FIELD.fullmatch(line)
        if field is None:
            raise NotHttpError
        headers.append((field[1].decode("ascii").lower(), field[2].decode("latin-1")))
    return Head(int(status[1]), tuple(headers))


class _Exchange(asyncio.Protocol):
    """One request and the head of its answer; what comes before it as 1xx is passed over."""

    def __init__(self, request: bytes, answer: asyncio.Future[Head]) -> None:
        self._request, self._answer, self._seen = request, answer, b""
        self._certificate: bytes | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        tls = transport.get_extra_info("ssl_object")
        self._certificate = tls.getpeercert(binary_form=True) if tls else None
        cast("asyncio.Transport", transport).write(self._request)

    def data_received(self, data: bytes) -> None:
        if self._answer.done():
            return
        self._seen += data
        try:
            while (end := self._seen.find(b"\r\n\r\n")) >= 0:
                head, self._seen = head_of(self._seen[:end]), self._seen[end + 4 :]
                if head.status >= 200 or head.status == _SWITCHING:
                    self._answer.set_result(dataclasses.replace(head, certificate=self._certificate))
                    return
        except NotHttpError as error:
            self._answer.set_exception(error)
            return
        if len(self._seen) > HEAD_LIMIT_BYTES or not b"HTTP/1.".startswith(self._seen[:7]):
            self._answer.set_exception(NotHttpError())

    def connection_lost(self, error: Exception | None) -> None:
        if not self._answer.done():
            self._answer.set_exception(error or EOFError())


@dataclass(frozen=True, slots=True)
class Door:
    """Where to knock. `context` None: without TLS; `server_name` is then None, too."""

    host: str
    port: int
    context: ssl.SSLContext | None = None
    server_name: str | None = None


async def first_head(door: Door, request: bytes, on_connected: Callable[[], None]) -> Head:
    """Send `request` over a new connection, and return the head of the answer. The caller limits the time.

    Raises NotHttpError, EOFError (closed without an answer), OSError and ssl.SSLError as connecting does.
    """
    loop = asyncio.get_running_loop()
    answer: asyncio.Future[Head] = loop.create_future()
    transport, _ = await loop.create_connection(
        lambda: _Exchange(request, answer), door.host, door.port, ssl=door.context, server_hostname=door.server_name
    )
    on_connected()
    try:
        return await answer
    finally:
        transport.abort()
