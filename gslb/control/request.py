"""What an edge does with one GET: the route that takes it, the split, and the side of a sticky user. Pure.

Shares are the intended ones. A side that is dead hands its share to the others of its split; only the edges know.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import xxhash

from gslb.edge.render.routes import cookie_name
from gslb.edge.render.weights import TOTAL_WEIGHT, to_weights
from gslb.snapshot.types import App, Route
from gslb.steering import RouteStep, normal_path, take_route

__all__ = ["explain_request", "side_of"]

METHOD = "GET"


def explain_request(app: App, target: str, user: str | None) -> dict[str, Any]:
    """A GET of `target` (path and query) by the sticky user `user` (the value of the app's cookie; None: unknown), as
    messages.RequestExplained."""
    written, _, query = target.partition("?")
    path = normal_path(written)
    steps = take_route(app, METHOD, path, query) if path is not None else ()
    route = steps[-1].route if steps and not steps[-1].missing else None
    return {
        "method": METHOD,
        "path": path,
        "steps": [{"route": step.route.name, "takes": not step.missing, "reason": _reason(step)} for step in steps],
        "route": f"{app.name}/{route.name}" if route else None,
        "why": _why(path, route),
        "split": {str(share.backend): share.share_bp / 100 for share in route.split} if route else {},
        "source": f"{route.source.kind} {route.source.detail}".strip() if route else "",
        "sticky": route.sticky if route else False,
        "side": side_of(route, user) if route and route.sticky and user else None,
        "side_why": _side_why(app, route, user) if route else "",
        "mirrors": {str(mirror.to): mirror.share_bp / 100 for mirror in route.mirrors} if route else {},
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


def _side_why(app: App, route: Route, user: str | None) -> str:
    if not route.sticky:
        return "drawn anew for every request: the route is not sticky"
    cookie = f"the cookie {cookie_name(app)}"
    return f"by {cookie}={user}" if user else f"by {cookie}; a first request draws, and keeps its side"
