"""Puts a site's resources together, with the index that gives its counters their meaning."""

from __future__ import annotations

from gslb.edge.render.clusters import Place, app_clusters
from gslb.edge.render.config import (
    PEER_HOST,
    PROBE_HEADER,
    ROUTES_NAME,
    EdgeConfig,
    Peering,
    Skip,
    StatsIndex,
    alias_name,
    hop_stats_prefix,
    route_stats,
    shadow_name,
    skip_prefix,
)
from gslb.edge.render.filters import capacity_filter, http_filters
from gslb.edge.render.listeners import site_listeners
from gslb.edge.render.mirroring import CODING_HEADER, SHADOW_HEADER, variants
from gslb.edge.render.peers import HOP_HEADER, hops, needs_peers, peer_listeners
from gslb.edge.render.routes import virtual_host
from gslb.snapshot.types import RouteId, SiteName, Snapshot

__all__ = ["render"]


def render(snapshot: Snapshot, site: SiteName, peering: Peering | None = None, *, closing: bool = False) -> EdgeConfig:
    """What the Envoy of `site` shall serve. `site` must be a site of the snapshot. `peering` None: this edge has no
    identity. `closing`: the deadline of its drain is over. Raises RefusedError (`no-identity`) where it needs one."""
    apps = snapshot.apps.values()
    hop = [HOP_HEADER] if needs_peers(snapshot) else []
    return EdgeConfig(
        site=site,
        version=f"{snapshot.version} {snapshot.digest}",
        drained=snapshot.sites[site].drained,
        closing=closing,
        listeners=(
            *site_listeners(
                snapshot.sites[site],
                mirrored=any(route.mirrors for app in apps for route in app.routes),
                filters=[*capacity_filter(snapshot.sites[site]), *http_filters(apps)],
                closing=closing,
            ),
            *peer_listeners(snapshot, site, peering),
        ),
        clusters=tuple(cluster for app in apps for cluster in app_clusters(app, Place(site, snapshot.sites, peering))),
        routes={
            "name": ROUTES_NAME,
            "virtual_hosts": [virtual_host(app, snapshot.sites[site]) for app in apps],
            "ignore_port_in_host_matching": True,
            "validate_clusters": True,
            "request_headers_to_remove": [SHADOW_HEADER, PROBE_HEADER, CODING_HEADER, *hop],
        },
        splits={RouteId(app.name, route.name): route.split for app in apps for route in app.routes},
        index=_index(snapshot, site),
    )


def _index(snapshot: Snapshot, site: SiteName) -> StatsIndex:
    routes = [(RouteId(app.name, route.name), route) for app in snapshot.apps.values() for route in app.routes]
    skips = {}
    for route_id, route in routes:
        for variant in variants(route.mirrors):
            if variant.skip:
                missed = len(route.mirrors) - len(variant.mirrors)
                prefix = skip_prefix(route.name, variant.skip, missed)
                skips[route_stats(route_id.app, prefix)] = Skip(route_id, variant.skip, missed)
    return StatsIndex(
        aliases={
            alias_name(key, share.backend): (key, share.backend) for key, route in routes for share in route.split
        },
        shadows={
            shadow_name(key, index, mirror.to): (key, index)
            for key, route in routes
            for index, mirror in enumerate(route.mirrors)
        },
        skips=skips,
        hops={
            route_stats(PEER_HOST, hop_stats_prefix(app.name, backend)): (app.name, backend)
            for app, backend in hops(snapshot, site)
        },
    )
