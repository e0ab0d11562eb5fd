"""Routes: that splits are whole, that what they name exists, that matches can match, and that routes can be reached."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gslb.model.checks.actions import check_actions
from gslb.model.checks.comparing import check_comparisons
from gslb.model.checks.headers import check_header_name, check_header_value, warn_of_underscore
from gslb.model.checks.mirrors import check_mirrors
from gslb.model.checks.re2 import REMEDY, re2_refusal
from gslb.model.checks.report import Report
from gslb.model.normal_path import normal_path
from gslb.model.policy import App
from gslb.model.routing import Match, Test
from gslb.model.tree import Path

__all__ = ["check_routes"]


def check_routes(report: Report) -> None:
    """Every route of every app."""
    for app_name, app in report.policy.apps.items():
        seen: dict[str, int] = {}
        for index, route in enumerate(app.routes):
            path = ("apps", app_name, "routes", index)
            if route.name in seen:
                first = report.place(("apps", app_name, "routes", seen[route.name]))
                message = f"the route {route.name} stands at {first} already"
                report.error((*path, "name"), "duplicate-route", message, "give every route of an app its own name")
            seen.setdefault(route.name, index)
            if route.split is not None:
                _split(report, (*path, "split"), route.split, app)
            check_mirrors(report, path, route, app)
            check_comparisons(report, path, route)
            for place, match in enumerate(route.match):
                _match(report, report.item((*path, "match"), place), match)
            check_actions(report, path, route, app)
        _reach(report, ("apps", app_name, "routes"), app)


def _split(report: Report, path: Path, split: Mapping[str, float], app: App) -> None:
    for name in split:
        if name not in app.backends:
            report.unknown((*path, name), "backend", name, app.backends)
    total_bp = sum(round(percent * 100) for percent in split.values())
    if total_bp != 10_000:
        message = f"the split adds up to {total_bp / 100:g}, not 100"
        report.error_at_key(path, "split-sum", message, f"write {_mended(split, total_bp)}")


def _mended(split: Mapping[str, float], total_bp: int) -> str:
    """The nearest split that is whole: a small gap is the largest side's, a large one is everybody's."""
    shares = {name: round(percent * 100) for name, percent in split.items()}
    largest = max(shares, key=lambda name: shares[name])
    if total_bp == 0:
        shares = dict.fromkeys(shares, 10_000 // len(shares))
    elif abs(10_000 - total_bp) * 2 > shares[largest]:
        shares = {name: share * 10_000 // total_bp for name, share in shares.items()}
    shares[largest] += 10_000 - sum(shares.values())
    return "split: {" + ", ".join(f"{name}: {share / 100:g}" for name, share in shares.items()) + "}"


def _match(report: Report, path: Path, match: Match) -> None:
    for field in ("path", "exact"):
        text = getattr(match, field)
        if text and re.search(r"[?#]", text):
            message = f"{text} holds a query or a fragment, which is no part of the path"
            report.error(
                (*path, field), "path-query", message, "write the path alone, and `query: {NAME: VALUE}` beside it"
            )
        elif text and (normal := normal_path(text)) != text:
            message = f"no request has the path {text} when edges compare it: they make paths normal first"
            remedy = f"write {normal}" if normal else "write another: an escaped slash is refused with 400"
            report.error((*path, field), "path-normal", message, remedy)
    refusal = re2_refusal(match.regex) if match.regex is not None else None
    if refusal:
        report.error((*path, "regex"), "regex", f"the edge cannot use this pattern: {refusal}", REMEDY)
    _headers(report, (*path, "headers"), match.headers)
    _query(report, (*path, "query"), match.query)


def _headers(report: Report, path: Path, headers: Mapping[str, Test]) -> None:
    seen: set[str] = set()
    for name, test in headers.items():
        check_header_name(report, (*path, name), name, seen)
        warn_of_underscore(report, (*path, name), name)
        if isinstance(test, str):
            check_header_value(report, (*path, name), test)
        elif test.exact is not None:
            check_header_value(report, (*path, name, "exact"), test.exact)
        _regex(report, (*path, name), test)


def _query(report: Report, path: Path, query: Mapping[str, Test]) -> None:
    for name, test in query.items():
        place = (*path, name)
        if not name:
            report.error_at_key(place, "query-name", "a query parameter without a name", "write its name")
        if not isinstance(test, str) and test.present is False:
            message = "edges cannot tell that a query lacks a parameter"
            report.error((*place, "present"), "query-absent", message, "put a route for those that have it before")
        _regex(report, place, test)


def _regex(report: Report, path: Path, test: Test) -> None:
    refusal = re2_refusal(test.regex) if not isinstance(test, str) and test.regex is not None else None
    if refusal:
        message = f"the edge cannot use this pattern: {refusal}"
        report.error((*path, "regex"), "regex", message, REMEDY)


def _is_unconditional(match: Match) -> bool:
    """Whether the path alone decides."""
    return match.regex is None and not (match.method or match.headers or match.query)


def _reach(report: Report, path: Path, app: App) -> None:
    """Routes that an earlier one takes everything from. Regular expressions are not compared."""
    prefixes: dict[tuple[str, ...], str] = {}
    exacts: dict[str, str] = {}
    for index, route in enumerate(app.routes):
        takers = [_taker(match, prefixes, exacts) for match in route.match]
        if all(takers):
            message = f"{route.name} is never reached: the earlier route {takers[0]} takes all of its requests"
            report.warn((*path, index, "name"), "unreachable", message, f"put it before {takers[0]}")
        for match in filter(_is_unconditional, route.match):
            if match.exact is not None:
                exacts.setdefault(match.exact, route.name)
            else:
                prefixes.setdefault(_segments(match.path), route.name)


def _taker(match: Match, prefixes: Mapping[tuple[str, ...], str], exacts: Mapping[str, str]) -> str | None:
    if match.exact is not None and match.exact in exacts:
        return exacts[match.exact]
    segments = _segments(match.exact or match.path)
    for length in range(len(segments) + 1):
        if segments[:length] in prefixes:
            return prefixes[segments[:length]]
    return None


def _segments(path: str | None) -> tuple[str, ...]:
    """`/a/b` as ("a", "b"); every path (`/` or none) as the empty tuple."""
    return tuple((path or "/").strip("/").split("/")) if (path or "/").strip("/") else ()
