"""One probe: an HTTP request through an edge's front door, and what its outcome is called. No schedule, no memory."""

from __future__ import annotations

import asyncio
import errno
from types import SimpleNamespace

import aiohttp
from yarl import URL

from gslb.errors import HostError
from gslb.health.target import Result
from gslb.snapshot.targets import ProbeTarget

__all__ = ["ask", "open_session"]

HEAD_LINE_LIMIT_BYTES = 8190
"""A longer status line or header is a failed probe. aiohttp also limits how many headers there may be."""

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""This machine has nothing left to connect with: that says nothing about the target."""


async def _connected(_session: aiohttp.ClientSession, progress: SimpleNamespace, _params: object) -> None:
    progress.trace_request_ctx["connected"] = True


def open_session() -> aiohttp.ClientSession:
    """A session for `ask`. Every probe has a connection of its own, because a dead accept queue is seen by new
    connections only."""
    trace = aiohttp.TraceConfig()
    trace.on_connection_create_end.append(_connected)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0, force_close=True, use_dns_cache=False),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=None, sock_connect=None),
        auto_decompress=False,
        max_line_size=HEAD_LINE_LIMIT_BYTES,
        max_field_size=HEAD_LINE_LIMIT_BYTES,
        trace_configs=[trace],
    )


async def ask(session: aiohttp.ClientSession, target: ProbeTarget) -> Result:
    """Ask the front door of an edge whether `target.backend` can be used there: healthy is status 200.

    The check's timeout covers connecting and the head of the answer; the body is not read. Redirects are not followed.
    Raises HostError where this machine could not even ask.
    """
    subject = target.backend or "edge"
    progress = {"connected": False}
    try:
        async with asyncio.timeout(target.check.timeout_s), _get(session, target, progress) as response:
            text = f"{subject}: {response.status}"
            return Result(ok=True, reason=text) if response.status == 200 else Result(False, f"{text} from the edge")
    except TimeoutError:
        what = f"{subject}: timeout" if progress["connected"] else "edge: connect timeout"
        return Result(ok=False, reason=f"{what} after {target.check.timeout_s:g} s")
    except aiohttp.ServerDisconnectedError:
        return Result(ok=False, reason="edge: closed without an answer")
    except aiohttp.ClientOSError as error:
        return _failed_socket(error, connected=progress["connected"])
    except (aiohttp.ClientResponseError, aiohttp.ClientPayloadError):
        return Result(ok=False, reason="edge: the answer is not HTTP, or its head is too large")


def _get(
    session: aiohttp.ClientSession, target: ProbeTarget, progress: dict[str, bool]
) -> aiohttp.client._RequestContextManager:
    host = f"[{target.address}]" if target.address.version == 6 else str(target.address)
    path = target.check.path if target.backend is not None else "/"
    return session.get(
        URL(f"http://{host}:{target.port}{path}", encoded=True),
        headers={
            "host": target.host,
            "x-gslb-probe": target.backend or "edge",
            "user-agent": "gslb-probe",
            "connection": "close",
        },
        allow_redirects=False,
        trace_request_ctx=progress,
    )


def _failed_socket(error: aiohttp.ClientOSError, *, connected: bool) -> Result:
    if error.errno in EXHAUSTED:
        raise HostError(
            f"cannot open a connection to probe with: {error.strerror}",
            "raise this process's limit of open files (ulimit -n, LimitNOFILE=) or the range of local ports",
        ) from error
    if error.errno == errno.ECONNREFUSED:
        return Result(ok=False, reason="edge: connect refused")
    what = "connection lost" if connected else "connect failed"
    return Result(ok=False, reason=f"edge: {what}: {(error.strerror or 'unknown error').lower()}")
