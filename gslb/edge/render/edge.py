"""Puts a site's resources together, with the index that gives its counters their meaning."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from gslb.edge.render.clusters import Place, app_clusters
from gslb.edge.render.comparing import capture_filters, comparer_cluster, compares, overriding_samples
from gslb.edge.render.config import (
    PEER_HOST,
    PROBE_HEADER,
    SNI_HEADER,
    EdgeConfig,
    Peering,
    Skip,
    StatsIndex,
    Stores,
    alias_name,
    compared_name,
    hop_stats_prefix,
    route_stats,
    routes_name,
    shadow_name,
    skip_prefix,
)
from gslb.edge.render.doors import Door, site_doors, tls_hosts
from gslb.edge.render.filters import capacity_filter, http_filters
from gslb.edge.render.mirroring import CODING_HEADER, SHADOW_HEADER, overriding_fractions, variants
from gslb.edge.render.peers import HOP_HEADER, hops, needs_peers, peer_listeners
from gslb.edge.render.routes import virtual_host
from gslb.edge.render.shares import overriding_weights
from gslb.snapshot.types import App, ClientTls, RouteId, Site, SiteName, Snapshot

__all__ = ["render"]

_STORES = Stores()


def render(
    snapshot: Snapshot,
    site: SiteName,
    peering: Peering | None = None,
    stores: Stores = _STORES,
    *,
    closing: bool = False,
) -> EdgeConfig:
    """What the Envoy of `site` shall serve. `site` must be a site of the snapshot. `peering` None: this edge has no
    identity. `closing`: the deadline of its drain is over. Raises RefusedError (`no-identity`) where it needs one."""
    apps, here = tuple(snapshot.apps.values()), snapshot.sites[site]
    chains = tls_hosts(here, apps)
    mirrored = any(route.mirrors for app in apps for route in app.routes)
    filters = [*capacity_filter(here), *http_filters(apps), *capture_filters(apps, site)]
    door = Door(here, apps, filters, mirrored, stores, closing)
    return EdgeConfig(
        site=site,
        version=f"{snapshot.version} {snapshot.digest}",
        drained=here.drained,
        closing=closing,
        listeners=(*site_doors(door), *peer_listeners(snapshot, site, peering)),
        clusters=(
            *(cluster for app in apps for cluster in app_clusters(app, Place(site, snapshot.sites, peering, stores))),
            *comparer_cluster(apps, stores.comparer),
        ),
        routes=_routes(snapshot, here, None, chains),
        more_routes={routes_name(port): _routes(snapshot, here, port, {}) for port in here.listening.also},
        runtime={key: value for app in apps for key, value in _overriding(app)},
        secrets=_secrets(chains),
        splits={RouteId(app.name, route.name): route.split for app in apps for route in app.routes},
        index=_index(snapshot, site),
    )


def _overriding(app: App) -> Iterator[tuple[str, Any]]:
    yield from overriding_weights(app)
    yield from overriding_fractions(app)
    yield from overriding_samples(app)


def _routes(
    snapshot: Snapshot, site: Site, port: int | None, chains: Mapping[ClientTls, Sequence[str]]
) -> dict[str, Any]:
    """The RouteConfiguration of an `also` port, with the apps that name it, or (None) of the http and https ports."""
    apps = [app for app in snapshot.apps.values() if (port in app.ports if port else _is_at_main_ports(app, site))]
    hop = [HOP_HEADER] if needs_peers(snapshot) else []
    sni = [SNI_HEADER] if len(chains) > 1 else []
    return {
        "name": routes_name(port),
        "virtual_hosts": [virtual_host(app, site, port or site.http_port, chains) for app in apps],
        "ignore_port_in_host_matching": True,
        "validate_clusters": True,
        "request_headers_to_remove": [SHADOW_HEADER, PROBE_HEADER, CODING_HEADER, *hop, *sni],
    }


def _secrets(chains: Mapping[ClientTls, Sequence[str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for tls, names in chains.items():
        found[tls.secret] = (*found.get(tls.secret, ()), *(name for name in names if name != "*"))
    return found


def _is_at_main_ports(app: App, site: Site) -> bool:
    return not app.ports or site.http_port in app.ports


def _index(snapshot: Snapshot, site: SiteName) -> StatsIndex:
    routes = [(RouteId(app.name, route.name), route) for app in snapshot.apps.values() for route in app.routes]
    skips = {}
    for route_id, route in routes:
        for variant in variants(route.mirrors):
            if variant.skip:
                prefix = skip_prefix(route.name, variant.skip, variant.missed)
                skips[route_stats(route_id.app, prefix)] = Skip(route_id, variant.skip, variant.missed)
    return StatsIndex(
        aliases={
            alias_name(key, share.backend): (key, share.backend) for key, route in routes for share in route.split
        },
        shadows={
            name(key, index, mirror.to): (key, index)
            for key, route in routes
            for index, mirror in enumerate(route.mirrors)
            for name in ((shadow_name, compared_name) if compares(mirror) else (shadow_name,))
        },
        skips=skips,
        hops={
            route_stats(PEER_HOST, hop_stats_prefix(app.name, backend)): (app.name, backend)
            for app, backend in hops(snapshot, site)
        },
        stopped=frozenset(key for key, route in routes if any(mirror.stopped for mirror in route.mirrors)),
    )
