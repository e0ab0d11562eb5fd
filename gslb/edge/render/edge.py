"""Puts a site's resources together, with the index that gives its counters their meaning."""

from __future__ import annotations

from gslb.edge.render.clusters import app_clusters
from gslb.edge.render.config import (
    ROUTES_NAME,
    EdgeConfig,
    Skip,
    StatsIndex,
    alias_name,
    route_stats,
    shadow_name,
    skip_prefix,
)
from gslb.edge.render.listeners import site_listeners
from gslb.edge.render.mirroring import CODING_HEADER, SHADOW_HEADER, variants
from gslb.edge.render.routes import PROBE_HEADER, virtual_host
from gslb.snapshot.types import RouteId, SiteName, Snapshot

__all__ = ["render"]


def render(snapshot: Snapshot, site: SiteName) -> EdgeConfig:
    """What the Envoy of `site` shall serve. `site` must be a site of the snapshot."""
    apps = snapshot.apps.values()
    return EdgeConfig(
        site=site,
        version=f"{snapshot.version} {snapshot.digest}",
        drained=snapshot.sites[site].drained,
        listeners=site_listeners(
            snapshot.sites[site], mirrored=any(route.mirrors for app in apps for route in app.routes)
        ),
        clusters=tuple(cluster for app in apps for cluster in app_clusters(app, site)),
        routes={
            "name": ROUTES_NAME,
            "virtual_hosts": [virtual_host(app, site) for app in apps],
            "ignore_port_in_host_matching": True,
            "validate_clusters": True,
            "request_headers_to_remove": [SHADOW_HEADER, PROBE_HEADER, CODING_HEADER],
        },
        splits={RouteId(app.name, route.name): route.split for app in apps for route in app.routes},
        index=_index(snapshot),
    )


def _index(snapshot: Snapshot) -> StatsIndex:
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
    )
