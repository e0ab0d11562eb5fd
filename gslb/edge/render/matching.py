"""A policy's match to Envoy's RouteMatch (envoy.config.route.v3.RouteMatch). No actions here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from gslb.edge.render.config import Resource
from gslb.snapshot.routing import Match, ValueMatch

__all__ = ["header_equals", "method_in", "preflight_match", "route_match"]


def route_match(match: Match, guards: Sequence[Resource] = ()) -> dict[str, Any]:
    """All of `match`, and all of `guards` (header matchers) too."""
    headers = [method_in(match.methods)] if match.methods else []
    headers += [_header(test) for test in match.headers]
    headers += guards
    query = [_parameter(test) for test in match.query]
    return {
        **_path(match),
        **({"headers": headers} if headers else {}),
        **({"query_parameters": query} if query else {}),
    }


def preflight_match(match: Match) -> dict[str, Any]:
    """The preflights (Fetch Standard, section 3.2.2) that ask for what `match` takes: they come by OPTIONS, which it
    does not, and the filter for CORS answers them all."""
    asked = {**method_in(match.methods), "name": "access-control-request-method"}
    origin = {"name": "origin", "present_match": True}
    return route_match(replace(match, methods=("OPTIONS",)), [origin, asked])


def _path(match: Match) -> dict[str, Any]:
    if match.exact is not None:
        return {"path": match.exact}
    if match.regex is not None:
        return {"safe_regex": {"regex": match.regex}}
    prefix = (match.prefix or "/").rstrip("/")
    # Per segment: `/v2` takes `/v2` and `/v2/x`, not `/v2x`. The field refuses `/` and a slash at the end.
    return {"path_separated_prefix": prefix} if prefix else {"prefix": "/"}


def _header(test: ValueMatch) -> Resource:
    if test.kind == "absent":
        return {"name": test.name, "present_match": True, "invert_match": True}
    return _parameter(test)


def _parameter(test: ValueMatch) -> Resource:
    if test.kind == "present":
        return {"name": test.name, "present_match": True}
    if test.kind == "regex":
        return {"name": test.name, "string_match": {"safe_regex": {"regex": test.value}}}
    return header_equals(test.name, test.value)


def header_equals(name: str, value: str) -> Resource:
    return {"name": name, "string_match": {"exact": value}}


def method_in(methods: Sequence[str]) -> Resource:
    if len(methods) == 1:
        return header_equals(":method", methods[0])
    return {"name": ":method", "string_match": {"safe_regex": {"regex": "|".join(methods)}}}
