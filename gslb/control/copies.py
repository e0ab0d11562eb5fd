"""What mirrors do with one request, in words, and with which users. Pure; Envoy's routes do the same."""

from __future__ import annotations

from collections.abc import Mapping

from gslb.edge.render.routes import cookie_name
from gslb.edge.render.users import user_point
from gslb.snapshot.routing import Mirror, Route, Users
from gslb.snapshot.types import App

__all__ = ["copies"]


def copies(app: App, route: Route, method: str, headers: Mapping[str, str], user: str | None) -> dict[str, str]:
    """By target, whether `method` by `user` (the value of the app's cookie, None: unknown) is copied. `headers` have
    lower-case names."""
    return {str(mirror.to): _copy(app, mirror, method, headers, user) for mirror in route.mirrors}


def _copy(app: App, mirror: Mirror, method: str, headers: Mapping[str, str], user: str | None) -> str:
    if mirror.stopped:
        return f"no: stopped {mirror.stopped.detail}"
    if method not in mirror.methods:
        return f"no: {method} is none of {', '.join(mirror.methods)}"
    if mirror.by is None:
        return f"{mirror.share_bp / 100:g} % of requests, drawn anew for each"
    name = f"the header {mirror.by.header}" if mirror.by.header else f"the cookie {cookie_name(app)}"
    value = _value(mirror.by, headers, user)
    if not value:
        unknown = "who has none is not copied" if mirror.by.header else "a first request draws, and keeps what it drew"
        return f"{mirror.share_bp / 100:g} % of users, by {name}; {unknown}"
    point = user_point(app.name, value)
    inside = point < mirror.share_bp
    place = f"{point / 100:.2f} of 100, {'below' if inside else 'not below'} {mirror.share_bp / 100:g}"
    return f"{'yes' if inside else 'no'}, on every edge: by {name}={value}, which stands at {place}"


def _value(by: Users, headers: Mapping[str, str], user: str | None) -> str | None:
    return headers.get(by.header) if by.header else user
