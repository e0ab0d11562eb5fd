"""What a change answers: before, after, and the command that takes it back. Pure."""

from __future__ import annotations

from typing import Any

from gslb.control import mirrors
from gslb.control.latency import latency_source
from gslb.control.publishing import Published
from gslb.control.status import drained_how
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import AppName, Route, SiteName, Snapshot

__all__ = ["common", "drain_change", "latency_change", "mirror_change", "shift_change"]


def shift_change(published: Published, app: str, route: str) -> dict[str, Any]:
    """The answer to a shift or to its undoing, as messages.ShiftChange."""
    before, after = _route(published.before, app, route), _route(published.after, app, route)
    undo = None
    if before is not None and (before.split, before.source) != (after and after.split, after and after.source):
        undo = f"gslb shift {app}/{route} --undo"
        if before.source.kind == "shift":
            shares = " ".join(f"{name}={percent:g}" for name, percent in _percents(before).items())
            undo = f"gslb shift {app}/{route} {shares}"
    return {"before": _percents(before), "after": _percents(after), "undo": undo, **common(published)}


def drain_change(published: Published, site: str, app: str | None, back: str) -> dict[str, Any]:
    """The answer to a drain or to its undoing, as messages.DrainChange; `back`: what takes it back."""
    before, after = _drained(published.before, site, app), _drained(published.after, site, app)
    undo = None if published.before == published.after else back
    return {"before": before, "after": after, "undo": undo, **common(published)}


def mirror_change(published: Published, app: str | None, route: str | None, back: str) -> dict[str, Any]:
    """The answer to a stop of mirrors or to their start, as messages.MirrorChange; `back`: what takes it back."""
    before, after = (mirrors.mirrors_told(it, app, route) for it in (published.before, published.after))
    undo = None if published.before == published.after else f"gslb mirror {back} {mirrors.scope(app, route)}".strip()
    return {"before": before, "after": after, "undo": undo, **common(published)}


def latency_change(published: Published, before: Intent, after: Intent) -> dict[str, Any]:
    """The answer to new latencies or to their clearing, as messages.LatencyChange."""
    back = "clear" if before.overrides.latency is None else "set FILE, with the map before"
    undo = None if before is after else f"gslb latency {back}"
    told = {"before": {"latency": latency_source(before)}, "after": {"latency": latency_source(after)}}
    return {**told, "undo": undo, **common(published)}


def common(published: Published) -> dict[str, Any]:
    """What the answer to every change has."""
    after = published.after
    return {
        "environment": after.environment,
        "snapshot": {
            "revision": after.version.revision,
            "overrides": after.version.overrides,
            "digest": after.digest,
        },
        "unacknowledged": dict(published.unacknowledged),
    }


def _route(snapshot: Snapshot | None, app: str, route: str) -> Route | None:
    compiled = snapshot.apps.get(AppName(app)) if snapshot else None
    return next((item for item in compiled.routes if item.name == route), None) if compiled else None


def _percents(route: Route | None) -> dict[str, float]:
    return {str(share.backend): share.share_bp / 100 for share in route.split} if route else {}


def _drained(snapshot: Snapshot | None, site: str, app: str | None) -> dict[str, str]:
    apps = snapshot.apps if snapshot else {}
    return {name: drained_how(item, SiteName(site)) for name, item in apps.items() if app in (None, name)}
