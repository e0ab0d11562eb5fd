"""Clusters: leaves (endpoints of one site), aliases (one side of one split), shadows (one mirror each).

An alias is an aggregate over leaves: this site's first, then the others in the order of the policy, so that a dead
pool's requests go on to the next site. Drained sites stand last, the own one behind the others. Behind a canary's
own leaves stand those of the other sides of its split: what a dead canary would have got goes to them.
"""

from __future__ import annotations

import dataclasses
import ipaddress
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from gslb.edge.render.checks import CHECK_SOCKET, health_check, peer_check
from gslb.edge.render.comparing import captured_pool, compares
from gslb.edge.render.config import (
    Peering,
    Stores,
    alias_name,
    auth_name,
    compared_name,
    duration,
    elsewhere_name,
    leaf_name,
    noise_name,
    shadow_name,
    variant_name,
)
from gslb.edge.render.mirroring import buffer_bytes
from gslb.edge.render.peers import peer_endpoints, peer_socket
from gslb.edge.render.tls import RAW_SOCKET, backend_socket
from gslb.snapshot.routing import BackendName, Comparison, Mirror
from gslb.snapshot.types import App, Backend, BackendTls, Endpoint, Route, RouteId, Share, Site, SiteName

__all__ = ["OthersToTry", "Place", "app_clusters", "has_local_probe", "others_to_try", "takers"]

_CONNECT_TIMEOUT = duration(1)
_BUFFER_BYTES = 32_768  # Envoy's edge guide
_IDLE_TIMEOUT = duration(4)  # common servers hang up after 5 s of silence: leave first, or a POST meets a closed socket
_BREAKERS = {"max_connections": 20_000, "max_pending_requests": 20_000, "max_requests": 20_000, "max_retries": 2_000}
"""Raised: with Envoy's 3 retries, 800 requests/s on a backend that was killed showed more than 600 errors; with
1,000, seven."""
_SHADOW_BREAKERS = {"max_connections": 64, "max_pending_requests": 64, "max_requests": 128, "max_retries": 0}
"""Small: a mirror that cannot keep up is dropped (`target_busy`), it must not eat the edge's memory or sockets."""
_SHADOW_MAX_S = 5.0
_SHADOW_OUTLIERS = {
    "consecutive_gateway_failure": 20,
    "enforcing_consecutive_gateway_failure": 100,
    "interval": duration(1),
    "base_ejection_time": duration(5),
    "max_ejection_time": duration(30),
    "max_ejection_percent": 100,
    "enforcing_consecutive_5xx": 0,
    "enforcing_success_rate": 0,
}
"""A target that resets would cost a connection for each copy, a third more processor time for a request. Resets are
gateway failures where origins are not told apart; where they are, each connection that was made clears the count, and
resets one after the other never add up. Twenty in a row are no service that fails now and then."""
_HTTP_OPTIONS = "type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions"
_AGGREGATE = "type.googleapis.com/envoy.extensions.clusters.aggregate.v3.ClusterConfig"
_OUTLIERS = {
    "split_external_local_origin_errors": True,
    "consecutive_local_origin_failure": 5,
    "interval": duration(1),
    "base_ejection_time": duration(5),
    "max_ejection_time": duration(30),
    "max_ejection_percent": 100,
    "enforcing_consecutive_5xx": 0,
    "enforcing_consecutive_gateway_failure": 0,
    "enforcing_success_rate": 0,
    "enforcing_local_origin_success_rate": 0,
}
"""Only for backends without a check, and only for what Envoy itself could not do (connect, get an answer in time): a
status that a service means must not take it out."""


@dataclass(frozen=True, slots=True)
class Place:
    """The edge of `site` among all `sites`; `peering` None: it cannot talk to the others."""

    site: SiteName
    sites: Mapping[SiteName, Site]
    peering: Peering | None
    stores: Stores


@dataclass(frozen=True, slots=True)
class OthersToTry:
    """Whether a further try of a route can go to another pool (site, or side behind a canary), or to another endpoint
    of the same pool."""

    pools: bool
    endpoints: bool


def app_clusters(app: App, here: Place) -> Iterable[dict[str, Any]]:
    """Every cluster that `app` needs at the edge `here`: leaves before what stands on them."""
    site = here.site
    for backend in app.backends.values():
        for where in backend.endpoints:
            yield _pool(leaf_name(app.name, backend.name, where), app, backend, [where], here)
    for name in app.needed:
        if app.backends[name].check and not has_local_probe(app.backends[name], site):
            yield _aggregate(elsewhere_name(app.name, name), app, [app.backends[name]], site)
    for name in sorted({route.auth.backend for route in app.routes if route.auth}):
        yield _aggregate(auth_name(app.name, name), app, [app.backends[name]], site)
    for route in app.routes:
        route_id = RouteId(app.name, route.name)
        for share in route.split:
            yield _aggregate(alias_name(route_id, share.backend), app, takers(app, route, share), site)
            if route.variants:
                yield _aggregate(variant_name(route_id, share.backend), app, [app.backends[share.backend]], site)
        yield from _shadows(app, route, here)


