"""What becomes of a route's requests: that the words fit together, and that nothing makes requests ambiguous."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator

from gslb.model.checks.headers import check_header_name, check_header_value
from gslb.model.checks.report import Report
from gslb.model.policy import App
from gslb.model.routing import Auth, Cors, Edits, Redirect, Rewrite, Route
from gslb.model.tree import Path

__all__ = ["check_actions", "check_edited"]

_FRAMING = frozenset(
    {
        "connection", "content-length", "expect", "host", "keep-alive", "proxy-connection", "te", "trailer",
        "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""What says where a message begins and ends, whom it is for, and what is between two hops only (RFC 9110 section
7.6.1): a policy that wrote them could make two requests of one."""

_BODILESS = (204, 205, 304)  # RFC 9110 sections 15.3.5, 15.3.6 and 15.4.5
_OURS = "x-gslb-"
_ONLY_WITH_SPLIT = (
    "sticky", "mirror", "try_timeout", "rewrite", "request", "sides", "cors", "websocket", "max_body", "compress",
    "variants", "auth",
)  # fmt: skip
_ORIGIN = re.compile(r"[a-z][a-z0-9+.-]*://(?:\*\.)?[A-Za-z0-9_.:\[\]-]+(?::[0-9]+)?")


def check_actions(report: Report, path: Path, route: Route, app: App) -> None:
    """Everything of `route`, at `path`, but its match, split and mirrors."""
    if route.split is None:
        _without_backend(report, path, route)
    for word in ("request", "response"):
        edits = getattr(route, word)
        if edits is not None:
            _edits(report, (*path, word), edits)
    for name, side in route.sides.items():
        if name not in (route.split or {}):
            report.unknown((*path, "sides", name), "side", name, route.split or ())
        for word in ("request", "response"):
            edits = getattr(side, word)
            if edits is not None:
                _edits(report, (*path, "sides", name, word), edits)
    _paths(report, path, route)
    if route.cors is not None:
        _cors(report, (*path, "cors"), route.cors)
    if route.auth is not None:
        _auth(report, (*path, "auth"), route.auth, app)
    _times(report, path, route)


def _without_backend(report: Report, path: Path, route: Route) -> None:
    respond = route.respond
    if respond is not None and respond.body and respond.status in _BODILESS:
        message = f"an answer {respond.status} has no body: the client would take it for the next answer"
        report.error((*path, "respond", "body"), "respond-body", message, "delete body, or write status: 200")
    action = "redirect" if route.redirect else "respond"
    written = report.keys(path)
    for word in _ONLY_WITH_SPLIT:
        if word in written and getattr(route, word):
            message = f"{word} is for requests that reach a backend, and {action} answers at the edge"
            report.error_at_key((*path, word), "no-backend", message, f"delete {word}, or write a split")


def _edits(report: Report, path: Path, edits: Edits) -> None:
    for word in ("set", "add"):
        seen: set[str] = set()
        for name, value in getattr(edits, word).items():
            check_edited(report, (*path, word, name), name, seen)
            check_header_value(report, (*path, word, name), value)
    seen = set()
    for index, name in enumerate(edits.remove):
        check_edited(report, report.item((*path, "remove"), index), name, seen)


def check_edited(report: Report, path: Path, name: str, seen: set[str]) -> None:
    """The name of a header that is to be changed; `seen` as in `check_header_name`."""
    check_header_name(report, path, name, seen)
    if name.lower() in _FRAMING:
        message = f"{name} says how a message is framed and routed: changing it could make two requests of one"
        remedy = "write rewrite: {host: NAME}" if name.lower() == "host" else "delete it"
        report.error_at_key(path, "header-framing", message, remedy)
    elif name.lower().startswith(_OURS):
        message = f"names that begin with {_OURS} are gslb's own"
        report.error_at_key(path, "header-reserved", message, "write another name")


def _paths(report: Report, path: Path, route: Route) -> None:
    changes: list[tuple[str, Rewrite | Redirect]] = [
        (word, change) for word in ("rewrite", "redirect") if (change := getattr(route, word)) is not None
    ]
    for word, change in changes:
        _plain_path(report, path, word, change)
        if change.prefix is not None and any(match.exact or match.regex for match in route.match):
            message = "prefix takes the place of the prefix that matched, and here the whole path matches"
            report.error((*path, word, "prefix"), "rewrite-prefix", message, "match by path:, or write path: here")
    rewrite = route.rewrite
    if rewrite is not None and rewrite.path is None and rewrite.prefix is None and rewrite.host is None:
        report.error_at_key(
            (*path, "rewrite"), "rewrite-empty", "nothing is rewritten", "write prefix:, path: or host:"
        )
    redirect = route.redirect
    if redirect is not None and _stays(redirect):
        message = "the client would be sent back to where it came from, for ever"
        report.warn((*path, "redirect"), "redirect-loop", message, "write scheme:, host:, port:, path: or prefix:")


def _stays(redirect: Redirect) -> bool:
    parts = (redirect.scheme, redirect.host, redirect.port, redirect.path, redirect.prefix)
    return all(part is None for part in parts)


def _plain_path(report: Report, path: Path, word: str, change: Rewrite | Redirect) -> None:
    for field in ("path", "prefix"):
        text = getattr(change, field)
        if text and re.search(r"[?#%\\]|//|/\.\.?(?:/|$)", text):
            message = f"{text} is not a plain path: it has a query, a fragment, an escape, dots or empty segments"
            report.error((*path, word, field), "path-plain", message, "write it as /a/b")


def _cors(report: Report, path: Path, cors: Cors) -> None:
    for index, origin in enumerate(cors.origins):
        if origin != "*" and not _ORIGIN.fullmatch(origin):
            message = f"{origin} is no origin: scheme, host and port only, with one *. at the front of the host"
            report.error(report.item((*path, "origins"), index), "origin", message, "write https://*.example.com")
    for word in ("headers", "expose"):
        seen: set[str] = set()
        for index, name in enumerate(getattr(cors, word)):
            if name != "*":
                check_header_name(report, report.item((*path, word), index), name, seen)


def _auth(report: Report, path: Path, auth: Auth, app: App) -> None:
    if auth.backend not in app.backends:
        report.unknown((*path, "backend"), "backend", auth.backend, app.backends)
    for word in ("send", "take"):
        seen: set[str] = set()
        for index, name in enumerate(getattr(auth, word)):
            place = report.item((*path, word), index)
            check_header_name(report, place, name, seen)
            if word == "take" and name.lower() in _FRAMING:
                message = f"{name} says how a message is framed: the service must not change it"
                report.error(place, "header-framing", message, "delete it")


def _times(report: Report, path: Path, route: Route) -> None:
    if route.try_timeout is not None and 0 < route.timeout < route.try_timeout:
        message = f"one try may take {route.try_timeout:g} s, and the whole request {route.timeout:g} s"
        report.error((*path, "try_timeout"), "try-timeout", message, "write a try_timeout that is not above timeout")
    if 0 < route.timeout < 0.01:
        message = f"a timeout of {route.timeout * 1000:g} ms"
        report.error((*path, "timeout"), "range", message, "write at least 10ms, or 0s for none")
    retries = route.retrying
    duplicate = next(_twice(retries.on), None)
    if duplicate is not None:
        report.error(
            (*path, "retries", "on", duplicate), "duplicate-status", "this status stands here already", "name it once"
        )


def _twice(values: Iterable[object]) -> Iterator[int]:
    seen = set()
    for index, value in enumerate(values):
        if value in seen:
            yield index
        seen.add(value)
