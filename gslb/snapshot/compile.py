"""`compile_snapshot(Intent, wall_s) -> Snapshot`: the one place that holds the rules of precedence.

Share of a route: shift > policy. Copies of a mirror: a person's stop > policy. Latencies: measured through the API >
policy. Eligibility of a site: drain > forced state > verdict (verdicts are no part of a snapshot).
Everything that disagrees with the policy is a `Problem`, found before anything is published.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterable, Mapping

from gslb.errors import PolicyError, Problem
from gslb.model import policy as written
from gslb.model.hosts import site_hosts
from gslb.model.words import absolute, parse_endpoint
from gslb.snapshot import eligibility
from gslb.snapshot.challenges import challenge_lines
from gslb.snapshot.checks import CheckName
from gslb.snapshot.compile_checks import backend_check, named_checks
from gslb.snapshot.compile_routes import compile_route
from gslb.snapshot.intent import Challenge, Drain, Forced, Intent, Key, Latency, MirrorStop, Shift, SlowStart
from gslb.snapshot.mirror_stops import dangling_stops, mirror_stop
from gslb.snapshot.networks import NetworkMap, network_map
from gslb.snapshot.types import (
    WHOLE_BP,
    App,
    AppName,
    Backend,
    BackendName,
    BackendTls,
    ClientTls,
    Edge,
    Endpoint,
    Filter,
    Https,
    Latencies,
    Listening,
    Location,
    Site,
    SiteName,
    Snapshot,
    Version,
    Zone,
    ZoneKey,
)

__all__ = ["compile_snapshot", "next_expiry_s"]

_KEY_USES = {
    ("zsk", "published"): (True, False, False),
    ("zsk", "active"): (True, True, False),
    ("zsk", "retired"): (True, False, False),
    ("ksk", "new"): (True, True, False),
    ("ksk", "ready"): (True, True, True),
    ("ksk", "announced"): (False, False, True),
    ("ksk", "confirmed"): (False, False, True),
    ("ksk", "active"): (True, True, True),
    ("ksk", "retiring"): (False, False, True),
}
"""By role and state of a key: published, signs, announced. A key in any other state is of no use to a zone."""


def compile_snapshot(intent: Intent, wall_s: float) -> Snapshot:
    """The snapshot that `intent` means at `wall_s`. Overrides past their expiry do not count.

    Raises PolicyError where an override names what the policy does not have, or a shift does not add up to 100.
    """
    policy = intent.policy
    _refuse_bad_overrides(intent, wall_s)
    sites = {SiteName(name): _site(SiteName(name), site, intent, wall_s) for name, site in policy.sites.items()}
    snapshot = Snapshot(
        version=Version(intent.revision, intent.overrides.version),
        digest="",
        environment=policy.environment,
        zone=_zone(policy.zone, intent, wall_s),
        sites=sites,
        apps={AppName(name): _app(AppName(name), intent, wall_s) for name in policy.apps},
        zones=tuple(_zone(zone, intent, wall_s) for zone in policy.zones),
        latency=_latency(intent),
        checks=named_checks(policy.checks),
        guard=eligibility.guard(policy),
    )
    return dataclasses.replace(snapshot, digest=_digest(snapshot))


def next_expiry_s(intent: Intent, wall_s: float) -> float | None:
    """When (Unix seconds) the meaning of `intent` next changes by itself, or None."""
    overrides = intent.overrides
    lasting: list[Drain | Shift | Forced | SlowStart | Challenge | MirrorStop] = [*overrides.drains, *overrides.shifts]
    lasting += [*overrides.forced, *overrides.slow_starts, *overrides.challenges, *overrides.mirror_stops]
    made_by = [item.by for item in lasting]
    return min((by.expires_s for by in made_by if by.expires_s is not None and by.expires_s > wall_s), default=None)


def _active(item: Drain | Shift, wall_s: float) -> bool:
    return item.by.expires_s is None or item.by.expires_s > wall_s


def _zone(zone: written.Zone, intent: Intent, wall_s: float) -> Zone:
    apex = zone.name.removesuffix(".")
    servers = tuple(
        (name, tuple(ips) if name.endswith(f".{apex}") else ())
        for name, ips in ((absolute(name, apex), ips) for name, ips in zone.nameservers.items())
    )
    keys = intent.overrides.keys.get(apex, ()) if zone.signing else ()
    contact = absolute(zone.contact or "hostmaster", apex)
    records = "\n".join(filter(None, [zone.records, *challenge_lines(intent, apex, wall_s)]))
    return Zone(apex, servers, contact, _ttl_s(zone.ttl)[0], records, tuple(_keys(keys)))


def _keys(keys: Iterable[Key]) -> Iterable[ZoneKey]:
    for key in keys:
        if uses := _KEY_USES.get((key.role, key.state)):
            yield ZoneKey(key.role, key.algorithm, key.public, key.private, *uses)


def _site(name: SiteName, site: written.Site, intent: Intent, wall_s: float) -> Site:
    edges = tuple(
        Edge(tuple(edge.public), tuple(edge.bound), Endpoint(*parse_endpoint(edge.peer)) if edge.peer else None)
        for edge in site.edges
    )
    drains = [
        drain
        for drain in intent.overrides.drains
        if drain.site == name and drain.app is None and not drain.entry_only and _active(drain, wall_s)
    ]
    closing = [drain.by.at_s + drain.deadline_s for drain in drains if drain.deadline_s is not None]
    at = site.location
    location = Location(at.country, at.lat, at.lon) if at else None
    home = network_map((network, network.prefixlen) for network in site.networks)
    closing_s = min(closing, default=None)
    return Site(
        name,
        edges,
        site.listen.http,
        home,
        bool(drains),
        location,
        site.capacity,
        closing_s,
        _listening(site.listen),
    )


def _listening(listen: written.Listen) -> Listening:
    return Listening(
        https_port=listen.https,
        http3=listen.http3,
        also=listen.also,
        trusted=tuple(map(str, listen.trusted_proxies)),
        hops=listen.proxy_hops,
        proxy_protocol=listen.proxy_protocol,
        max_age_s=listen.max_connection_age,
    )


def _app(name: AppName, intent: Intent, wall_s: float) -> App:
    policy, app = intent.policy, intent.policy.apps[name]
    shifts = {shift.route: shift for shift in intent.overrides.shifts if shift.app == name and _active(shift, wall_s)}
    routes = tuple(
        compile_route(route, shifts.get(route.name), mirror_stop(intent, name, route.name, wall_s))
        for route in app.routes
    )
    half = WHOLE_BP // 2
    needed = sorted({share.backend for route in routes for share in route.split if share.share_bp >= half})
    drains = [d for d in intent.overrides.drains if d.app in (None, name) and _active(d, wall_s)]
    ttl_min_s, ttl_s = _ttl_s(app.ttl or policy.zone.ttl)
    return App(
        name=name,
        hosts=tuple(absolute(host, policy.zone.name) for host in app.hosts),
        chain=_chain(app, policy.sites),
        failover=app.failover,
        mixed_families=app.families == "mixed",
        ttl_min_s=ttl_min_s,
        ttl_s=ttl_s,
        backends={
            BackendName(key): _backend(BackendName(key), backend, policy.sites) for key, backend in app.backends.items()
        },
        routes=routes,
        needed=tuple(needed),
        no_entry=tuple(sorted({SiteName(drain.site) for drain in drains})),
        no_local=tuple(sorted({SiteName(drain.site) for drain in drains if not drain.entry_only})),
        site_hosts={made.name: SiteName(made.site) for made in site_hosts(policy, app) if made.name},
        https=_https(app, policy.sites),
        tls=_client_tls(name, app.tls),
        ports=app.ports,
        ready={SiteName(site): tuple(map(CheckName, names)) for site, names in app.ready.items()},
        failback=eligibility.failback(policy, app),
        forced=eligibility.forced(name, intent, wall_s),
        approvals=eligibility.approvals(name, intent),
        slow_starts=eligibility.slow_starts(name, intent, wall_s),
    )


def _https(app: written.App, sites: Mapping[str, written.Site]) -> Https | None:
    """What the policy says, else what follows from its TLS: the port of the edges, HTTP/3 where all of them have it."""
    if app.https is not None:
        return Https(app.https.alpn, app.https.port)
    listening = [site.listen for site in sites.values() if site.listen.https is not None]
    if app.tls is None or not listening:
        return None
    http3 = ("h3",) if all(listen.http3 for listen in listening) else ()
    return Https((*http3, "h2", "http/1.1"), listening[0].https or 443)


def _backend_tls(tls: written.BackendTls | None) -> BackendTls | None:
    return BackendTls(tls.sni, None if tls.ca == "system" else tls.ca) if tls else None


def _client_tls(name: AppName, tls: written.ClientTls | None) -> ClientTls | None:
    if tls is None:
        return None
    return ClientTls(tls.cert, tls.key, tls.redirect, tls.min_version == "1.3", name if tls.own_connections else "")


def _ttl_s(ttl: float | written.TtlBounds) -> tuple[int, int]:
    """The least and the most."""
    return (round(ttl.min), round(ttl.max)) if isinstance(ttl, written.TtlBounds) else (round(ttl), round(ttl))


def _chain(app: written.App, sites: Mapping[str, written.Site]) -> tuple[Filter, ...]:
    if app.steer is None:
        return (Filter("healthy"), Filter("weighted", weights=tuple((SiteName(name), 1.0) for name in sites)))
    return tuple(_filter(item) for item in app.steer)


def _filter(item: written.SteerFilter) -> Filter:
    match item:
        case "healthy" | "networks" | "geo" | "latency":
            return Filter(item)
        case written.Geo(geo=rules):
            return _geo(rules)
        case written.Healthy(healthy=told):
            return Filter("healthy", threshold_ratio=round(told.threshold / 100, 4))
        case written.Only(only=sites):
            return Filter("only", sites=tuple(map(SiteName, sites)))
        case written.Priority(priority=sites):
            return Filter("priority", sites=tuple(map(SiteName, sites)))
    return _pick(item)


def _pick(item: written.SteerFilter) -> Filter:
    match item:
        case written.Weighted(weighted=weights, by=by, trickle=trickle):
            sites = tuple((SiteName(site), weight) for site, weight in weights.items())
            return Filter("weighted", weights=sites, by=by, trickle_ratio=round((trickle or 0.0) / 100, 4))
        case written.First(first=count):
            return Filter("first", count=count, by="client" if count == 1 else "window")
        case "shed":
            return _shed(written.Marks())
        case written.Shed(shed=marks):
            return _shed(marks)
    raise AssertionError(item)


def _shed(marks: written.Marks) -> Filter:
    return Filter("shed", by="client", low_ratio=round(marks.low / 100, 4), high_ratio=round(marks.high / 100, 4))


def _geo(rules: written.GeoRules) -> Filter:
    return Filter(
        "geo",
        bias=tuple((SiteName(site), bias) for site, bias in rules.bias.items()),
        countries=tuple((code, tuple(map(SiteName, sites))) for code, sites in rules.countries.items()),
        continents=tuple((code, tuple(map(SiteName, sites))) for code, sites in rules.continents.items()),
    )


def _latency(intent: Intent) -> NetworkMap[Latencies]:
    override = intent.overrides.latency
    measured = override.measured if override else intent.policy.latency
    return network_map(
        (network, tuple((SiteName(site), round(seconds * 1000, 3)) for site, seconds in sites.items()))
        for network, sites in measured.items()
    )


def _backend(name: BackendName, backend: written.Backend, sites: Mapping[str, written.Site]) -> Backend:
    return Backend(
        name=name,
        check=backend_check(backend.check) if backend.check else None,
        endpoints={
            SiteName(site): tuple(Endpoint(*parse_endpoint(text)) for text in backend.endpoints[site])
            for site in sites
            if backend.endpoints.get(site)
        },
        via_edge=backend.via == "edge",
        tls=_backend_tls(backend.tls),
        http2=backend.protocol == "http2",
        host=backend.host,
    )


def _refuse_bad_overrides(intent: Intent, wall_s: float) -> None:
    """Overrides that name what this policy does not have: an operator must undo them first, nothing is dropped. And
    shifts that do not say where every request goes: Envoy would take their sum for the whole."""
    overrides, policy = intent.overrides, intent.policy
    problems = [p for drain in overrides.drains if _active(drain, wall_s) for p in _bad_drain(policy, drain)]
    problems += [*eligibility.dangling(intent, wall_s), *dangling_stops(intent, wall_s)]
    problems += [p for shift in overrides.shifts if _active(shift, wall_s) for p in _bad_shift(policy, shift)]
    problems += _bad_latency(policy, overrides.latency)
    if problems:
        raise PolicyError(problems)


def _bad_latency(policy: written.Policy, latency: Latency | None) -> Iterable[Problem]:
    named = {site for sites in latency.measured.values() for site in sites} if latency else set()
    if lacking := sorted(named - policy.sites.keys()):
        yield Problem("overrides", 0, 0, "override-dangling",
                      f"the measured latencies name {', '.join(lacking)}, which this policy lacks",
                      "follow the policy again first: gslb latency clear")  # fmt: skip


def _bad_drain(policy: written.Policy, drain: Drain) -> Iterable[Problem]:
    if drain.site not in policy.sites or (drain.app and drain.app not in policy.apps):
        what = drain.site + (f" --app {drain.app}" if drain.app else "")
        yield Problem("overrides", 0, 0, "override-dangling", f"the drain of {what} names what this policy lacks",
                      f"undo it first: gslb undrain {what}")  # fmt: skip


def _bad_shift(policy: written.Policy, shift: Shift) -> Iterable[Problem]:
    app, what = policy.apps.get(shift.app), f"{shift.app}/{shift.route}"
    route = next((route for route in app.routes if route.name == shift.route), None) if app else None
    known = route is not None and route.split is not None
    if app is None or not known or not set(shift.split) <= set(app.backends):
        yield Problem("overrides", 0, 0, "override-dangling", f"the shift of {what} names what this policy lacks",
                      f"undo it first: gslb shift {what} --undo")  # fmt: skip
    total_bp = sum(round(percent * 100) for percent in shift.split.values())
    if total_bp != WHOLE_BP:
        yield Problem("overrides", 0, 0, "split-sum", f"the shift of {what} adds up to {total_bp / 100:g} %",
                      "percentages of a route add up to 100")  # fmt: skip


def _digest(snapshot: Snapshot) -> str:
    """Of the content in its order: the order of the sites means something (`first`, failover between edges)."""
    content = dataclasses.asdict(snapshot)
    del content["version"], content["digest"]
    text = json.dumps(content, default=str, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:16]
