"""HTTP and HTTPS, 1.1 and 2: a request, and what its answer must be."""

from __future__ import annotations

from urllib.parse import urlsplit

from gslb.health.checks.connection import Connection
from gslb.health.checks.tools import Tools
from gslb.health.http1 import Door, first_head, request_octets
from gslb.health.http_answer import Answer, judged
from gslb.health.request import BODY_LIMIT_BYTES, Request, whole_answer
from gslb.health.target import Result
from gslb.snapshot.checks import Headers, HttpAsk, Tls

__all__ = ["ask_http", "door_to", "headers_of"]


async def ask_http(subject: str, ask: HttpAsk, connection: Connection, tools: Tools) -> Result:
    """Healthy is an answer as expected; redirects are not followed. The caller limits the time. Raises what asking
    does, and HostError where a file is missing."""
    parts = urlsplit(ask.url)
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    request = Request(ask.method, target, ask.host or parts.netloc, headers_of(ask.headers, ask.bearer, tools))
    door = door_to(ask.url, ask.tls, tools, ("h2",) if ask.http2 else ())
    if ask.http2:
        answer = await _over_http2(door, request, connection)
        if answer is None:
            return Result(ok=False, reason=f"{subject}: it does not speak HTTP/2 (ALPN)")
    elif ask.expect.needs_body:
        assert tools.session is not None
        answer = await whole_answer(tools.session, door, request, BODY_LIMIT_BYTES, connection.stands)
    else:
        octets = request_octets(request.method, request.target, request.host, request.headers)
        head = await first_head(door, octets, connection.stands)
        answer = Answer(head.status, head.headers)
    return judged(subject, answer, ask.expect)


def door_to(url: str, tls: Tls, tools: Tools, alpn: tuple[str, ...] = ()) -> Door:
    """Where `url` leads. Raises HostError as Tools.context."""
    parts = urlsplit(url)
    assert parts.hostname is not None
    if parts.scheme == "http":
        return Door(parts.hostname, parts.port or 80)
    return Door(parts.hostname, parts.port or 443, tools.context(tls, alpn), tls.sni or parts.hostname)


def headers_of(headers: Headers, bearer: str | None, tools: Tools) -> Headers:
    """What is sent beside Host. Raises HostError as Tools.token."""
    token = (("authorization", f"Bearer {tools.token(bearer)}"),) if bearer is not None else ()
    agent = () if any(name == "user-agent" for name, _ in headers) else (("user-agent", "gslb-probe"),)
    return (*headers, *token, *agent)


async def _over_http2(door: Door, request: Request, connection: Connection) -> Answer | None:
    """None: the other side does not speak it."""
    from gslb.health.checks.http2 import ask_http2, speaks_http2  # h2 is loaded where it is spoken

    pseudo = (
        (":method", request.method),
        (":scheme", "https" if door.context else "http"),
        (":path", request.target),
        (":authority", request.host),
    )
    async with connection.open(door.host, door.port, door.context, door.server_name) as (reader, writer):
        if not speaks_http2(writer):
            return None
        return await ask_http2(reader, writer, (*pseudo, *request.headers), b"", BODY_LIMIT_BYTES)
