"""Puts a site's resources together, with the index that gives its counters their meaning.

What one app brings is made in `app`; here it is put beside the others, and kept for the next time.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gslb.edge.render.app import Ground, render_app
from gslb.edge.render.clusters import Place
from gslb.edge.render.comparing import capture_filters, comparer_cluster
from gslb.edge.render.config import (
    PEER_HOST,
    PROBE_HEADER,
    SNI_HEADER,
    AppParts,
    EdgeConfig,
    Peering,
    Resource,
    StatsIndex,
    Stores,
    hop_stats_prefix,
    route_stats,
    routes_name,
)
from gslb.edge.render.doors import Door, site_doors, tls_hosts
from gslb.edge.render.filters import capacity_bucket, capacity_filter, http_filters
from gslb.edge.render.mirroring import CODING_HEADER, SHADOW_HEADER
from gslb.edge.render.peers import HOP_HEADER, hops, needs_peers, peer_listeners
from gslb.snapshot.types import App, AppName, ClientTls, Site, SiteName, Snapshot

__all__ = ["Renderer", "changed_part", "render"]

_STORES = Stores()
_Where = tuple[SiteName, Peering | None, Stores]


@dataclass(frozen=True, slots=True)
class _Rendered:
    """What was asked for, and what came of it."""

    snapshot: Snapshot
    place: _Where
    closing: bool
    ground: Ground
    config: EdgeConfig


class Renderer:
    """Renders one snapshot after the other for one edge: what is equal to what it was stays the same object, and apps
    that are the same objects are not rendered again. It may be called from several threads at once."""

    def __init__(self) -> None:
        self._last: _Rendered | None = None

    def render(self, snapshot: Snapshot, place: _Where, *, closing: bool = False) -> EdgeConfig:
        """As the function `render`. What was prepared is not rendered again to be published."""
        before = self._last
        if before is not None and before.snapshot is snapshot and (before.place, before.closing) == (place, closing):
            return before.config
        site, peering, stores = place
        apps, here = tuple(snapshot.apps.values()), snapshot.sites[site]
        chains = tls_hosts(here, apps)
        ground = Ground(Place(site, snapshot.sites, peering, stores), chains)
        parts = _parts(snapshot.apps, ground, before)
        mirrored = any(route.mirrors for app in apps for route in app.routes)
        filters = [*capacity_filter(here), *http_filters(apps), *capture_filters(apps, site)]
        door = Door(here, apps, filters, mirrored, stores, closing)
        clusters = (cluster for part in parts.values() for cluster in part.clusters)
        made = EdgeConfig(
            site=site,
            version=f"{snapshot.version} {snapshot.digest}",
            drained=here.drained,
            closing=closing,
            listeners=(*site_doors(door), *peer_listeners(snapshot, site, peering)),
            clusters=(*clusters, *comparer_cluster(apps, stores.comparer)),
            routes=_routes(parts.values(), None, here, _removed(snapshot, chains)),
            more_routes={
                routes_name(port): _routes(parts.values(), port, here, _removed(snapshot, {}))
                for port in here.listening.also
            },
            runtime={key: value for part in parts.values() for key, value in part.runtime.items()},
            secrets=_secrets(chains),
            splits={route: split for part in parts.values() for route, split in part.splits.items()},
            index=_index(snapshot, site, parts.values()),
            apps=parts,
        )
        config = _keeping(before.config, made) if before else made
        self._last = _Rendered(snapshot, place, closing, ground, config)
        return config


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
    return Renderer().render(snapshot, (site, peering, stores), closing=closing)


def changed_part(before: EdgeConfig, now: EdgeConfig) -> EdgeConfig | None:
    """`now` with no other apps than those that are not as in `before`: enough for Envoy to say whether it can take
    them, as no app names the clusters of another. None where the listeners differ, which have to do with all."""
    if before.listeners != now.listeners:
        return None
    changed = {name: part for name, part in now.apps.items() if not _is_alike(before.apps.get(name), part)}
    shared = now.clusters[sum(len(part.clusters) for part in now.apps.values()) :]  # as they are put together

    def narrowed(port: int | None, routes: Resource) -> Resource:
        return {**routes, "virtual_hosts": [part.hosts[port] for part in changed.values() if port in part.hosts]}

    ports = {routes_name(port): port for part in changed.values() for port in part.hosts}
    return replace(
        now,
        listeners=tuple(item for item in now.listeners if not _has_own_routes(item)),
        clusters=(*(cluster for part in changed.values() for cluster in part.clusters), *shared),
        routes=narrowed(None, now.routes),
        more_routes={
            name: narrowed(ports[name], routes) if name in ports else {**routes, "virtual_hosts": []}
            for name, routes in now.more_routes.items()
        },
        apps=changed,
    )


def _has_own_routes(listener: Resource) -> bool:
    """As those for other edges, whose routes name the clusters of many apps."""
    return any("route_config" in chain["filters"][0]["typed_config"] for chain in listener["filter_chains"])


def _is_alike(before: AppParts | None, now: AppParts) -> bool:
    return before is not None and (before.clusters, before.hosts) == (now.clusters, now.hosts)


def _parts(apps: Mapping[AppName, App], ground: Ground, before: _Rendered | None) -> Mapping[AppName, AppParts]:
    if before is None:
        return {name: render_app(app, ground) for name, app in apps.items()}
    old_apps, old = before.snapshot.apps, before.config
    unchanged = {name for name, app in apps.items() if old_apps.get(name) is app} if before.ground == ground else set()
    return {
        name: old.apps[name] if name in unchanged else _taking_over(old.apps.get(name), render_app(app, ground))
        for name, app in apps.items()
    }


def _taking_over(old: AppParts | None, new: AppParts) -> AppParts:
    """`new` with the very clusters and hosts of `old` where they are equal."""
    if old is None:
        return new
    clusters = {cluster["name"]: cluster for cluster in old.clusters}
    return replace(
        new,
        clusters=tuple(_kept(clusters.get(cluster["name"]), cluster) for cluster in new.clusters),
        hosts={port: _kept(old.hosts.get(port), host) for port, host in new.hosts.items()},
    )


def _keeping(old: EdgeConfig, new: EdgeConfig) -> EdgeConfig:
    """`new` with the very resources of `old` where they are equal. Most of them are the same objects, so that this is
    quick."""
    more = {name: _kept(old.more_routes.get(name), routes) for name, routes in new.more_routes.items()}
    return replace(
        new,
        listeners=old.listeners if old.listeners == new.listeners else new.listeners,
        clusters=old.clusters if old.clusters == new.clusters else new.clusters,
        routes=_kept(old.routes, new.routes),
        more_routes=more,
    )


def _kept(old: Resource | None, new: Resource) -> Resource:
    return old if old is not None and old == new else new


def _routes(parts: Iterable[AppParts], port: int | None, here: Site, removed: Sequence[str]) -> dict[str, Any]:
    """The RouteConfiguration of an `also` port, with the apps that name it, or (None) of the http and https ports."""
    return {
        "name": routes_name(port),
        "virtual_hosts": [part.hosts[port] for part in parts if port in part.hosts],
        "ignore_port_in_host_matching": True,
        "validate_clusters": True,
        "request_headers_to_remove": removed,
        **capacity_bucket(here),
    }


def _removed(snapshot: Snapshot, chains: Mapping[ClientTls, Sequence[str]]) -> list[str]:
    """The headers that no backend sees."""
    hop = [HOP_HEADER] if needs_peers(snapshot) else []
    sni = [SNI_HEADER] if len(chains) > 1 else []
    mirrored = any(route.mirrors for app in snapshot.apps.values() for route in app.routes)
    coding = [CODING_HEADER] if mirrored else []
    return [SHADOW_HEADER, PROBE_HEADER, *coding, *hop, *sni]


def _secrets(chains: Mapping[ClientTls, Sequence[str]]) -> Mapping[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for tls, names in chains.items():
        found[tls.secret] = (*found.get(tls.secret, ()), *(name for name in names if name != "*"))
    return found


def _index(snapshot: Snapshot, site: SiteName, parts: Collection[AppParts]) -> StatsIndex:
    return StatsIndex(
        aliases={key: value for part in parts for key, value in part.index.aliases.items()},
        shadows={key: value for part in parts for key, value in part.index.shadows.items()},
        skips={key: value for part in parts for key, value in part.index.skips.items()},
        hops={
            route_stats(PEER_HOST, hop_stats_prefix(app.name, backend)): (app.name, backend)
            for app, backend in hops(snapshot, site)
        },
        stopped=frozenset(route for part in parts for route in part.index.stopped),
    )
