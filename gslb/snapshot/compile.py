"""`compile_snapshot(Intent, wall_s) -> Snapshot`: the one place that holds the rules of precedence.

Share of a route: shift > policy. Copies of a mirror: a person's stop > policy. Latencies: measured through the API >
policy. Eligibility of a site: drain > forced state > verdict (verdicts are no part of a snapshot).
Everything that disagrees with the policy is a `Problem`, found before anything is published.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from gslb.model import policy as written
from gslb.model.base import says_alike
from gslb.model.hosts import site_hosts
from gslb.model.words import absolute, parse_endpoint
from gslb.snapshot import eligibility
from gslb.snapshot.bad_overrides import refuse_bad_overrides
from gslb.snapshot.challenges import challenge_lines
from gslb.snapshot.checks import CheckName
from gslb.snapshot.compile_checks import backend_check, backend_tls, named_checks
from gslb.snapshot.compile_routes import compile_route
from gslb.snapshot.concerning import Concerning, concerning, is_active
from gslb.snapshot.digest import Digests, digests
from gslb.snapshot.intent import Challenge, Drain, Forced, Intent, Key, MirrorStop, Overrides, Shift, SlowStart
from gslb.snapshot.mirror_stops import mirror_stop
from gslb.snapshot.networks import NetworkMap, network_map
from gslb.snapshot.types import (
    WHOLE_BP,
    App,
    AppName,
    Backend,
    BackendName,
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

__all__ = ["Compiled", "Compiler", "compile_after", "compile_app", "compile_snapshot", "next_expiry_s"]

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


@dataclass(frozen=True, slots=True)
class Compiled:
    """What an Intent meant at a moment, with all that the next one can take over."""

    intent: Intent
    concerning: Concerning
    challenges: tuple[Challenge, ...]
    snapshot: Snapshot
    digests: Digests


class Compiler:
    """Compiles one Intent after the other: what means the same as in the one before stays the same object, and is not
    compiled again. It may be called from several threads at once."""

    def __init__(self) -> None:
        self._last: Compiled | None = None

    def compile(self, intent: Intent, wall_s: float) -> Snapshot:
        """As `compile_snapshot`."""
        self._last = compiled = compile_after(self._last, intent, wall_s)
        return compiled.snapshot

    def preview(self, intent: Intent, wall_s: float) -> Snapshot:
        """As `compile`, of an Intent that may never come: the one before is still the one before."""
        return compile_after(self._last, intent, wall_s).snapshot


def compile_snapshot(intent: Intent, wall_s: float) -> Snapshot:
    """The snapshot that `intent` means at `wall_s`. Overrides past their expiry do not count.

    Raises PolicyError where an override names what the policy does not have, or a shift does not add up to 100.
    """
    return compile_after(None, intent, wall_s).snapshot


def compile_app(intent: Intent, name: AppName, wall_s: float) -> App:
    """One app of the policy, as it stands in the snapshot."""
    return _app(name, intent.policy, concerning(intent, wall_s).of(name), wall_s)


def compile_after(before: Compiled | None, intent: Intent, wall_s: float) -> Compiled:
    """As `compile_snapshot`; equal whatever `before` is. Raises as it does."""
    policy, overrides = intent.policy, intent.overrides
    refuse_bad_overrides(intent, wall_s)
    about = concerning(intent, wall_s)
    challenges = tuple(item for item in overrides.challenges if is_active(item.by, wall_s))
    kept = before if before is not None and _same_ground(before.intent.policy, policy) else None
    old = kept.snapshot if kept else None
    is_drained_alike = kept is not None and kept.concerning.of_all.drains == about.of_all.drains
    is_signed_alike = kept is not None and (kept.intent.overrides.keys, kept.challenges) == (overrides.keys, challenges)
    is_measured_alike = kept is not None and kept.intent.overrides.latency == overrides.latency
    snapshot = Snapshot(
        version=Version(intent.revision, overrides.version),
        digest="",
        environment=policy.environment,
        zone=old.zone if old and is_signed_alike else _zone(policy.zone, intent, wall_s),
        sites=old.sites if old and is_drained_alike else _sites(policy, about.of_all, wall_s),
        apps=_apps(kept, policy, about, wall_s),
        zones=old.zones if old and is_signed_alike else tuple(_zone(zone, intent, wall_s) for zone in policy.zones),
        latency=old.latency if old and is_measured_alike else _latency(intent),
        checks=old.checks if old else named_checks(policy.checks),
        guard=old.guard if old else eligibility.guard(policy),
    )
    made = digests(snapshot, kept.digests if kept else None)
    return Compiled(intent, about, challenges, dataclasses.replace(snapshot, digest=made.whole), made)


def _same_ground(one: written.Policy, other: written.Policy) -> bool:
    """Do they differ in apps alone?"""
    return says_alike(one, other, beside=("apps",))


def _apps(kept: Compiled | None, policy: written.Policy, about: Concerning, wall_s: float) -> Mapping[AppName, App]:
    old = kept.snapshot.apps if kept else {}
    is_all_alike = kept is not None and kept.concerning.of_all == about.of_all
    found: dict[AppName, App] = {}
    for name, app in policy.apps.items():
        before = old.get(AppName(name))
        if kept is not None and before is not None and _is_alike(kept, name, app, about, is_all_alike=is_all_alike):
            found[before.name] = before
        else:
            found[AppName(name)] = _app(AppName(name), policy, about.of(name), wall_s)
    return found


def _is_alike(kept: Compiled, name: str, app: written.App, about: Concerning, *, is_all_alike: bool) -> bool:
    if not says_alike(kept.intent.policy.apps[name], app):
        return False
    if name not in about.by_app and name not in kept.concerning.by_app:
        return is_all_alike
    return kept.concerning.of(name) == about.of(name)


def next_expiry_s(intent: Intent, wall_s: float) -> float | None:
    """When (Unix seconds) the meaning of `intent` next changes by itself, or None."""
    overrides = intent.overrides
    lasting: list[Drain | Shift | Forced | SlowStart | Challenge | MirrorStop] = [*overrides.drains, *overrides.shifts]
    lasting += [*overrides.forced, *overrides.slow_starts, *overrides.challenges, *overrides.mirror_stops]
    made_by = [item.by for item in lasting]
    return min((by.expires_s for by in made_by if by.expires_s is not None and by.expires_s > wall_s), default=None)


def _sites(policy: written.Policy, of_all: Overrides, wall_s: float) -> Mapping[SiteName, Site]:
    return {SiteName(name): _site(SiteName(name), site, of_all, wall_s) for name, site in policy.sites.items()}


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


def _site(name: SiteName, site: written.Site, of_all: Overrides, wall_s: float) -> Site:
    edges = tuple(
        Edge(tuple(edge.public), tuple(edge.bound), Endpoint(*parse_endpoint(edge.peer)) if edge.peer else None)
        for edge in site.edges
    )
    drains = [
        drain for drain in of_all.drains if drain.site == name and not drain.entry_only and is_active(drain.by, wall_s)
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


def _app(name: AppName, policy: written.Policy, overrides: Overrides, wall_s: float) -> App:
    """`overrides` are those that concern it and are not over."""
    app = policy.apps[name]
    intent = Intent.model_construct(revision=1, policy=policy, overrides=overrides)
    shifts = {shift.route: shift for shift in overrides.shifts}
    routes = tuple(
        compile_route(route, shifts.get(route.name), mirror_stop(intent, name, route.name, wall_s))
        for route in app.routes
    )
    half = WHOLE_BP // 2
    needed = sorted({share.backend for route in routes for share in route.split if share.share_bp >= half})
    drains = overrides.drains
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
        tls=backend_tls(backend.tls),
        http2=backend.protocol == "http2",
        host=backend.host,
    )