def has_local_probe(backend: Backend, site: SiteName) -> bool:
    """Whether front-door probes look at the site's own endpoints."""
    return site in backend.endpoints


def takers(app: App, route: Route, share: Share) -> list[Backend]:
    """Who answers the requests of one side: its backend, and where that takes no site out (a share under half of every
    route, `App.needed`), the other living sides after it, the largest first."""
    others = [other for other in route.split if other.share_bp and other.backend != share.backend]
    others.sort(key=lambda other: -other.share_bp)
    names = [share.backend, *(other.backend for other in others if share.backend not in app.needed)]
    return [app.backends[name] for name in names]


def others_to_try(app: App, route: Route) -> OthersToTry:
    """Whatever the shares are now: an override does not change what a route is."""
    backends = [app.backends[share.backend] for share in route.split]
    pools = [endpoints for backend in backends for endpoints in backend.endpoints.values()]
    hidden = any(backend.via_edge for backend in backends) or any(
        not _is_address(endpoint.host) for endpoints in pools for endpoint in endpoints
    )
    return OthersToTry(pools=len(pools) > 1, endpoints=hidden or any(len(pool) > 1 for pool in pools))


def _in_order(app: App, backend: Backend, site: SiteName) -> Sequence[SiteName]:
    """The sites that have endpoints: the own one first, drained ones last, the own one behind all."""
    drained = {where: (where in app.no_local) * (1 + (where == site)) for where in backend.endpoints}
    return sorted(backend.endpoints, key=lambda where: (drained[where], where != site))


