"""The HTTP API as an aiohttp application: who asks, how often, on which condition; limits; and what goes back.

What each path does stands in `routes`, who may ask for it in `access`, what an error looks like in `problems`.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import structlog
from aiohttp import web
from pydantic import BaseModel, ValidationError

from gslb import clock
from gslb.control.bodies.body import Body
from gslb.control.http import access
from gslb.control.http.access import Caller, Need
from gslb.control.http.callers import Door, caller_of
from gslb.control.http.conditions import ANY, only_if, tag_in_force, tag_of
from gslb.control.http.endpoint import LIMIT_BYTES, Asked, Endpoint, Media, Stream
from gslb.control.http.events import Events
from gslb.control.http.once import Once
from gslb.control.http.problems import BadRequestError, new_request_id, problem_of, request_problem
from gslb.control.http.rate import Rate
from gslb.control.http.routes import TABLE
from gslb.control.publishing import Publisher
from gslb.errors import HostError, PolicyError, RefusedError

__all__ = ["Door", "build_app"]

BODY_TIMEOUT_S = 10.0
READ_TIMEOUT_S = 60.0
"""Of what only reads. A change is not cut short: it has bounds of its own, and half of one helps nobody."""
SLOW_LISTENER_S = 10.0

_KEY = re.compile(r"[!-~]{1,128}")
_HEADERS = {
    "Content-Security-Policy": "default-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_ID = web.RequestKey("id", str)
_CALLER = web.RequestKey("caller", Caller)

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, slots=True)
class _Desk:
    """What all requests of one listening socket have in common."""

    publisher: Publisher
    door: Door
    events: Events
    once: Once = field(default_factory=Once)
    rate: Rate = field(default_factory=Rate)


def build_app(publisher: Publisher, door: Door) -> web.Application:
    """The API of `publisher` for those who come by `door`."""
    access.require_complete(f"{endpoint.method} {endpoint.path}" for endpoint in TABLE)
    desk = _Desk(publisher, door, Events(publisher))
    app = web.Application(client_max_size=LIMIT_BYTES, middlewares=[_telling, _knowing(desk)])
    for endpoint in TABLE:
        app.router.add_route(endpoint.method, endpoint.path, _serving(endpoint, desk))
        if endpoint.method == "GET":
            app.router.add_route("HEAD", endpoint.path, _serving(endpoint, desk))
    app.on_response_prepare.append(_secure)

    async def end_streams(_app: web.Application) -> None:
        desk.events.close()

    app.on_shutdown.append(end_streams)
    return app


@web.middleware
async def _telling(request: web.Request, handler: _Handler) -> web.StreamResponse:
    """Every error as problem+json. What is asked over TCP and may change something is a line in the log, whatever
    became of it; the history has what was done."""
    request[_ID] = new_request_id()
    with structlog.contextvars.bound_contextvars(request=request[_ID]):
        answer = await _answered(request, handler)
        caller = request.get(_CALLER)
        if request.method not in ("GET", "HEAD") and caller is not access.LOCAL:
            structlog.get_logger().info(
                "asked for a change",
                method=request.method,
                path=request.path,
                token=caller.name if caller else "",
                status=answer.status,
            )
        return answer


async def _answered(request: web.Request, handler: _Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except (ValidationError, PolicyError, RefusedError, HostError, web.HTTPException) as error:
        return problem_of(error, request[_ID])
    except Exception as error:  # noqa: BLE001 - the last resort: control goes on, the log has the whole story
        structlog.get_logger().exception("a request failed", method=request.method, path=request.path)
        return problem_of(error, request[_ID])


async def _secure(request: web.Request, response: web.StreamResponse) -> None:
    response.headers.update(_HEADERS)
    response.headers["X-Request-Id"] = request[_ID]


def _knowing(desk: _Desk) -> Any:
    """Who asks, before anything else is looked at."""

    @web.middleware
    async def know(request: web.Request, handler: _Handler) -> web.StreamResponse:
        request[_CALLER] = caller_of(request, desk.door, desk.publisher)
        return await handler(request)

    return know


def _serving(endpoint: Endpoint, desk: _Desk) -> _Handler:
    need = access.NEEDS[f"{endpoint.method} {endpoint.path}"]

    async def serve(request: web.Request) -> web.StreamResponse:
        caller = request[_CALLER]
        access.require_role(caller, need)
        key = _key(request, endpoint)
        octets = await _octets(request, endpoint.limit_bytes) if endpoint.body is not None else b""
        body = await asyncio.to_thread(_body, endpoint.body, octets) if endpoint.body is not None else None
        query = _query(request, endpoint.query)
        access.require_app(caller, need, _app_of(request, body, query))
        publisher = only_if(desk.publisher, _tags(request, endpoint))
        asked = Asked(publisher, request.match_info, _signed(query, caller), _signed(body, caller), desk.events, caller)
        if endpoint.method == "GET":
            still = partial(_require_still, request, desk, need)
            return await _read(request, endpoint, asked, still)
        if caller is not access.LOCAL:
            desk.rate.take(f"{caller.kind} {caller.name}", clock.mono_s())
        if key is None:
            return _tagged(*_json_and_tag(await endpoint.handler(asked)))
        target = hashlib.sha256(f"{endpoint.method} {request.path_qs}\n".encode() + octets).digest()
        return await _once(desk.once, (f"{caller.kind} {caller.name}", key), target, lambda: endpoint.handler(asked))

    return serve


def _require_still(request: web.Request, desk: _Desk, need: Need) -> None:
    """Who asked is believed by now, too. Raises UnknownCallerError and ForbiddenError."""
    access.require_role(caller_of(request, desk.door, desk.publisher), need)


async def _read(
    request: web.Request, endpoint: Endpoint, asked: Asked, still: Callable[[], None]
) -> web.StreamResponse:
    """A tag from before the reading: where it is too old, a change that names it is refused, which harms nobody.
    `still` raises RefusedError once the caller is believed no more."""
    tag = tag_in_force(asked.publisher) if endpoint.versioned else ""
    try:
        async with asyncio.timeout(READ_TIMEOUT_S):
            answer = await endpoint.handler(asked)
    except TimeoutError:
        raise HostError(
            f"this took longer than {READ_TIMEOUT_S:g} s", "ask for less, or when there is less to do"
        ) from None
    if isinstance(answer, Stream):
        return await _pour(request, answer, still)
    if isinstance(answer, Media):
        return web.Response(body=answer.content, headers={"Content-Type": _with_charset(answer.content_type)})
    return _tagged(json.dumps(answer).encode(), tag)


async def _once(
    once: Once, key: tuple[str, str], target: bytes, handle: Callable[[], Awaitable[Any]]
) -> web.StreamResponse:
    kept = once.begin(key, target, clock.mono_s())
    if kept is not None:
        assert kept.content is not None
        answer = _tagged(kept.content, kept.tag)
        answer.headers["Idempotency-Replayed"] = "true"
        return answer
    try:
        content, tag = _json_and_tag(await handle())
    except BaseException:
        once.failed(key)
        raise
    once.done(key, content, tag)
    return _tagged(content, tag)


def _json_and_tag(answer: Any) -> tuple[bytes, str]:
    return json.dumps(answer).encode(), tag_of(answer["snapshot"]) if "snapshot" in answer else ""


def _tagged(content: bytes, tag: str) -> web.Response:
    headers = {"ETag": f'"{tag}"'} if tag else {}
    return web.Response(body=content, content_type="application/json", charset="utf-8", headers=headers)


def _with_charset(content_type: str) -> str:
    return content_type if "charset" in content_type else f"{content_type}; charset=utf-8"


async def _pour(request: web.Request, stream: Stream, still: Callable[[], None]) -> web.StreamResponse:
    """Until the stream ends, the listener goes, does not keep up, or is believed no more: what is said once they are
    refused is for others."""
    async with contextlib.aclosing(stream.lines) as lines:
        line = await anext(lines)
        response = web.StreamResponse(headers={"Content-Type": _with_charset(stream.content_type)})
        await response.prepare(request)
        if request.method == "HEAD":
            return response
        try:
            while line:
                still()
                async with asyncio.timeout(SLOW_LISTENER_S):
                    await response.write(line)
                line = await anext(lines, b"")
        except TimeoutError:
            if request.transport is not None:
                request.transport.abort()
        except ConnectionError:
            structlog.get_logger().debug("a listener has gone")
        except RefusedError as error:
            structlog.get_logger().info("a listener is believed no more", rule=error.rule)
    return response


def _key(request: web.Request, endpoint: Endpoint) -> str | None:
    """The Idempotency-Key. Raises BadRequestError where it is none, or where it would be ignored."""
    given = request.headers.getall("Idempotency-Key", [])
    if not given:
        return None
    if endpoint.method != "POST" or not endpoint.repeatable:
        raise BadRequestError("idempotency-key", "no Idempotency-Key is taken here", "leave it out")
    if len(given) > 1 or not _KEY.fullmatch(given[0]):
        raise BadRequestError(
            "idempotency-key", "the Idempotency-Key is not one line of 1 to 128 visible characters", "send a UUID"
        )
    return given[0]


def _tags(request: web.Request, endpoint: Endpoint) -> list[str] | None:
    """What If-Match names; weak tags never match (RFC 9110 section 13.1.1), nor does what is no tag. None: no
    condition. Raises BadRequestError where it would be ignored."""
    if endpoint.method == "GET":
        return None
    if not endpoint.conditional and "If-Match" in request.headers:
        raise BadRequestError("if-match", "no If-Match is taken here: the policy stays as it is", "leave it out")
    given = ", ".join(request.headers.getall("If-Match", [])).strip()
    if given == ANY:
        return [ANY]
    named = [tag.value for tag in request.if_match or () if not tag.is_weak and tag.value != ANY]
    return named if "If-Match" in request.headers else None


def _body(model: type[Body], octets: bytes) -> Body:
    return model.model_validate_json(octets, strict=model.STRICT)


async def _octets(request: web.Request, limit_bytes: int) -> bytes:
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(reason="the body must be application/json")
    try:
        async with asyncio.timeout(BODY_TIMEOUT_S):
            return await request.clone(client_max_size=limit_bytes).read()
    except TimeoutError:
        raise web.HTTPRequestTimeout from None
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(reason="the body cannot be read") from error


def _query(request: web.Request, model: type[BaseModel] | None) -> BaseModel | None:
    given = dict(request.query)
    if model is not None:
        return model.model_validate(given)
    if given:
        raise PolicyError(
            [request_problem("unknown-key", f"{', '.join(sorted(given))}: nothing of that name is taken")]
        )
    return None


def _app_of(request: web.Request, *models: BaseModel | None) -> str | None:
    """The app that the request is about, wherever its route says so."""
    named = [request.match_info.get("app"), *(getattr(model, "app", None) for model in models)]
    return next((name for name in named if name), None)


def _signed(model: BaseModel | None, caller: Caller) -> BaseModel | None:
    """The author is whose token or certificate it is, whatever the request says."""
    if model is None or not caller.name or "author" not in type(model).model_fields:
        return model
    return model.model_copy(update={"author": f"{caller.kind} {caller.name}"})
