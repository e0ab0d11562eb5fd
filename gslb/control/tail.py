"""What is left of a site that was drained, and whether it can be switched off. Pure.

Leaving DNS is not leaving: resolvers keep an answer for its TTL, some clients for much longer. Whoever switches a site
off wants to know that nobody is there any more; what cannot be known counts against it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gslb.control.installation.standing import is_in_sync
from gslb.control.protocol import EdgeState, RoleState
from gslb.model.words import iso
from gslb.plan import serving_sites
from gslb.snapshot.intent import Drain, Intent
from gslb.snapshot.types import App, SiteName, Snapshot

__all__ = ["tail_of"]

_NOTHING = "nothing arrives, nothing is open, and no resolver may keep its addresses any more"
_QUIET_PER_S = 0.001


def tail_of(
    intent: Intent, snapshot: Snapshot, site: SiteName, roles: Mapping[str, RoleState | None], wall_s: float
) -> dict[str, Any] | None:
    """As status_messages.TailSeen; None where the site is drained for no app. `roles` has every role, None where it
    cannot be reached; `wall_s` is now."""
    apps = [app for app in snapshot.apps.values() if site in app.no_entry and site in serving_sites(snapshot, app)]
    drains = [drain for drain in intent.overrides.drains if drain.site == site and _holds(drain, wall_s)]
    if not apps or not drains:
        return None
    edges = [state.edge for state in roles.values() if state and state.edge and state.site == site]
    whole = any(drain.app is None for drain in drains)
    left_dns_s = max(0.0, wall_s - max(drain.by.at_s for drain in drains))
    longest_ttl_s = max(app.ttl_s for app in apps)
    closes = snapshot.sites[site].closing_wall_s
    against = [
        *_dns(snapshot, roles, longest_ttl_s - left_dns_s),
        *_edges(edges, apps, whole=whole),
        *_still_needed(snapshot, site, apps),
    ]
    return {
        "arriving_per_s": {app.name: round(_per_s(edges, app), 3) for app in apps},
        "connections": sum(edge.connections for edge in edges) if edges else None,
        "left_dns_s": round(left_dns_s, 1),
        "longest_ttl_s": longest_ttl_s,
        "closes_at": None if closes is None else iso(closes),
        "can_be_switched_off": not against,
        "why": "; ".join(against) or _NOTHING,
    }


def _holds(drain: Drain, wall_s: float) -> bool:
    return drain.by.expires_s is None or drain.by.expires_s > wall_s


def _dns(snapshot: Snapshot, roles: Mapping[str, RoleState | None], kept_s: float) -> Iterator[str]:
    for name, state in roles.items():
        if name.rpartition("/")[2] == "dns" and (state is None or not is_in_sync(state, snapshot)):
            yield f"{name} may still answer with it: it has not told that it has this version"
    if kept_s > 0:
        yield f"resolvers may keep its addresses for another {kept_s:.0f} s"


def _edges(edges: Sequence[EdgeState], apps: Sequence[App], *, whole: bool) -> Iterator[str]:
    if not edges:
        yield "its edge does not answer, so that nobody knows what still arrives"
        return
    if not all(app.name in edge.arriving_per_s for app in apps for edge in edges):
        yield "its edge was not watched for long enough"
    arriving = {app.name: _per_s(edges, app) for app in apps}
    if some := ", ".join(f"{name} {per_s:.3g}" for name, per_s in arriving.items() if per_s >= _QUIET_PER_S):
        yield f"requests a second still arrive: {some}"
    connections = sum(edge.connections for edge in edges)
    if whole and connections:
        yield f"{connections} connection{'s are' if connections > 1 else ' is'} open"


def _still_needed(snapshot: Snapshot, site: SiteName, apps: Iterable[App]) -> Iterator[str]:
    """What would be missed however quiet its edge is."""
    for app in apps:
        if site not in app.no_local:
            yield f"its services still answer for {app.name}: only the entry is drained"
        if all(other in app.no_entry for other in serving_sites(snapshot, app)):
            yield f"every site of {app.name} is drained, so that DNS names this one, too"
        used = {share.backend for route in app.routes for share in route.split if share.share_bp}
        lonely = sorted(name for name in used if set(app.backends[name].endpoints) == {site})
        if lonely:
            yield f"{', '.join(lonely)} of {app.name} has endpoints nowhere else"


def _per_s(edges: Iterable[EdgeState], app: App) -> float:
    return sum(edge.arriving_per_s.get(app.name, 0.0) for edge in edges)