def _pool(name: str, app: App, backend: Backend, sites: Sequence[SiteName], here: Place) -> dict[str, Any]:
    """The endpoints at these sites, each site a priority; those of other sites through their edges where the policy
    says so. `sites` are then the own one alone, or others."""
    host = backend.host or app.own_host
    if not backend.via_edge or here.site in sites:
        asked = health_check(backend.check, host, http2=backend.http2) if backend.check else None
        pool = _leaf(name, [(where, backend.endpoints[where]) for where in sites], asked)
        return _direct(pool, app, backend, here)
    asked = peer_check(backend.check, host) if backend.check else None
    pool = _leaf(name, [(where, peer_endpoints(here.sites[where])) for where in sites], asked)
    pool["transport_socket"] = peer_socket(app, backend.name, sites, here.peering)
    pool["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http2()}
    return pool


def _direct(pool: dict[str, Any], app: App, backend: Backend, here: Place) -> dict[str, Any]:
    """How the endpoints themselves are spoken to."""
    if backend.tls is not None:
        pool["transport_socket"] = backend_socket(app, backend, here.stores)
    if backend.check is not None and backend.check.tls is not None:
        pool["transport_socket_matches"] = [_check_socket(app, backend, backend.check.tls, here.stores)]
    if backend.http2:
        options = {**_http2(), "common_http_protocol_options": {"idle_timeout": _IDLE_TIMEOUT}}
        pool["typed_extension_protocol_options"] = {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": options}
    return pool


def _check_socket(app: App, backend: Backend, tls: BackendTls | Literal["none"], stores: Stores) -> dict[str, Any]:
    """How checks speak to the endpoints where it is otherwise than requests do."""
    socket = RAW_SOCKET if tls == "none" else backend_socket(app, dataclasses.replace(backend, tls=tls), stores)
    return {"name": "checks", "match": CHECK_SOCKET, "transport_socket": socket}


def _leaf(
    name: str, groups: Sequence[tuple[SiteName, tuple[Endpoint, ...]]], check: dict[str, Any] | None
) -> dict[str, Any]:
    """A pool; `groups` are priorities, the first is used while any of it lives."""
    named = any(not _is_address(endpoint.host) for _, endpoints in groups for endpoint in endpoints)
    cluster: dict[str, Any] = {
        "name": name,
        "type": "STRICT_DNS" if named else "STATIC",
        "connect_timeout": _CONNECT_TIMEOUT,
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "lb_policy": "ROUND_ROBIN" if _is_one(groups) else "LEAST_REQUEST",
        "common_lb_config": {"healthy_panic_threshold": {"value": 0}},
        "ignore_health_on_host_removal": True,
        "circuit_breakers": {"thresholds": [_BREAKERS]},
        "load_assignment": {
            "cluster_name": name,
            "policy": {"overprovisioning_factor": 100},
            "endpoints": [_priority(place, where, endpoints) for place, (where, endpoints) in enumerate(groups)],
        },
        "typed_extension_protocol_options": {"envoy.extensions.upstreams.http.v3.HttpProtocolOptions": _http()},
    }
    if named:
        cluster["dns_lookup_family"] = "V4_PREFERRED"
    if check is not None:
        cluster["health_checks"] = [check]
    else:
        cluster["outlier_detection"] = _OUTLIERS
    return cluster


def _is_one(groups: Sequence[tuple[SiteName, tuple[Endpoint, ...]]]) -> bool:
    """Whether there is nothing to choose. A name may become several addresses."""
    endpoints = [endpoint for _, endpoints in groups for endpoint in endpoints]
    return len(endpoints) == 1 and _is_address(endpoints[0].host)


def _is_address(host: str) -> bool:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def _priority(place: int, where: SiteName, endpoints: tuple[Endpoint, ...]) -> dict[str, Any]:
    return {
        "locality": {"zone": where},
        "priority": place,
        "lb_endpoints": [
            {"endpoint": {"address": {"socket_address": {"address": item.host, "port_value": item.port}}}}
            for item in endpoints
        ],
    }


def _http() -> dict[str, Any]:
    return {
        "@type": _HTTP_OPTIONS,
        "common_http_protocol_options": {"idle_timeout": _IDLE_TIMEOUT},
        "explicit_http_config": {"http_protocol_options": {}},
    }


def _http2() -> dict[str, Any]:
    """Between edges: one connection carries many requests, and a dead peer shows by its silence."""
    keepalive = {"interval": duration(5), "timeout": duration(2)}
    return {
        "@type": _HTTP_OPTIONS,
        "explicit_http_config": {
            "http2_protocol_options": {
                "allow_connect": True,
                "initial_stream_window_size": 1024**2,
                "initial_connection_window_size": 16 * 1024**2,
                "connection_keepalive": keepalive,
            }
        },
    }


def _aggregate(name: str, app: App, backends: Sequence[Backend], site: SiteName) -> dict[str, Any]:
    leaves = [
        leaf_name(app.name, backend.name, where) for backend in backends for where in _in_order(app, backend, site)
    ]
    if not leaves:
        return _leaf(name, [], None)
    return {
        "name": name,
        "connect_timeout": _CONNECT_TIMEOUT,
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "lb_policy": "CLUSTER_PROVIDED",
        "cluster_type": {
            "name": "envoy.clusters.aggregate",
            "typed_config": {"@type": _AGGREGATE, "clusters": leaves},
        },
        "circuit_breakers": {"thresholds": [_BREAKERS]},
    }


def _shadows(app: App, route: Route, here: Place) -> Iterator[dict[str, Any]]:
    route_id = RouteId(app.name, route.name)
    for index, mirror in enumerate(route.mirrors):
        yield _shadow(shadow_name(route_id, index, mirror.to), app, (route, mirror, mirror.to), here)
        if mirror.compare is not None and compares(mirror):
            yield from _compared(app, route, index, mirror.compare, here)


def _compared(app: App, route: Route, index: int, compare: Comparison, here: Place) -> Iterator[dict[str, Any]]:
    """The pools of copies whose answers are captured: those to the mirror's target, and those to the old side."""
    route_id, mirror, old = RouteId(app.name, route.name), route.mirrors[index], compare.reference
    target = mirror.to
    pool = _shadow(compared_name(route_id, index, target), app, (route, mirror, target), here)
    yield captured_pool(pool, route_id, f"copy {target}", compare.body_bytes, here.site)
    if compare.noise:
        pool = _shadow(noise_name(route_id, index, old), app, (route, mirror, old), here)
        yield captured_pool(pool, route_id, f"noise {old}", compare.body_bytes, here.site)


def _shadow(name: str, app: App, what: tuple[Route, Mirror, BackendName], here: Place) -> dict[str, Any]:
    """A pool of its own for copies to a backend, so that what the mirror does cannot take a connection or a breaker
    from the primary. What fails twenty times in a row rests, whatever its check says."""
    route, mirror, to = what
    backend = app.backends[to]
    order = _in_order(app, backend, here.site)
    used = order[:1] if order[:1] == [here.site] else order
    if backend.via_edge and len(used) > 1:
        used = [where for where in used if where != here.site]
    pool = _pool(name, app, backend, used, here)
    (options,) = pool["typed_extension_protocol_options"].values()
    longest = {"max_stream_duration": duration(min(route.timeout_s or _SHADOW_MAX_S, _SHADOW_MAX_S))}
    options["common_http_protocol_options"] = options.get("common_http_protocol_options", {}) | longest
    if http2 := options["explicit_http_config"].get("http2_protocol_options"):
        http2["max_concurrent_streams"] = 1  # a connection that nobody reads must not hold up other copies
    pool["circuit_breakers"] = {"thresholds": [_SHADOW_BREAKERS]}
    pool["outlier_detection"] = _SHADOW_OUTLIERS
    pool["per_connection_buffer_limit_bytes"] = buffer_bytes(mirror)
    return pool
