"""Mirrors: that their targets exist, that they know users by one name, and that copies mean what they seem to."""

from __future__ import annotations

from collections.abc import Mapping

from gslb.model.checks.actions import check_edited
from gslb.model.checks.headers import check_header_name, warn_of_underscore
from gslb.model.checks.report import Report
from gslb.model.policy import App
from gslb.model.routing import ByHeader, Route, Test
from gslb.model.tree import Path

__all__ = ["check_mirrors"]

_CREDENTIALS = ("authorization", "cookie")


def check_mirrors(report: Report, path: Path, route: Route, app: App) -> None:
    """All mirrors of `route`, which stands at `path`."""
    seen = set()
    for index, mirror in enumerate(route.mirror):
        place = (*path, "mirror", index)
        if mirror.to not in app.backends:
            report.unknown((*place, "to"), "backend", mirror.to, app.backends)
        elif mirror.to in seen:
            message = f"{mirror.to} is a mirror of this route already"
            report.error((*place, "to"), "duplicate-mirror", message, "keep one of them, with the percentage you mean")
        seen.add(mirror.to)
        removed: set[str] = set()
        for number, name in enumerate(mirror.remove):
            check_edited(report, report.item((*place, "remove"), number), name, removed)
        if isinstance(mirror.by, ByHeader):
            check_header_name(report, (*place, "by", "header"), mirror.by.header, set())
            warn_of_underscore(report, (*place, "by", "header"), mirror.by.header)
    _users(report, path, route)
    _credentials(report, path, route)
    _calls(report, path, route, app)


def _users(report: Report, path: Path, route: Route) -> None:
    known = [(index, _name(mirror.by)) for index, mirror in enumerate(route.mirror) if mirror.by != "request"]
    for index, name in known[1:]:
        if name != known[0][1]:
            message = "the mirrors of a route tell users apart by one thing, and an earlier one does it by another"
            report.error((*path, "mirror", index, "by"), "mirror-users", message, "write the same by: in both")


def _name(by: str | ByHeader) -> str:
    return f"header {by.header.lower()}" if isinstance(by, ByHeader) else by


def _credentials(report: Report, path: Path, route: Route) -> None:
    """Where requests show who somebody is, or never get here, copies without that are all answered 401."""
    shown = _shown(route)
    for index, mirror in enumerate(route.mirror):
        if shown and mirror.credentials is None:
            message = f"this route's requests show who somebody is ({shown}), and copies do not: {mirror.to} may"
            message += " answer them all with 401, and comparing would compare those"
            remedy = "write credentials: true if it may see them, or credentials: false if that is meant"
            report.warn((*path, "mirror", index, "to"), "mirror-credentials", message, remedy)


def _calls(report: Report, path: Path, route: Route, app: App) -> None:
    """Where the target is known to speak gRPC: a call is a POST, and its length is known to the end of it alone."""
    for index, mirror in enumerate(route.mirror):
        target = app.backends.get(mirror.to)
        if target is None or target.check is None or target.check.grpc is None:
            continue
        message = f"{mirror.to} speaks gRPC, and of calls only those are copied whose client states a content-length,"
        message += " which most clients do not"
        remedy = "gslb status counts the others under body_unknown_length"
        if "POST" not in mirror.methods:
            message = (
                f"{mirror.to} speaks gRPC, whose calls are POST, and the mirror copies {', '.join(mirror.methods)}"
            )
            remedy = "write methods: POST, and mirror calls that may be made twice only"
        report.warn((*path, "mirror", index, "to"), "mirror-grpc", message, remedy)


def _shown(route: Route) -> str | None:
    """By what the requests of the route show who somebody is, where that is known."""
    if route.cors is not None and route.cors.credentials:
        return "cors has credentials"
    given = {name.lower() for edits in [route.request] if edits for name in (*edits.set, *edits.add)}
    for name in _CREDENTIALS:
        if name in given:
            return f"the edge gives them {name}"
        if route.auth is not None and name in map(str.lower, route.auth.send):
            return f"auth sends {name}"
        if any(_demands(name, match.headers) for match in route.match):
            return f"its match has {name}"
    return None


def _demands(name: str, headers: Mapping[str, Test]) -> bool:
    return any(key.lower() == name and getattr(test, "present", None) is not False for key, test in headers.items())
