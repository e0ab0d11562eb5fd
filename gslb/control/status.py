"""What an operator sees of everything that runs: intended beside observed. Pure; times come in, nothing is asked.

What nobody reports any more is unknown here, never the last good news.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gslb.control.checks import checks_seen, prober_trouble
from gslb.control.compared_seen import compared_seen, comparer_seen, told_by_route
from gslb.control.installation.standing import is_in_sync
from gslb.control.mirrors import at_nodes
from gslb.control.protocol import CertificateSeen, Deed, EdgeState, RoleState, RouteState, VerdictState
from gslb.control.tail import tail_of
from gslb.model.words import iso
from gslb.plan import serving_sites
from gslb.snapshot.concerning import is_active
from gslb.snapshot.intent import Drain, Intent
from gslb.snapshot.types import App, AppName, Route, Site, SiteName, Snapshot

__all__ = [
    "UNREACHABLE_S",
    "deed_line",
    "drained_how",
    "is_in_sync",
    "loads_of",
    "ramps_of",
    "reachable",
    "role_state",
    "status",
]

UNREACHABLE_S = 3.0
"""Three reads missed in a row, at one a second: a single slow answer is no outage."""

Ramps = dict[tuple[AppName, SiteName], float]
_Verdicts = Mapping[tuple[str, str], list[VerdictState]]
"""By app and site."""

_WORST = {"down": 0, "held": 1, "unknown": 2, "up": 3}


def status(
    current: tuple[Intent, Snapshot] | None,
    roles: Mapping[str, RoleState | None],
    ages_s: Mapping[str, float | None],
    wall_s: float,
    wanted: Mapping[str, Snapshot | None] | None = None,
) -> dict[str, Any]:
    """Everything, as plain JSON values. Times are ISO 8601 in UTC; shares are percentages, to 0.01.

    `current` is what is in force, None before the first policy; `ages_s` as in Publisher.ages_s; `wall_s` is now.
    `wanted`: what roles are to have that wait for their wave, by name.
    """
    snapshot = current[1] if current else None
    due = {name: (wanted or {}).get(name, snapshot) for name in roles}
    reached = reachable(roles, ages_s)
    seen: dict[str, Any] = {
        "environment": snapshot.environment if snapshot else None,
        "snapshot": _version(snapshot) if snapshot else None,
        "roles": {name: _role(name, state, ages_s, due[name]) for name, state in sorted(roles.items())},
        "sites": {},
        "splits": {},
        "mirrors": {},
        "edges": {},
        "places": {place: heard for state in reached for place, heard in state.places.items()},
        "checks": {},
    }
    if current is None:
        return seen
    intent, snapshot = current
    verdicts = _verdicts(reached)
    counted, loads, ramps = _counted(reached), loads_of(reached), ramps_of(reached)
    compared = told_by_route(reached)
    seen["checks"] = checks_seen(snapshot, reached)
    heard = {name: state if _fresh(ages_s.get(name)) else None for name, state in roles.items()}
    for site in snapshot.sites:
        seen["sites"][site] = _site(current, site, reached, verdicts, ramps, wall_s)
        seen["sites"][site] |= _load(snapshot.sites[site], loads.get(site))
        seen["sites"][site]["tail"] = tail_of(intent, snapshot, site, heard, wall_s)
        seen["edges"][site] = _edge(next((s.edge for s in reached if s.edge and s.site == site), None))
    for app in snapshot.apps.values():
        for route in app.routes:
            key = f"{app.name}/{route.name}"
            counts = counted.get((app.name, route.name), [])
            seen["splits"][key] = _split(route, counts)
            if route.mirrors:
                seen["mirrors"][key] = _mirrors(route, counts)
                seen["mirrors"][key]["at_nodes"] = at_nodes(intent, reached, (app.name, route.name), wall_s)
                seen["mirrors"][key]["compared"] = compared_seen(route, compared.get((app.name, route.name), ()))
    return seen


def reachable(roles: Mapping[str, RoleState | None], ages_s: Mapping[str, float | None]) -> list[RoleState]:
    """The states that are fresh enough to be believed, by name of the role."""
    return [state for name, state in sorted(roles.items()) if state is not None and _fresh(ages_s.get(name))]


def loads_of(reached: Iterable[RoleState]) -> dict[SiteName, float]:
    """The loads that the dns roles steer by, as shares of the sites' capacity."""
    return {SiteName(site): load for state in reached for site, load in state.loads.items()}


def ramps_of(reached: Iterable[RoleState]) -> Ramps:
    """The shares of sites that come back slowly, by app and site, as the dns roles have them."""
    return {
        (AppName(app), SiteName(site)): ratio
        for state in reached
        for app, sites in state.ramps.items()
        for site, ratio in sites.items()
    }


def role_state(state: RoleState | None, age_s: float | None) -> str:
    """`ready`, `starting` or `unreachable`."""
    if state is None or not _fresh(age_s):
        return "unreachable"
    return "ready" if state.ready else "starting"


