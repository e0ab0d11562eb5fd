"""A plan as lines for a terminal or a log, each with what it is, so that others may colour it. No colour here."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Literal, NamedTuple

from gslb.plan.rules import few
from gslb.plan.types import AppChange, Group, PathChange, Plan, RouteChange

__all__ = ["Line", "aside", "differences", "headline", "moved", "path_line", "summary", "text_lines"]

_CHANGES = 40
"""Differences of the policies that a person is shown; JSON has them all."""
_ROUTES = 100


class Line(NamedTuple):
    kind: Literal["head", "plain", "added", "removed", "warning", "refused"]
    text: str


def text_lines(plan: Plan, *, changes_shown: int = _CHANGES) -> Iterator[Line]:
    """The whole plan, the guard rails last: what is read is the end."""
    yield Line("head", headline(plan))
    if plan.is_empty:
        same = f"the app {plan.app} is" if plan.app else "the policies are"
        yield Line("plain", f"nothing would change: {same} the same")
    for app in plan.apps:
        yield from _app(app)
    for title, items in (("site", plan.sites), ("zone", plan.zones)):
        for item in items:
            yield Line(_tone(item.kind), f"{title} {item.name} {item.kind}: {item.note}")
    yield from _changes(plan, changes_shown)
    yield from (Line("warning", f"unreachable: {item.what}: {item.why}") for item in plan.unreachable)
    for conflict in plan.conflicts:
        yield Line("refused" if conflict.blocks else "warning", f"override: {conflict.message}")
        yield Line("plain", f"    {conflict.remedy}")
    for refusal in plan.refusals:
        yield Line("warning" if refusal.allowed else "refused", f"[{refusal.rule}] {refusal.message}")
        yield Line("plain", f"    {f'allowed: {refusal.allowed}' if refusal.allowed else refusal.remedy}")
    if plan.aside:
        yield Line("warning", aside(plan))
    if plan.left_out:
        yield Line("plain", f"{plan.left_out:,} more entries are not listed")


def summary(plan: Plan) -> str:
    """One line for a log."""
    parts = [f"{_most(plan)} of clients move at most" if _most(plan) else ""]
    for kind in ("added", "changed", "removed"):
        apps = [app.app for app in plan.apps if app.kind == kind]
        parts.append(f"apps {kind}: {few(apps)}" if apps else "")
    parts += [f"{title} {item.name} {item.kind}" for title, some in (("site", plan.sites), ("zone", plan.zones))
              for item in some[:5]]  # fmt: skip
    rules = sorted({refusal.rule for refusal in plan.refusals})
    parts += [f"guard rails: {', '.join(rules)}" if rules else "", differences(plan)]
    return f"{headline(plan)}: {'; '.join(part for part in parts if part)}"


def differences(plan: Plan) -> str:
    """How many differences the policies have, with what is not listed."""
    count = len(plan.changes) + plan.left_out
    return "1 difference" if count == 1 else f"{count:,} differences"


def headline(plan: Plan) -> str:
    """Where it is, and from what to what."""
    was = f"revision {plan.before.revision}" if plan.before else "no policy"
    alone = f", app {plan.app} alone" if plan.app else ""
    return f"environment {plan.environment}: {was} -> {plan.after.revision}{alone}"


def aside(plan: Plan) -> str:
    """Which differences were not taken, because the plan is of one app."""
    paths = [change.path for change in plan.aside]
    return f"left aside, because the plan takes {plan.app} alone: the policy differs at {few(paths)}, too"


def moved(group: Group) -> str:
    """How much of a group moves, in words."""
    if not group.before:
        return "new"
    return f"{group.moved_percent:g} % move" if group.moved_percent else "stay"


def path_line(change: PathChange) -> str:
    """A path with its value before and after."""
    return f"{change.path}: {_or_none(change.before)} -> {_or_none(change.after)}"


def _or_none(text: str | None) -> str:
    return "(none)" if text is None else text


def _most(plan: Plan) -> str:
    most = max((group.moved_percent for app in plan.apps for group in app.groups), default=0.0)
    return f"{most:g} %" if most else ""


def _tone(kind: str) -> Literal["plain", "added", "removed"]:
    tones: Mapping[str, Literal["added", "removed"]] = {"added": "added", "removed": "removed"}
    return tones.get(kind, "plain")


def _app(app: AppChange) -> Iterator[Line]:
    yield Line(_tone(app.kind) if app.kind != "changed" else "head", f"app {app.app} {app.kind}")
    if app.hosts_added:
        yield Line("added", f"  hosts added: {few(app.hosts_added)}")
    if app.hosts_removed:
        yield Line("removed", f"  hosts removed: {few(app.hosts_removed)}: unknown to DNS and 404 from then on")
    for group in app.groups:
        yield Line("plain", f"  clients, {group.clients}: {moved(group)}")
        yield from _shares(group.before, group.after)
    for route in app.routes[:_ROUTES]:
        yield from _route(route)
    if len(app.routes) > _ROUTES:
        yield Line("plain", f"  {len(app.routes) - _ROUTES:,} more routes; --json lists them")
    if app.ttl:
        yield Line("plain", f"  TTL {app.ttl.before} -> {app.ttl.after}")
    if app.exposure:
        total = "until a person acts" if app.exposure.total_s is None else f"{app.exposure.total_s:g} s"
        yield Line("plain", f"  a dead site is answered for at most: {total} ({app.exposure.terms})")


def _route(route: RouteChange) -> Iterator[Line]:
    if route.kind != "changed":
        gone = ": its requests take the next route that matches, or 404" if route.kind == "removed" else ""
        yield Line(_tone(route.kind), f"  route {route.route} {route.kind}{gone}")
    else:
        share = f"{route.moved_percent:g} % of its requests move" if route.moved_percent else "its split stays"
        source = "" if route.source == "policy" else f" ({route.source})"
        yield Line("plain", f"  route {route.route}: {share}{source}")
    if route.is_matched_anew:
        yield Line("warning", "    it takes other requests than before: see its match below")
    if route.kind != "removed" and (route.moved_percent or route.kind == "added"):
        yield from _shares(route.before, route.after)
    yield from (Line("plain", f"    {mirror}") for mirror in route.mirrors)


def _shares(before: Mapping[str, float], after: Mapping[str, float]) -> Iterator[Line]:
    """Each name once, those from before first."""
    names = [*before, *(name for name in after if name not in before)]
    width = max(map(len, names), default=0)
    for name in names:
        old, new = (f"{some[name]:g} %" if name in some else "-" for some in (before, after))
        yield Line("plain", f"    {name:<{width}}  {f'{old} -> {new}' if old != new else new}")


def _changes(plan: Plan, shown: int) -> Iterator[Line]:
    listed: Sequence[PathChange] = list(islice(plan.changes, shown))
    if listed:
        yield Line("head", "differences of the policy")
    for change in listed:
        kind = "added" if change.before is None else "removed" if change.after is None else "plain"
        yield Line(_tone(kind), f"  {path_line(change)}")
    if len(plan.changes) > shown:
        yield Line("plain", f"  {len(plan.changes) - shown:,} more; --json lists them")
