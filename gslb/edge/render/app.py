"""What one app brings to a site's configuration: clusters, virtual hosts, runtime, and what its counters mean.

Everything that it depends on is the app and the ground that all apps share, so that an app that stays as it was need
not be rendered again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gslb.edge.render.clusters import Place, app_clusters
from gslb.edge.render.comparing import compares, overriding_samples
from gslb.edge.render.config import (
    AppParts,
    Resource,
    Skip,
    StatsIndex,
    alias_name,
    compared_name,
    route_stats,
    shadow_name,
    skip_prefix,
)
from gslb.edge.render.mirroring import overriding_fractions, variants
from gslb.edge.render.routes import virtual_host
from gslb.edge.render.shares import overriding_weights
from gslb.snapshot.types import App, ClientTls, RouteId, Site

__all__ = ["Ground", "render_app"]


@dataclass(frozen=True, slots=True)
class Ground:
    """What all apps of a site share. `chains` are the server names by certificate."""

    place: Place
    chains: Mapping[ClientTls, Sequence[str]]

    @property
    def here(self) -> Site:
        return self.place.sites[self.place.site]


def render_app(app: App, ground: Ground) -> AppParts:
    """All of `app` at a site."""
    return AppParts(
        clusters=tuple(app_clusters(app, ground.place)),
        hosts=dict(_hosts(app, ground)),
        runtime=dict(_overriding(app)),
        splits={RouteId(app.name, route.name): route.split for route in app.routes},
        index=_index(app),
    )


def _hosts(app: App, ground: Ground) -> Iterator[tuple[int | None, Resource]]:
    here = ground.here
    if not app.ports or here.http_port in app.ports:
        yield None, virtual_host(app, here, here.http_port, ground.chains)
    for port in here.listening.also:
        if port in app.ports:
            yield port, virtual_host(app, here, port, {})


def _overriding(app: App) -> Iterator[tuple[str, Any]]:
    yield from overriding_weights(app)
    yield from overriding_fractions(app)
    yield from overriding_samples(app)


def _index(app: App) -> StatsIndex:
    routes = [(RouteId(app.name, route.name), route) for route in app.routes]
    skips = {}
    for route_id, route in routes:
        for variant in variants(route.mirrors, upgrades=route.websocket):
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
        stopped=frozenset(key for key, route in routes if any(mirror.stopped for mirror in route.mirrors)),
    )