def drained_how(app: App, site: SiteName) -> str:
    """`in service`, `drained`, or `entry drained` (out of DNS only)."""
    if site in app.no_local:
        return "drained"
    return "entry drained" if site in app.no_entry else "in service"


def _fresh(age_s: float | None) -> bool:
    return age_s is not None and age_s < UNREACHABLE_S


def _version(snapshot: Snapshot) -> dict[str, Any]:
    version = snapshot.version
    return {"revision": version.revision, "overrides": version.overrides, "digest": snapshot.digest}


def _role(
    name: str, state: RoleState | None, ages_s: Mapping[str, float | None], snapshot: Snapshot | None
) -> dict[str, Any]:
    age_s, applied = ages_s.get(name), state.applied if state else None
    how = role_state(state, age_s)
    return {
        "state": how,
        "pid": state.pid if state else None,
        "revision": applied.revision if applied else None,
        "overrides": applied.overrides if applied else None,
        "digest": applied.digest if applied else None,
        "age_s": None if age_s is None else round(age_s, 1),
        "in_sync": state is not None and how != "unreachable" and is_in_sync(state, snapshot),
        **_own(state),
    }


def _own(state: RoleState | None) -> dict[str, Any]:
    """What the node decided by itself, or was told where it runs."""
    given_up = state.stepped_back_from if state else None
    deeds = state.broken_glass.deeds if state and state.broken_glass else ()
    return {
        "stepped_back_from": f"{given_up.revision}.{given_up.overrides}" if given_up else None,
        "broken_glass": [deed_line(deed) for deed in deeds],
        "left_out": list(state.left_out) if state else [],
        "prober": prober_trouble(state),
    }


def deed_line(deed: Deed) -> str:
    """One line of what somebody did at a node: what, who, when, until when, why."""
    by = deed.by
    words = f"{deed.did} by {by.author or 'somebody'} at {iso(by.at_s)}"
    words += f" until {iso(by.expires_s)}" if by.expires_s is not None else ""
    return words + (f": {by.reason}" if by.reason else "")


def _site(
    current: tuple[Intent, Snapshot],
    site: SiteName,
    reached: Sequence[RoleState],
    verdicts: _Verdicts,
    ramps: Ramps,
    wall_s: float,
) -> dict[str, Any]:
    intent, snapshot = current
    apps: dict[str, Any] = {}
    drains = _in_effect(intent.overrides.drains, site, wall_s)
    at_nodes = {
        state.name: _in_effect(state.broken_glass.drains, site, wall_s) for state in reached if state.broken_glass
    }
    health: dict[str, str] = {}
    for name, app in snapshot.apps.items():
        if site not in serving_sites(snapshot, app):
            continue
        apps[name] = _verdict(verdicts.get((name, site), []))
        forced = app.forced_state(site)
        apps[name]["forced"] = {"state": forced.state, "detail": forced.detail} if forced else None
        apps[name]["share_percent"] = 100 * ramps.get((name, site), 1.0)
        health[name] = apps[name]["reason"]
        ours = _drained_by(drains, name)
        apps[name]["at_nodes"] = {
            node: _drained_by(theirs, name) or "in service"
            for node, theirs in at_nodes.items()
            if _drained_by(theirs, name) != ours
        }
        apps[name]["drained"] = drained_how(app, site) != "in service"
        own = [ours] if ours else []
        own += _alike(apps[name]["at_nodes"])
        own += [f"forced {forced.state} {forced.detail}"] if forced else []
        apps[name]["reason"] = "; ".join([*own, health[name]])
    whole = [_drain(drain) for drain in drains if drain.app is None]
    verdict, reason, since = "unknown", "no app uses this site", None
    if apps:
        worst = min(apps, key=lambda name: _WORST[apps[name]["verdict"]])
        verdict, since = apps[worst]["verdict"], apps[worst]["since"]
        reason = "every app can be served" if verdict == "up" else f"{worst}: {health[worst]}"
    return {
        "verdict": verdict,
        "reason": "; ".join([*whole, reason]),
        "since": since,
        "drained": bool(whole),
        "apps": apps,
    }


def _verdicts(reached: Iterable[RoleState]) -> _Verdicts:
    found: dict[tuple[str, str], list[VerdictState]] = {}
    for state in reached:
        for verdict in state.verdicts:
            found.setdefault((verdict.app, verdict.site), []).append(verdict)
    return found


def _load(site: Site, load: float | None) -> dict[str, Any]:
    return {"capacity_per_s": site.capacity_per_s, "load_percent": None if load is None else round(100 * load, 2)}


def _in_effect(drains: Iterable[Drain], site: SiteName, wall_s: float) -> Sequence[Drain]:
    return [drain for drain in drains if drain.site == site and is_active(drain.by, wall_s)]


