"""Stopping mirrors and starting them again, as pure functions from Intent to Intent.

Each raises PolicyError as those of `changes`, and returns the very Intent that it was given where nothing changes.
"""

from __future__ import annotations

from collections.abc import Iterable

from gslb.control.changes import AT_CONTROL, problem, require_future, require_known
from gslb.control.protocol import RoleState
from gslb.snapshot.eligibility import said_by
from gslb.snapshot.intent import Intent, MirrorStop
from gslb.snapshot.mirror_stops import mirror_stop, narrowest
from gslb.snapshot.types import Mirror, RouteId, Snapshot

__all__ = ["at_nodes", "mirrors_told", "scope", "start", "stop"]


def stop(intent: Intent, wanted: MirrorStop) -> Intent:
    """The mirrors of `wanted`'s scope copy nothing, in place of an earlier stop of the same scope.

    Raises PolicyError, rule `no-mirror`, for a route that has none.
    """
    _require_scope(intent, wanted.app, wanted.route)
    require_future(wanted.by)
    same = next((it for it in intent.overrides.mirror_stops if (it.app, it.route) == (wanted.app, wanted.route)), None)
    if same is not None and (same.by.reason, same.by.expires_s) == (wanted.by.reason, wanted.by.expires_s):
        return intent
    return _with(intent, [*(item for item in intent.overrides.mirror_stops if item is not same), wanted])


def start(intent: Intent, app: str | None, route: str | None, command: str = AT_CONTROL) -> Intent:
    """Takes back what `stop` with the same scope did; unchanged where nothing there is stopped.

    Raises PolicyError, rule `stopped-otherwise`, where a stop of another scope holds its mirrors.
    """
    stops = intent.overrides.mirror_stops
    kept = [item for item in stops if (item.app, item.route) != (app, route)]
    if len(kept) < len(stops):
        return _with(intent, kept)
    if app is not None:
        require_known("app", app, intent.policy.apps)
        if route is not None:
            require_known("route", route, [item.name for item in intent.policy.apps[app].routes])
    others = [item for item in stops if _overlap(item, app, route)]
    if others:
        commands = "; ".join(command.format(f"mirror start {scope(item.app, item.route)}".strip()) for item in others)
        raise problem("stopped-otherwise", "these mirrors are stopped, but under another scope than that", commands)
    return intent


def scope(app: str | None, route: str | None) -> str:
    """As the command line has it; empty: every mirror."""
    return "" if app is None else app if route is None else f"{app}/{route}"


def mirrors_told(snapshot: Snapshot | None, app: str | None, route: str | None) -> dict[str, str]:
    """What is copied now of each route with mirrors in the scope, in words."""
    return {
        str(RouteId(name, item.name)): ", ".join(map(_told, item.mirrors))
        for name, compiled in (snapshot.apps if snapshot else {}).items()
        for item in compiled.routes
        if item.mirrors and app in (None, name) and route in (None, item.name)
    }


def at_nodes(intent: Intent, reached: Iterable[RoleState], route: tuple[str, str], wall_s: float) -> dict[str, str]:
    """By role: what somebody made of the mirrors of a route (app, name) at the node itself, where control has it
    otherwise."""
    ours = mirror_stop(intent, *route, wall_s)
    told: dict[str, str] = {}
    for state in reached:
        stops = state.broken_glass.mirror_stops if state.broken_glass else None
        theirs = ours if stops is None else narrowest(stops, *route, wall_s)
        if theirs != ours:
            told[state.name] = "copies" if theirs is None else f"stopped {said_by(theirs.by)}"
    return told


def _told(mirror: Mirror) -> str:
    if mirror.stopped:
        return f"{mirror.to} stopped"
    return f"{mirror.to} {mirror.share_bp / 100:g} %" + (" of users" if mirror.by else "")


def _overlap(stop: MirrorStop, app: str | None, route: str | None) -> bool:
    same_app = None in (stop.app, app) or stop.app == app
    return same_app and (None in (stop.route, route) or stop.route == route)


def _require_scope(intent: Intent, app: str | None, route: str | None) -> None:
    if app is None and route is not None:
        raise problem("scope", f"the route {route} is of no app", "name the app as well: APP/ROUTE")
    if app is None:
        return
    require_known("app", app, intent.policy.apps)
    routes = {item.name: item for item in intent.policy.apps[app].routes}
    if route is None:
        return
    require_known("route", route, routes)
    if not routes[route].mirror:
        names = ", ".join(name for name, item in routes.items() if item.mirror) or "none"
        raise problem("no-mirror", f"{app}/{route} has no mirror", f"routes of {app} that have one: {names}")


def _with(intent: Intent, stops: Iterable[MirrorStop]) -> Intent:
    version = intent.overrides.version + 1
    overrides = intent.overrides.model_copy(update={"version": version, "mirror_stops": tuple(stops)})
    return intent.model_copy(update={"overrides": overrides})
