"""How a node endpoint takes bodies, and tells errors. What they mean is not known here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from aiohttp import web
from pydantic import ValidationError

from gslb.control.http.problems import new_request_id, problem_of
from gslb.errors import GslbError

__all__ = ["BODY_TIMEOUT_S", "Handler", "read_body", "telling"]

BODY_TIMEOUT_S = 20.0
"""How long a body may take to come: an offer of 64 MiB over 30 Mbit/s."""

Handler = Callable[[web.Request], Awaitable[web.Response]]

_log = structlog.get_logger(__name__)


async def read_body(request: web.Request, limit_bytes: int) -> bytes:
    """Of one that somebody sends; status 413 beyond `limit_bytes`, 408 where it does not end."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.clone(client_max_size=limit_bytes).read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None


def telling(handler: Handler) -> Handler:
    """Every error as control's API tells it, so that one client understands both."""

    async def serve(request: web.Request) -> web.Response:
        try:
            return await handler(request)
        except Exception as error:  # noqa: BLE001 - the last resort: the node goes on, the log has the whole story
            if not isinstance(error, GslbError | ValidationError | web.HTTPException):
                _log.error("a request failed", path=request.path, exc_info=error)
            return problem_of(error, new_request_id())

    return serve
