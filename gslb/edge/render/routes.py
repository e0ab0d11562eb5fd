"""Routes: virtual hosts, front-door probes, splits, sticky twins, retries. Guards of mirrors stand in `mirroring`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from gslb.edge.render.checks import added_headers
from gslb.edge.render.clusters import has_local_probe
from gslb.edge.render.config import PROBE_HEADER, Resource, alias_name, duration, elsewhere_name, leaf_name, skip_prefix
from gslb.edge.render.matching import route_match
from gslb.edge.render.mirroring import Variant, mirror_policies, variants
from gslb.edge.render.weights import to_weights
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.types import App, BackendName, Match, Route, RouteId, SiteName

__all__ = ["cookie_name", "virtual_host"]

_RETRY = "type.googleapis.com/envoy.extensions.retry"
_COOKIE_MAX_AGE_S = 30 * 86_400
_TRY_MAX_S = 1.0
_RETRY_SAFE = "gateway-error,reset,connect-failure,refused-stream"
_RETRY_UNSENT = "connect-failure,refused-stream,reset-before-request"
"""What may be tried again for every method: nothing of the request had reached a backend."""


def virtual_host(app: App, site: SiteName) -> dict[str, Any]:
    """Probes first, then the routes in the order of the policy: Envoy takes the first that matches."""
    routes = [*_probes(app, site)]
    for route in app.routes:
        routes += _route(app, route)
    return {"name": app.name, "domains": [*app.hosts, *app.site_hosts], "routes": routes}


def cookie_name(app: App) -> str:
    return f"gslb_{app.name}"


# Front door -----------------------------------------------------------------------------------------------------------


def _probes(app: App, site: SiteName) -> Iterator[dict[str, Any]]:
    """One per needed backend with a check, straight to its pool: probes must not count in a split."""
    checked = [(name, check) for name in app.needed if (check := app.backends[name].check)]
    for name, check in checked:
        yield _backend_probe(app, name, check, site)
    if not checked:
        yield {
            "name": f"{app.name}~probe",
            "match": route_match(Match(exact="/", headers=((PROBE_HEADER, "edge"),))),
            "direct_response": {"status": 200},
        }


def _backend_probe(app: App, name: BackendName, check: HealthCheck, site: SiteName) -> dict[str, Any]:
    local = has_local_probe(app.backends[name], site)
    path = check.path.partition("?")[0]
    route: dict[str, Any] = {
        "cluster": leaf_name(app.name, name, site) if local else elsewhere_name(app.name, name),
        "timeout": duration(check.timeout_s),
        "retry_policy": {"retry_on": "connect-failure,refused-stream,reset", "num_retries": 1},
    }
    if check.host is not None:
        route["host_rewrite_literal"] = check.host
    probe: dict[str, Any] = {
        "name": f"{app.name}/{name}~probe",
        "match": route_match(Match(exact=path, methods=(check.method,), headers=((PROBE_HEADER, name),))),
        "route": route,
    }
    if check.headers:
        probe["request_headers_to_add"] = added_headers(check.headers)
    return probe


# Splits ---------------------------------------------------------------------------------------------------------------


def _route(app: App, route: Route) -> Iterator[dict[str, Any]]:
    route_id = RouteId(app.name, route.name)
    for variant in variants(route.mirrors):
        action = _action(route_id, route, variant)
        twin: dict[str, Any] = {"name": str(route_id)}
        if variant.skip:
            missed = len(route.mirrors) - len(variant.mirrors)
            twin["stat_prefix"] = skip_prefix(route.name, variant.skip, missed)
        if route.sticky:
            yield from _sticky(app, route, variant.guards, twin, action)
        else:
            yield {**twin, "match": route_match(route.match, variant.guards), "route": action}


def _action(route_id: RouteId, route: Route, variant: Variant) -> dict[str, Any]:
    weights = to_weights([share.share_bp for share in route.split])
    sides = [
        {"name": alias_name(route_id, share.backend), "weight": weight}
        for share, weight in zip(route.split, weights, strict=True)
    ]
    action: dict[str, Any] = {"weighted_clusters": {"clusters": sides}, "timeout": duration(route.timeout_s)}
    if route.retries:
        action |= _retries_safe(route) if variant.safe else {"retry_policy": _retry_policy(route, _RETRY_UNSENT)}
    if variant.mirrors:
        action["request_mirror_policies"] = mirror_policies(route_id, route, variant.mirrors)
    return action


def _retries_safe(route: Route) -> dict[str, Any]:
    """A safe method is tried again also when a try takes too long; the slow try goes on (hedging), so that a service
    that is merely slow still answers within the route's timeout."""
    per_try = duration(min(_TRY_MAX_S, route.timeout_s / (route.retries + 1)))
    return {
        "retry_policy": {**_retry_policy(route, _RETRY_SAFE), "per_try_timeout": per_try},
        "hedge_policy": {"hedge_on_per_try_timeout": True},
    }


def _retry_policy(route: Route, conditions: str) -> dict[str, Any]:
    """Each try goes to another site (or, behind a canary, side) where there is one, else to another endpoint."""
    return {
        "retry_on": conditions,
        "num_retries": route.retries,
        "retry_back_off": {"base_interval": "0.010s", "max_interval": "0.050s"},
        "retry_priority": {
            "name": "envoy.retry_priorities.previous_priorities",
            "typed_config": {
                "@type": f"{_RETRY}.priority.previous_priorities.v3.PreviousPrioritiesConfig",
                "update_frequency": 1,
            },
        },
        "retry_host_predicate": [
            {
                "name": "envoy.retry_host_predicates.previous_hosts",
                "typed_config": {"@type": f"{_RETRY}.host.previous_hosts.v3.PreviousHostsPredicate"},
            }
        ],
        "host_selection_retry_max_attempts": 3,
    }


def _sticky(
    app: App, route: Route, guards: Iterable[Resource], twin: dict[str, Any], action: dict[str, Any]
) -> Iterator[dict[str, Any]]:
    """With a cookie, its hash draws. Without one, the request id does, and becomes the cookie: the next request draws
    the same. An empty cookie counts as none."""
    name = cookie_name(app)
    present = {"name": "cookie", "string_match": {"safe_regex": {"regex": f"(?:.*;\\s*)?{name}=[^;\\s][^;]*(?:;.*)?"}}}
    split = {**action["weighted_clusters"], "use_hash_policy": True}
    yield {
        **twin,
        "match": route_match(route.match, [*guards, present]),
        "route": {**action, "weighted_clusters": split, "hash_policy": [{"cookie": {"name": name}}]},
    }
    value = f"{name}=%REQ(X-REQUEST-ID)%; Max-Age={_COOKIE_MAX_AGE_S}; Path=/; HttpOnly; SameSite=Lax"
    yield {
        **twin,
        "match": route_match(route.match, list(guards)),
        "route": {
            **action,
            "weighted_clusters": split,
            "hash_policy": [{"header": {"header_name": "x-request-id"}}],
        },
        "response_headers_to_add": [
            {"header": {"key": "set-cookie", "value": value}, "append_action": "APPEND_IF_EXISTS_OR_ADD"}
        ],
    }
