"""Which route of an app a request takes: what the edges do, told by the same rules without one.

Read beside `edge/render/matching`, which writes these rules down for Envoy; the two must agree. The regular
expressions are RE2's here as there, so that nothing matches differently and none can take for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

import re2

from gslb.model.normal_path import normal_path
from gslb.snapshot.routing import Match, Route, ValueMatch
from gslb.snapshot.types import App

__all__ = ["Request", "RouteStep", "normal_path", "take_route"]

_QUIET = re2.Options()
_QUIET.log_errors = False


@dataclass(frozen=True, slots=True)
class Request:
    """What an edge looks at. `path` is normal (see `normal_path`), `query` as it was sent, without its `?`; names of
    `headers` are lower-case, a header that was sent twice has both values with a comma between."""

    method: str
    path: str
    query: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RouteStep:
    """One route that was looked at. `missing` says what of its match does not hold; empty where it took the request."""

    route: Route
    missing: str


def take_route(app: App, request: Request) -> tuple[RouteStep, ...]:
    """The routes of `app` in order, up to the first that matches; where the last step misses something, none does."""
    steps = []
    for route in app.routes:
        steps.append(RouteStep(route, _missing_of_all(route, request)))
        if not steps[-1].missing:
            break
    return tuple(steps)


def _missing_of_all(route: Route, request: Request) -> str:
    """Empty where one of the route's matches holds, else what each lacks."""
    reasons = []
    for match in route.matches:
        reason = next(_missing(match, request, preflights=route.cors is not None), "")
        if not reason:
            return ""
        reasons.append(reason)
    return "; or ".join(dict.fromkeys(reasons))


def _missing(match: Match, request: Request, *, preflights: bool) -> Iterator[str]:
    """`preflights`: those that ask for a method of the match are taken, too."""
    method = request.method
    if preflights and method == "OPTIONS" and "origin" in request.headers:
        method = request.headers.get("access-control-request-method", method)
    if not _path_matches(match, request.path):
        yield _wanted_path(match)
    if match.methods and not {request.method, method} & {*match.methods}:
        yield f"takes {', '.join(match.methods)} only"
    for test in match.headers:
        if not _holds(test, request.headers.get(test.name)):
            yield _wanted_header(test)
    given = _parameters(request.query)
    for test in match.query:
        if not _holds(test, given.get(test.name)):
            yield _wanted_parameter(test)


def _holds(test: ValueMatch, value: str | None) -> bool:
    if value is None or test.kind in ("present", "absent"):
        return test.kind == ("absent" if value is None else "present")
    if test.kind == "regex":
        return re2.compile(test.value, _QUIET).fullmatch(value) is not None
    return value == test.value


def _wanted_header(test: ValueMatch) -> str:
    words = {"regex": f"like {test.value}", "present": "with any value"}
    if test.kind == "absent":
        return f"takes what has no header {test.name}"
    return f"wants the header {test.name}: {words.get(test.kind, test.value)}"


def _wanted_parameter(test: ValueMatch) -> str:
    words = {"regex": f" like {test.value}", "present": " with any value"}
    return f"wants {test.name}{words.get(test.kind, f'={test.value}')} in the query"


def _path_matches(match: Match, path: str) -> bool:
    if match.exact is not None:
        return path == match.exact
    if match.regex is not None:
        return re2.compile(match.regex, _QUIET).fullmatch(path) is not None
    prefix = (match.prefix or "/").rstrip("/")
    return path == prefix or path.startswith(f"{prefix}/")


def _wanted_path(match: Match) -> str:
    if match.exact is not None:
        return f"takes the path {match.exact} only"
    if match.regex is not None:
        return f"takes paths like {match.regex}"
    return f"takes paths below {match.prefix}"


def _parameters(query: str) -> dict[str, str]:
    """The first value of each, as it was sent: nothing is decoded before it is compared."""
    values: dict[str, str] = {}
    for part in query.split("&"):
        name, _, value = part.partition("=")
        values.setdefault(name, value)
    return values
