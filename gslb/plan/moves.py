"""What changes for each app: its hosts, clients, routes and mirrors, and how long a dead site would be answered.

Only what follows from two snapshots; whether it may happen is for `rules` to say.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from gslb.plan.exposure import exposure_of, ttl_words
from gslb.plan.groups import Audience, FoundGroup, find_groups
from gslb.plan.types import AppChange, Kind, Pair, RouteChange
from gslb.snapshot.types import WHOLE_BP, App, AppName, Mirror, Route, SiteName, Snapshot

__all__ = ["AppMove", "app_moves", "serving_sites"]


@dataclass(frozen=True, slots=True)
class AppMove:
    """What changes for an app, with what it was and will be (None: it is new, or goes), and its groups of clients with
    those who lose every site."""

    before: App | None
    after: App | None
    change: AppChange
    groups: Sequence[FoundGroup]


def app_moves(audience: Audience) -> Iterator[AppMove]:
    """Every app for which something changes: those of the new policy in its order, then those that go."""
    before, after = audience.before, audience.after
    old: Mapping[AppName, App] = before.apps if before else {}
    same_ground = before is not None and (before.sites, before.latency) == (after.sites, after.latency)
    for name, app in after.apps.items():
        is_same = _serves_alike(old.get(name), app)
        if not (same_ground and is_same):
            move = _move(audience, old.get(name), app)
            if not is_same or move.change.groups:
                yield move
    for name, app in old.items():
        if name not in after.apps:
            yield _move(audience, app, None)


def serving_sites(snapshot: Snapshot, app: App) -> tuple[SiteName, ...]:
    """The sites that the app's chain can ever answer with, drained or not."""
    sites = tuple(snapshot.sites)
    for item in app.chain:
        if item.kind in ("only", "weighted"):
            named = item.sites if item.kind == "only" else tuple(site for site, _ in item.weights)
            sites = tuple(site for site in sites if site in named)
    return sites


def _serves_alike(before: App | None, after: App) -> bool:
    """Shares that the policy writes under a shift move nobody."""
    return before == after or (before is not None and _in_force(before) == _in_force(after))


def _in_force(app: App) -> App:
    return replace(app, routes=tuple(replace(route, written=()) for route in app.routes))


def _move(audience: Audience, before: App | None, after: App | None) -> AppMove:
    app = after or before
    assert app is not None
    groups = find_groups(audience, before, after) if after else ()
    moving = before is None or any(found.group.before != found.group.after or found.lost for found in groups)
    old_hosts, new_hosts = (frozenset(one.hosts) if one else frozenset() for one in (before, after))
    change = AppChange(
        app=app.name,
        kind=_kind(before, after),
        hosts_added=tuple(host for host in (after.hosts if after else ()) if host not in old_hosts),
        hosts_removed=tuple(host for host in (before.hosts if before else ()) if host not in new_hosts),
        groups=tuple(found.group for found in groups) if moving else (),
        routes=tuple(_routes(before, after)) if after else (),
        ttl=_ttl_pair(before, after),
        exposure=exposure_of(audience.after, after) if after else None,
    )
    return AppMove(before, after, change, groups)


def _kind(before: object, after: object) -> Kind:
    if before is None:
        return "added"
    return "changed" if after is not None else "removed"


def _ttl_pair(before: App | None, after: App | None) -> Pair | None:
    old, new = (ttl_words(one) if one else None for one in (before, after))
    return Pair(before=old, after=new) if old and new and old != new else None


# Routes ---------------------------------------------------------------------------------------------------------------


def _routes(before: App | None, after: App) -> Iterator[RouteChange]:
    old = {route.name: route for route in before.routes} if before else {}
    new = {route.name: route for route in after.routes}
    for name, route in new.items():
        was = old.get(name)
        if was is None or _told(was) != _told(route):
            yield _route_change(was, route)
    for name, route in old.items():
        if name not in new:
            yield _route_change(route, None)


def _told(route: Route) -> tuple[object, ...]:
    """What decides which requests go where; the rest of a route stands among the differences of the policies."""
    return route.split, route.source, route.mirrors, route.matches


def _route_change(before: Route | None, after: Route | None) -> RouteChange:
    route = after or before
    assert route is not None
    old, new = _split(before), _split(after)
    moved_bp = sum(abs(new.get(name, 0) - old.get(name, 0)) for name in old.keys() | new.keys()) / 2
    return RouteChange(
        route=route.name,
        kind=_kind(before, after),
        before={name: share / 100 for name, share in old.items()},
        after={name: share / 100 for name, share in new.items()},
        moved_percent=round(100 * moved_bp / WHOLE_BP, 2) if before and after else 0.0,
        source=f"{route.source.kind} {route.source.detail}".strip(),
        mirrors=tuple(_mirrors(before, after)),
        is_matched_anew=bool(before and after and before.matches != after.matches),
    )


def _split(route: Route | None) -> dict[str, int]:
    return {str(share.backend): share.share_bp for share in route.split} if route else {}


def _mirrors(before: Route | None, after: Route | None) -> Iterator[str]:
    old, new = ({str(mirror.to): mirror for mirror in one.mirrors} if one else {} for one in (before, after))
    for name, mirror in new.items():
        if name not in old:
            yield f"mirror to {name} begins: {_copied(mirror)}"
        elif _copied(old[name]) != _copied(mirror):
            yield f"mirror to {name}: {_copied(old[name])} -> {_copied(mirror)}"
        if mirror.credentials and not (name in old and old[name].credentials):
            yield f"mirror to {name}: copies keep authorization and cookie"
    yield from (f"mirror to {name} ends" for name in old if name not in new)


def _copied(mirror: Mirror) -> str:
    whom = "" if mirror.by is None else f" of users by {mirror.by.header or 'cookie'}"
    return f"{mirror.share_bp / 100:g} %{whom}"
