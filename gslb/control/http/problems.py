"""Every error of the API as problem+json (RFC 9457): which status, which words. Nothing is decided or logged here."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from aiohttp import web
from pydantic import ValidationError

from gslb.control.http.access import ForbiddenError, UnknownCallerError
from gslb.control.http.conditions import ChangedError
from gslb.control.http.once import OtherRequestError
from gslb.control.http.rate import TooManyError
from gslb.errors import HostError, PolicyError, Problem, RefusedError

__all__ = ["BadRequestError", "MisdirectedError", "new_request_id", "problem_of", "request_problem"]

SEE = "see /openapi.json for what can be asked"


class BadRequestError(RefusedError):
    """A request that does not make sense as HTTP."""


class MisdirectedError(RefusedError):
    """A request that was meant for another server (RFC 9110 section 15.5.20)."""


_STATUS: Mapping[type[Exception], HTTPStatus] = {
    PolicyError: HTTPStatus.UNPROCESSABLE_ENTITY,
    OtherRequestError: HTTPStatus.UNPROCESSABLE_ENTITY,
    RefusedError: HTTPStatus.CONFLICT,
    HostError: HTTPStatus.SERVICE_UNAVAILABLE,
    BadRequestError: HTTPStatus.BAD_REQUEST,
    MisdirectedError: HTTPStatus.MISDIRECTED_REQUEST,
    UnknownCallerError: HTTPStatus.UNAUTHORIZED,
    ForbiddenError: HTTPStatus.FORBIDDEN,
    ChangedError: HTTPStatus.PRECONDITION_FAILED,
    TooManyError: HTTPStatus.TOO_MANY_REQUESTS,
}
"""By class, or by the next one above it."""


def new_request_id() -> str:
    """What a request is called in the log and in its answer."""
    return secrets.token_hex(8)


def problem_of(error: Exception, request_id: str) -> web.Response:
    """The answer to what went wrong. `request_id` finds its lines in the log. What nobody expected keeps its
    insides."""
    headers: dict[str, str] = {}
    said: PolicyError | RefusedError | HostError
    match error:
        case ValidationError():
            status, said = _invalid(error)
        case web.HTTPException():
            status = HTTPStatus(error.status)
            said = RefusedError(f"http-{error.status}", error.reason, SEE)
            headers = {"Allow": error.headers["Allow"]} if "Allow" in error.headers else {}
        case PolicyError() | RefusedError() | HostError():
            status = next(_STATUS[kind] for kind in type(error).__mro__ if kind in _STATUS)
            said = error
            headers = _hints(error)
        case _:
            status = HTTPStatus.INTERNAL_SERVER_ERROR
            said = HostError("control failed in a way that nobody expected", "look at its log; please report it")
    body = {"type": "about:blank", "title": status.phrase, "status": status.value, **_told(said), "request": request_id}
    return web.Response(text=json.dumps(body), status=status, content_type="application/problem+json", headers=headers)


def request_problem(rule: str, message: str) -> Problem:
    """One thing that is wrong with what was asked."""
    return Problem("request", 0, 0, rule, message, SEE)


def _hints(error: Exception) -> dict[str, str]:
    """What a client may act on without reading the words."""
    match error:
        case UnknownCallerError():
            return {"WWW-Authenticate": 'Bearer realm="gslb"'}
        case ChangedError(tag=tag) if tag:
            return {"ETag": f'"{tag}"'}
        case TooManyError(wait_s=wait_s):
            return {"Retry-After": str(wait_s)}
    return {}


def _told(error: PolicyError | RefusedError | HostError) -> dict[str, Any]:
    if isinstance(error, PolicyError):
        items = [{"rule": p.rule, "message": p.message, "remedy": p.remedy} for p in error.problems]
        detail = "; ".join(item["message"] for item in items)
        return {"detail": detail, "rule": items[0]["rule"], "remedy": items[0]["remedy"], "problems": items}
    rule = error.rule if isinstance(error, RefusedError) else "host"
    return {"detail": error.message, "rule": rule, "remedy": error.remedy}


def _invalid(error: ValidationError) -> tuple[HTTPStatus, PolicyError]:
    """A body that is no JSON is 400; JSON that does not fit is 422, with everything that is wrong at once."""
    found = error.errors(include_url=False, include_context=False, include_input=False)
    status = HTTPStatus.BAD_REQUEST if found[0]["type"] == "json_invalid" else HTTPStatus.UNPROCESSABLE_ENTITY
    return status, PolicyError([_fault(item) for item in found[:20]])


def _fault(item: Mapping[str, Any]) -> Problem:
    where = ".".join(str(part) for part in item["loc"])[:200]
    if item["type"] == "extra_forbidden":
        return request_problem("unknown-key", f"{where}: nothing of that name is taken")
    message = str(item["msg"]).removeprefix("Value error, ")
    rule = "json" if item["type"] == "json_invalid" else "value"
    return request_problem(rule, f"{where}: {message}" if where else message)