def _alike(at_nodes: Mapping[str, str]) -> Sequence[str]:
    """What is said at nodes, in words: of those alike at once."""
    names: dict[str, list[str]] = {}
    for node, how in at_nodes.items():
        names.setdefault(how, []).append(node)
    return [f"at {', '.join(nodes)}: {how}" for how, nodes in names.items()]


def _drained_by(drains: Iterable[Drain], app: AppName) -> str:
    """Those of an app at a site, in words; empty: it is in service."""
    return "; ".join(_drain(drain) for drain in drains if drain.app in (None, app))


def _drain(drain: Drain) -> str:
    words = "entry drained" if drain.entry_only else "drained"
    words += f" by {drain.by.author}" if drain.by.author else ""
    words += f" until {iso(drain.by.expires_s)}" if drain.by.expires_s is not None else ""
    return words + (f": {drain.by.reason}" if drain.by.reason else "")


def _verdict(verdicts: list[VerdictState]) -> dict[str, Any]:
    """An app at a site: up while one address is, down when every one is, like the answers that DNS gives."""
    states = {verdict.state for verdict in verdicts}
    state = next((word for word in ("up", "held") if word in states), "down" if states == {"down"} else "unknown")
    views = {verdict.address: dict(verdict.views) for verdict in verdicts}
    deciding = [verdict for verdict in verdicts if verdict.state == state]
    if not deciding:
        return {
            "verdict": "unknown",
            "reason": "nobody has reported yet",
            "since": None,
            "seen": "unknown",
            "views": {},
        }
    choose = max if state == "down" else min
    shown = deciding if state != "up" else [v for v in verdicts if v.state == "down"] or deciding[:1]
    is_one = len(views) == 1 and len(states) == 1
    reasons = dict.fromkeys(_reason(verdict, is_one=is_one) for verdict in shown)
    return {
        "verdict": state,
        "reason": "; ".join(reasons),
        "since": iso(choose(verdict.since_wall_s for verdict in deciding)),
        "seen": next((verdict.seen for verdict in deciding if verdict.seen), state),
        "views": views,
    }


def _reason(verdict: VerdictState, *, is_one: bool) -> str:
    """`is_one`: the site has one address, of which all nameservers say the same."""
    if is_one or verdict.state == "up":
        return verdict.reason
    return f"{verdict.address} is {verdict.state}: {verdict.reason}"


def _edge(edge: EdgeState | None) -> dict[str, Any]:
    if edge is None:
        return {
            "state": "unreachable",
            "pid": None,
            "since": None,
            "restarts": None,
            "adopted": None,
            "last_end": None,
            "refused": None,
            "peer_requests": {},
            "certificates": {},
            "comparer": None,
        }
    envoy = edge.envoy
    return {
        "state": envoy.state,
        "pid": envoy.pid,
        "since": iso(envoy.since_wall_s) if envoy.since_wall_s else None,
        "restarts": envoy.restarts,
        "adopted": envoy.adopted,
        "last_end": envoy.last_end,
        "refused": edge.refused,
        "peer_requests": {f"{hop.app}/{hop.backend}": hop.requests for hop in edge.hops},
        "certificates": {seen.name: _certificate(seen) for seen in edge.certificates},
        "comparer": comparer_seen(edge),
    }


def _certificate(seen: CertificateSeen) -> dict[str, Any]:
    return {
        "hosts": list(seen.hosts),
        "ends": iso(seen.ends_wall_s) if seen.ends_wall_s is not None else None,
        "problem": seen.problem,
    }


def _counted(reached: Iterable[RoleState]) -> Mapping[tuple[str, str], list[RouteState]]:
    counts: dict[tuple[str, str], list[RouteState]] = {}
    for state in reached:
        for route in state.edge.routes if state.edge else ():
            counts.setdefault((route.app, route.route), []).append(route)
    return counts


def _sum(counts: Iterable[Mapping[str, int]]) -> dict[str, int]:
    total: dict[str, int] = {}
    for count in counts:
        for key, number in count.items():
            total[key] = total.get(key, 0) + number
    return total


def _split(route: Route, counts: list[RouteState]) -> dict[str, Any]:
    requests = _sum(count.requests for count in counts)
    total = sum(requests.values())
    return {
        "intended": {str(share.backend): share.share_bp / 100 for share in route.split},
        "observed": {name: round(100 * number / total, 2) for name, number in sorted(requests.items())}
        if total
        else {},
        "requests": total,
        "source": route.source.kind,
        "detail": route.source.detail,
    }


def _mirrors(route: Route, counts: list[RouteState]) -> dict[str, Any]:
    stopped = next((mirror.stopped.detail for mirror in route.mirrors if mirror.stopped), None)
    return {
        "intended": {str(mirror.to): mirror.share_bp / 100 for mirror in route.mirrors},
        "stopped": stopped,
        "sent": sum(count.mirrored for count in counts),
        "skipped": dict(sorted(_sum(count.skipped for count in counts).items())),
    }
