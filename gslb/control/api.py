"""The HTTP API as an aiohttp application: limits, guards, and errors as problem+json (RFC 9457).

What each path does stands in `routes`; who may reach the socket is the business of the file's mode and of who listens.
"""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from gslb.control.publishing import Publisher
from gslb.control.routes import LIMIT_BYTES, TABLE, Asked, Endpoint, Media
from gslb.errors import HostError, PolicyError, Problem, RefusedError

__all__ = ["build_app"]

BODY_TIMEOUT_S = 10.0

_LITERAL_HOST = re.compile(r"(localhost|\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])(:\d{1,5})?", re.IGNORECASE)
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def build_app(publisher: Publisher, *, read_only: bool) -> web.Application:
    """The API of `publisher`: complete for the unix socket, `read_only` for TCP, where nobody has shown who they are.

    Over TCP only GET and HEAD are served, and only where the Host is an address or `localhost`: a page from elsewhere
    that points its own name at this machine (DNS rebinding) must not read what this installation does.
    """
    guards = [_problems, *([_only_reading] if read_only else [])]
    app = web.Application(client_max_size=LIMIT_BYTES, middlewares=guards)
    for endpoint in TABLE:
        app.router.add_route(endpoint.method, endpoint.path, _serving(endpoint, publisher))
        if endpoint.method == "GET":
            app.router.add_route("HEAD", endpoint.path, _serving(endpoint, publisher))
    app.on_response_prepare.append(_secure)
    return app


def _serving(endpoint: Endpoint, publisher: Publisher) -> _Handler:
    async def serve(request: web.Request) -> web.StreamResponse:
        body = await _body(request, endpoint.body, endpoint.limit_bytes) if endpoint.body is not None else None
        query = _query(request, endpoint.query)
        answer = await endpoint.handler(Asked(publisher, request.match_info, query, body))
        if isinstance(answer, Media):
            return web.Response(body=answer.content, headers={"Content-Type": _with_charset(answer.content_type)})
        return web.json_response(answer)

    return serve


def _with_charset(content_type: str) -> str:
    return content_type if "charset" in content_type else f"{content_type}; charset=utf-8"


async def _body(request: web.Request, model: type[BaseModel], limit_bytes: int) -> BaseModel:
    """In a thread, because a large one takes a while to read."""
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            data = await request.clone(client_max_size=limit_bytes).read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(reason="the body cannot be read") from error
    return await asyncio.to_thread(model.model_validate_json, data)


def _query(request: web.Request, model: type[BaseModel] | None) -> BaseModel | None:
    given = dict(request.query)
    if model is not None:
        return model.model_validate(given)
    if given:
        raise PolicyError(
            [_request_problem("unknown-key", f"{', '.join(sorted(given))}: nothing of that name is taken")]
        )
    return None


async def _secure(_request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)


@web.middleware
async def _only_reading(request: web.Request, handler: _Handler) -> web.StreamResponse:
    if not _LITERAL_HOST.fullmatch(request.headers.get("Host", "")):
        return _problem(
            HTTPStatus.MISDIRECTED_REQUEST,
            RefusedError("host", "the Host of the request is a name", "ask by address, such as http://127.0.0.1:8053"),
        )
    if request.method not in ("GET", "HEAD"):
        refused = RefusedError(
            "read-only",
            "changes are not taken over TCP, because there is no authentication yet",
            "use the unix socket: the gslb command does, on this machine and without --server",
        )
        return _problem(HTTPStatus.METHOD_NOT_ALLOWED, refused, {"Allow": "GET, HEAD"})
    return await handler(request)


@web.middleware
async def _problems(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every error as problem+json. What nobody expected is logged here and told without its insides."""
    try:
        return await handler(request)
    except ValidationError as error:
        return _invalid(error)
    except (PolicyError, RefusedError, HostError) as error:
        return _problem(_STATUS[type(error)], error)
    except web.HTTPException as error:
        refused = RefusedError(f"http-{error.status}", error.reason, "see /openapi.json for what can be asked")
        allow = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        return _problem(HTTPStatus(error.status), refused, allow)
    except Exception:  # noqa: BLE001 - the last resort: control goes on, the log has the whole story
        structlog.get_logger().exception("a request failed", method=request.method, path=request.path)
        broken = HostError("control failed in a way that nobody expected", "look at its log; please report it")
        return _problem(HTTPStatus.INTERNAL_SERVER_ERROR, broken)


_STATUS: Mapping[type[Exception], HTTPStatus] = {
    PolicyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusedError: HTTPStatus.CONFLICT,
    HostError: HTTPStatus.SERVICE_UNAVAILABLE,
}


def _invalid(error: ValidationError) -> web.Response:
    """A body that is no JSON is 400; JSON that does not fit is 422, with everything that is wrong at once."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    problems = [_fault(item) for item in found[:20]]
    status = HTTPStatus.BAD_REQUEST if found[0]["type"] == "json_invalid" else HTTPStatus.UNPROCESSABLE_ENTITY
    return _problem(status, PolicyError(problems))


def _fault(item: Mapping[str, Any]) -> Problem:
    where = ".".join(str(part) for part in item["loc"])[:200]
    if item["type"] == "extra_forbidden":
        return _request_problem("unknown-key", f"{where}: nothing of that name is taken")
    message = str(item["msg"]).removeprefix("Value error, ")
    rule = "json" if item["type"] == "json_invalid" else "value"
    return _request_problem(rule, f"{where}: {message}" if where else message)


def _request_problem(rule: str, message: str) -> Problem:
    return Problem("request", 0, 0, rule, message, "see /openapi.json for what can be asked")


def _problem(
    status: HTTPStatus, error: PolicyError | RefusedError | HostError, headers: Mapping[str, str] | None = None
) -> web.Response:
    if isinstance(error, PolicyError):
        items = [{"rule": p.rule, "message": p.message, "remedy": p.remedy} for p in error.problems]
        detail = "; ".join(item["message"] for item in items)
        told = {"detail": detail, "rule": items[0]["rule"], "remedy": items[0]["remedy"], "problems": items}
    else:
        rule = error.rule if isinstance(error, RefusedError) else "host"
        told = {"detail": error.message, "rule": rule, "remedy": error.remedy}
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, **told}
    return web.Response(text=json.dumps(body), status=status, content_type="application/problem+json", headers=headers)
