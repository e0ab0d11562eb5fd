"""One HTTP request of a probe, and what its outcome is called: through an edge's front door, or wherever a named check
points. No schedule, no memory.

Where a status and headers are enough, `http1` asks; whoever looks into a body asks with aiohttp.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING

from gslb import clock
from gslb.health.checks.connection import Connection
from gslb.health.checks.grpc import judged_grpc, request_message
from gslb.health.failures import failed
from gslb.health.http1 import HEAD_LIMIT_BYTES, LINE_LIMIT_BYTES, Door, Head, first_head, request_octets
from gslb.health.http_answer import Answer, judged
from gslb.health.target import Result
from gslb.health.tries import Tries
from gslb.snapshot.checks import Headers
from gslb.snapshot.targets import ProbeTarget

if TYPE_CHECKING:
    import aiohttp  # a process that looks at nothing yet starts without it

__all__ = ["BODY_LIMIT_BYTES", "Request", "ask", "open_session", "whole_answer"]

BODY_LIMIT_BYTES = 65_536
"""What is looked at of a body."""
EDGE_BODY_LIMIT_BYTES = 16_384
"""What Envoy looks at."""


async def _connected(_session: aiohttp.ClientSession, progress: SimpleNamespace, _params: object) -> None:
    progress.trace_request_ctx()


def open_session() -> aiohttp.ClientSession:
    """A session for whole answers. Every probe has a connection of its own, because a dead accept queue is seen by new
    connections only."""
    import aiohttp

    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        max_line_size=LINE_LIMIT_BYTES,
        max_field_size=LINE_LIMIT_BYTES,
        read_bufsize=HEAD_LIMIT_BYTES,
        trace_configs=[trace],
    )


@dataclass(frozen=True, slots=True)
class Request:
    """`target` is path and query as they are sent, `host` the header. With a body it takes `whole_answer`."""

    method: str
    target: str
    host: str
    headers: Headers
    body: bytes = b""


async def ask(session: aiohttp.ClientSession, target: ProbeTarget, tries: Tries) -> Result:
    """Ask the front door of an edge whether `target.backend` can be used there.

    The check's timeout covers everything. Redirects are not followed. Raises HostError where this machine could not
    even ask.
    """
    check, connection = target.check, Connection()
    try:
        return await tries.ask(lambda: _asked(session, target, connection), check.timeout_s, connection)
    except TimeoutError:
        what = f"{target.subject}: timeout" if connection.connected else "edge: connect timeout"
        return Result(ok=False, reason=f"{what} after {check.timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 - what is not expected of a connection is raised again
        return failed("edge", error, connected=connection.connected)


async def _asked(session: aiohttp.ClientSession, target: ProbeTarget, connection: Connection) -> Result:
    expect = target.check.expect
    tls = (_ANY_ISSUER, target.host) if target.tls else (None, None)
    door, request = Door(str(target.address), target.port, *tls), _front_door(target)
    octets = request_octets(request.method, request.target, request.host, request.headers)
    if target.tls and (refused := _trouble(await first_head(door, octets, connection.stands), target)):
        return Result(ok=False, reason=f"edge: {refused}")
    if target.check.grpc is not None:
        answer = await whole_answer(session, door, request, EDGE_BODY_LIMIT_BYTES, connection.stands)
        return judged_grpc(target.subject, answer)
    if expect.needs_body and target.backend is not None:
        answer = await whole_answer(session, door, request, EDGE_BODY_LIMIT_BYTES, connection.stands)
    else:
        head = await first_head(door, octets, connection.stands)
        answer = Answer(head.status, head.headers)
    return judged(target.subject, answer, expect, " from the edge")


def _trouble(head: Head, target: ProbeTarget) -> str | None:
    """Why clients would refuse the certificate; whether they trust its issuer is not known here."""
    from gslb.snapshot.certificates import of_der, trouble

    facts = of_der(head.certificate) if head.certificate else None
    if facts is None:
        return "the certificate cannot be read"
    return trouble(facts, [target.host], clock.wall_s())


def _any_issuer() -> ssl.SSLContext:
    """Names and times are looked at afterwards, so that the reason can be told."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


_ANY_ISSUER = _any_issuer()


def _front_door(target: ProbeTarget) -> Request:
    path = target.check.path if target.backend is not None else "/"
    headers: Headers = (("x-gslb-probe", target.subject), ("user-agent", "gslb-probe"))
    if target.check.grpc is not None:
        headers = (*headers, ("content-type", "application/grpc"), ("te", "trailers"))
        return Request(target.check.method, path, target.host, headers, request_message(target.check.grpc))
    return Request(target.check.method, path, target.host, headers)


async def whole_answer(
    session: aiohttp.ClientSession, door: Door, request: Request, limit_bytes: int, on_connected: Callable[[], None]
) -> Answer:
    """The answer with what stands in the first `limit_bytes` of its body. The caller limits the time. Raises what
    aiohttp does."""
    from yarl import URL

    host = f"[{door.host}]" if ":" in door.host else door.host
    scheme = "https" if door.context else "http"
    async with session.request(
        request.method,
        URL(f"{scheme}://{host}:{door.port}{request.target}", encoded=True),
        headers=[("host", request.host), *request.headers],
        data=request.body or None,
        allow_redirects=False,
        ssl=door.context or True,
        server_hostname=door.server_name,
        trace_request_ctx=on_connected,
    ) as response:
        body = bytearray()
        async for piece in response.content.iter_chunked(limit_bytes):
            body += piece
            if len(body) >= limit_bytes:
                break
        headers = tuple((name.lower(), value) for name, value in response.headers.items())
        return Answer(response.status, headers, bytes(body[:limit_bytes]))
