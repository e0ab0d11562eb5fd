"""Routes: that splits are whole, that what they name exists, that matches can match, and that routes can be reached."""

from __future__ import annotations

import re
from collections.abc import Mapping

from gslb.model.checks.re2 import re2_refusal
from gslb.model.checks.report import Report
from gslb.model.policy import App, Match, Route
from gslb.model.tree import Path

__all__ = ["check_routes"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.1 and 5.6.2
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")  # RFC 9110 section 5.5, without obs-text


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
            _split(report, (*path, "split"), route.split, app)
            _mirrors(report, path, route, app)
            _match(report, (*path, "match"), route.match)
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


def _mirrors(report: Report, path: Path, route: Route, app: App) -> None:
    seen = set()
    for index, mirror in enumerate(route.mirror):
        place = (*path, "mirror", index, "to")
        if mirror.to not in app.backends:
            report.unknown(place, "backend", mirror.to, app.backends)
        elif mirror.to in seen:
            message = f"{mirror.to} is a mirror of this route already"
            report.error(place, "duplicate-mirror", message, "keep one of them, with the percentage that you mean")
        seen.add(mirror.to)


def _match(report: Report, path: Path, match: Match) -> None:
    for field in ("path", "exact"):
        text = getattr(match, field)
        if text and re.search(r"[?#]", text):
            message = f"{text} holds a query or a fragment, which is no part of the path"
            report.error(
                (*path, field), "path-query", message, "write the path alone, and `query: {NAME: VALUE}` beside it"
            )
    refusal = re2_refusal(match.regex) if match.regex is not None else None
    if refusal:
        report.error(
            (*path, "regex"), "regex", f"the edge cannot use this pattern: {refusal}", "write it in RE2 syntax"
        )
    _headers(report, (*path, "headers"), match.headers)
    if "" in match.query:
        report.error_at_key((*path, "query", ""), "query-name", "a query parameter without a name", "write its name")


def _headers(report: Report, path: Path, headers: Mapping[str, str]) -> None:
    seen = set()
    for name, value in headers.items():
        place = (*path, name)
        if name.startswith(":"):
            message = f"{name} is no header field but a part of the request itself"
            report.error_at_key(place, "header-name", message, "write path:, method: or the app's hosts instead")
        elif not _TOKEN.fullmatch(name):
            message = f"{name!r} is not the name of a header field"
            report.error_at_key(place, "header-name", message, "use letters, digits and hyphens, such as x-beta")
        elif name.lower() in seen:
            message = f"{name} stands here already; upper and lower case mean the same header"
            report.error_at_key(place, "duplicate-header", message, "keep one of the two")
        if not _VALUE.fullmatch(value):
            message = f"no header can have the value {value!r:.80}"
            report.error(place, "header-value", message, "write printable ASCII without spaces at its ends")
        seen.add(name.lower())


def _is_unconditional(match: Match) -> bool:
    """Whether the path alone decides."""
    return match.regex is None and not (match.method or match.headers or match.query)


def _reach(report: Report, path: Path, app: App) -> None:
    """Routes that an earlier one takes everything from. Regular expressions are not compared."""
    prefixes: dict[tuple[str, ...], str] = {}
    exacts: dict[str, str] = {}
    for index, route in enumerate(app.routes):
        match = route.match
        taker = _taker(match, prefixes, exacts)
        if taker:
            message = f"{route.name} is never reached: the earlier route {taker} takes all of its requests"
            report.warn((*path, index, "name"), "unreachable", message, f"put it before {taker}")
        if _is_unconditional(match):
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
