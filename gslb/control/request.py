"""What an edge does with one request: the route that takes it, the split, and the side of a sticky user. Pure.

Shares are the intended ones. A side that is dead hands its share to the others of its split; only the edges know.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import accumulate
from typing import Any

import xxhash

from gslb.control.copies import copies
from gslb.edge.render.clusters import takers
from gslb.edge.render.routes import VARIANT_HEADER, cookie_name
from gslb.edge.render.weights import TOTAL_WEIGHT, to_weights
from gslb.snapshot.routing import Route
from gslb.snapshot.types import App
from gslb.steering import Request, RouteStep, normal_path, take_route

__all__ = ["explain_request", "read_headers", "side_of"]


def read_headers(lines: str) -> dict[str, str]:
    """`NAME: VALUE`, one a line, as `Request.headers`."""
    headers: dict[str, str] = {}
    for line in lines.splitlines():
        name, _, value = line.partition(":")
        key, text = name.strip().lower(), value.strip()
        headers[key] = f"{headers[key]},{text}" if key in headers else text
    return headers


def explain_request(app: App, method: str, target: str, headers: Mapping[str, str], user: str | None) -> dict[str, Any]:
    """`method` of `target` (path and query) by the sticky user `user` (the value of the app's cookie; None: unknown),
    as messages.RequestExplained. `headers` as in `Request`."""
    written, _, query = target.partition("?")
    path = normal_path(written)
    steps = take_route(app, Request(method, path, query, headers)) if path is not None else ()
    route = steps[-1].route if steps and not steps[-1].missing else None
    return {
        "method": method,
        "path": path,
        "steps": [{"route": step.route.name, "takes": not step.missing, "reason": _reason(step)} for step in steps],
        "route": f"{app.name}/{route.name}" if route else None,
        "why": _why(path, route),
        "split": {str(share.backend): share.share_bp / 100 for share in route.split} if route else {},
        "source": f"{route.source.kind} {route.source.detail}".strip() if route else "",
        "sticky": route.sticky if route else False,
        "action": _action(route) if route else "",
        **(_side(app, route, headers, user) if route else {"side": None, "side_why": ""}),
        "mirrors": {str(mirror.to): mirror.effective_bp / 100 for mirror in route.mirrors} if route else {},
        "copies": _copies(app, route, method, headers, user) if route else {},
    }


def side_of(route: Route, user: str) -> str:
    """The backend that a sticky route gives the user with this cookie: XXH64 (seed 0) of its value, modulo the total
    weight, is a point on a line along which the sides lie in the order of their names."""
    point = xxhash.xxh64_intdigest(user.encode(), seed=0) % TOTAL_WEIGHT
    ends = accumulate(to_weights([share.share_bp for share in route.split]))
    return next(share.backend for share, end in zip(route.split, ends, strict=True) if point < end)


def _reason(step: RouteStep) -> str:
    return step.missing or "everything of its match holds"


def _why(path: str | None, route: Route | None) -> str:
    if path is None:
        return "the edges refuse the path with 400: it holds a fragment or an escaped slash"
    return "the first route that matches" if route else "no route takes it: the edges answer 404"


def _action(route: Route) -> str:
    """What becomes of the request, in words."""
    if route.respond is not None:
        return f"the edge answers {route.respond.status} itself"
    if route.redirect is None:
        return "to a backend of its split"
    parts = ("scheme", "host", "port", "path", "prefix")
    told = [f"{part} {value}" for part in parts if (value := getattr(route.redirect, part)) is not None]
    return f"the edge redirects ({route.redirect.status}): {', '.join(told)}"


def _copies(app: App, route: Route, method: str, headers: Mapping[str, str], user: str | None) -> Mapping[str, str]:
    if route.variants and headers.get(VARIANT_HEADER) in {share.backend for share in route.split}:
        return {str(mirror.to): "no: testers are not mirrored" for mirror in route.mirrors}
    return copies(app, route, method, headers, user)


def _side(app: App, route: Route, headers: Mapping[str, str], user: str | None) -> dict[str, Any]:
    """`side` and `side_why`."""
    if not route.split:
        return {"side": None, "side_why": "no backend sees it"}
    picked = headers.get(VARIANT_HEADER)
    if route.variants and picked in {share.backend for share in route.split}:
        return {"side": picked, "side_why": f"picked by the header {VARIANT_HEADER}"}
    if not route.sticky:
        return {"side": None, "side_why": "drawn anew for every request: the route is not sticky"}
    cookie = f"the cookie {cookie_name(app)}"
    if not user:
        return {"side": None, "side_why": f"by {cookie}; a first request draws, and keeps its side"}
    side = side_of(route, user)
    share = next(share for share in route.split if share.backend == side)
    _, *others = takers(app, route, share)
    instead = f"; while {side} is dead: {', then '.join(other.name for other in others)}" if others else ""
    return {"side": side, "side_why": f"by {cookie}={user}{instead}"}
