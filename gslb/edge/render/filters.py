"""HTTP filters that routes ask for, and how a route turns on its own. A filter is there only where some route needs it.

Filters that hold their settings per route (CORS, faults) are there once; the others are there once per setting, off,
and turned on by name where they belong. What counts (rate limits, the capacity) holds its settings where all that is
counted together shares them: a route of ours is several of Envoy's, and a site has several listeners.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from gslb.edge.render.config import CAPACITY_FILTER, CAPACITY_STATS, auth_name, duration
from gslb.snapshot.routing import Auth, Cors, Fault, Rate, Route
from gslb.snapshot.types import App, Site

__all__ = [
    "capacity_bucket", "capacity_filter", "http_filters", "limit_name", "limited_routes", "route_filters", "uncounted",
]  # fmt: skip

_FILTERS = "type.googleapis.com/envoy.extensions.filters.http"
_LIMIT = f"{_FILTERS}.local_ratelimit.v3.LocalRateLimit"
_RATE_FILTER = "envoy.filters.http.local_ratelimit"
_OURS = "gslb"
"""The part of a route's metadata that is ours."""

_EVERY = {"default_value": {"numerator": 100, "denominator": "HUNDRED"}}
_ENFORCED = {"filter_enabled": _EVERY, "filter_enforced": _EVERY}
_BOTTOMLESS = {"max_tokens": 2**32 - 1, "tokens_per_fill": 2**32 - 1, "fill_interval": duration(0.05)}
"""The bucket of what has no limit: Envoy wants one."""
_REFUSAL_HEADERS = ("www-authenticate", "location", "set-cookie", "content-type", "cache-control", "retry-after")
"""What a client gets of the headers of an answer that does not let it through."""

_EXCHANGED = "envoy.filters.http.ext_authz"
_ON = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "config": {}}
_GZIP = "type.googleapis.com/envoy.extensions.compression.gzip.compressor.v3.Gzip"
_LEAST_COMPRESSED_BYTES = 1024
_FILL_S = 0.1
"""How often the bucket is filled; Envoy takes nothing under 50 ms."""
_ORDER = ("cors", "local_ratelimit", "forget", "ext_authz", "exchange", "body_size_limit", "fault", "compressor")
"""Cheap refusals first; nobody is asked about what is refused anyway."""

_Setting = tuple[str, str, dict[str, Any], dict[str, Any] | None]
"""Kind, name, what stands on the listener, what stands on the route (None: the virtual host says it)."""


def http_filters(apps: Iterable[App]) -> list[dict[str, Any]]:
    """Everything that the routes of `apps` need before the router, each once."""
    needed: dict[str, tuple[int, dict[str, Any]]] = {}
    for app in apps:
        for route in app.routes:
            for kind, name, listed, _ in _settings(app, route):
                needed.setdefault(name, (_ORDER.index(kind), listed))
    return [item for _, item in sorted(needed.values(), key=lambda found: (found[0], found[1]["name"]))]


def capacity_filter(site: Site) -> list[dict[str, Any]]:
    """What the edge of `site` cannot carry gets 503 with `retry-after`, before anything else is done for it
    (envoy.extensions.filters.http.local_ratelimit.v3.LocalRateLimit); none without a capacity. Every listener has the
    filter, and `capacity_bucket` has its bucket: one that stood here would be one for each of them."""
    if site.capacity_per_s is None:
        return []
    return [{"name": CAPACITY_FILTER, "typed_config": {"@type": _LIMIT, "stat_prefix": CAPACITY_STATS}}]


def capacity_bucket(site: Site) -> dict[str, Any]:
    """`typed_per_filter_config` of a RouteConfiguration: one bucket for all workers, and for all listeners that share
    the routes. A second's worth may come at once."""
    if site.capacity_per_s is None:
        return {}
    per_fill = max(1, round(site.capacity_per_s * _FILL_S))
    config = {
        "@type": _LIMIT,
        "stat_prefix": CAPACITY_STATS,
        "token_bucket": {
            "max_tokens": site.capacity_per_s,
            "tokens_per_fill": per_fill,
            "fill_interval": duration(per_fill / site.capacity_per_s),
        },
        **_ENFORCED,
        "status": {"code": "ServiceUnavailable"},
        "response_headers_to_add": [
            {"header": {"key": "retry-after", "value": "1"}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        ],
    }
    return {"typed_per_filter_config": {CAPACITY_FILTER: config}}


def uncounted(site: Site) -> dict[str, Any]:
    """`typed_per_filter_config` of a route that must be answered however full the edge is."""
    off = {"@type": "type.googleapis.com/envoy.config.route.v3.FilterConfig", "disabled": True}
    return {} if site.capacity_per_s is None else {"typed_per_filter_config": {CAPACITY_FILTER: off}}


def route_filters(app: App, route: Route) -> dict[str, Any]:
    """`typed_per_filter_config` of `route`."""
    return {name: on_route for _, name, _, on_route in _settings(app, route) if on_route is not None}


def _settings(app: App, route: Route) -> Iterator[_Setting]:
    if route.cors is not None:
        yield _per_route("cors", {"@type": f"{_FILTERS}.cors.v3.Cors"}, _cors(route.cors))
    if route.rate is not None:
        listed = {"@type": _LIMIT, "stat_prefix": "rate"}
        yield "local_ratelimit", _RATE_FILTER, {"name": _RATE_FILTER, "typed_config": listed}, None
    if route.auth is not None:
        shown = [name for name in route.auth.take if name in route.auth.send]
        if hidden := [name for name in route.auth.take if name not in shown]:
            yield _edited("forget", "envoy.filters.http.header_mutation", [{"remove": name} for name in hidden])
        yield _switched("ext_authz", _auth(app, route.auth, shown))
        if shown:
            yield _edited("exchange", "gslb.exchange", [edit for name in shown for edit in _exchanged(name)])
    if route.max_body_bytes is not None:
        config = {
            "@type": f"{_FILTERS}.body_size_limit.v3.BodySizeLimit",
            "max_request_bytes": route.max_body_bytes,
        }
        yield _switched("body_size_limit", config)
    if route.fault is not None:
        yield _per_route("fault", {"@type": f"{_FILTERS}.fault.v3.HTTPFault"}, _fault(route.fault))
    if route.compress:
        yield _switched("compressor", _compressor())


def _edited(kind: str, name: str, mutations: list[dict[str, Any]]) -> _Setting:
    """envoy.extensions.filters.http.header_mutation.v3.HeaderMutation, of a request's headers."""
    mutation = f"{_FILTERS}.header_mutation.v3.HeaderMutation"
    on_route = {"@type": f"{mutation}PerRoute", "mutations": {"request_mutations": mutations}}
    return kind, name, {"name": name, "typed_config": {"@type": mutation}}, on_route


def _exchanged(name: str) -> list[dict[str, Any]]:
    """What the service was shown, and what it said instead: the client's own goes after the question, not before."""
    header = {"key": name, "value": f"%DYNAMIC_METADATA({_EXCHANGED}:{name})%"}
    return [{"remove": name}, {"append": {"header": header, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}]


def _per_route(kind: str, listed: dict[str, Any], on_route: dict[str, Any]) -> _Setting:
    name = f"envoy.filters.http.{kind}"
    return kind, name, {"name": name, "typed_config": listed}, on_route


def _switched(kind: str, config: dict[str, Any]) -> _Setting:
    """Named after its setting, so that routes that agree share one."""
    digest = hashlib.sha256(json.dumps(config, sort_keys=True).encode()).hexdigest()[:12]
    name = f"gslb.{kind}.{digest}"
    return kind, name, {"name": name, "disabled": True, "typed_config": config}, _ON


def _cors(cors: Cors) -> dict[str, Any]:
    policy: dict[str, Any] = {
        "@type": f"{_FILTERS}.cors.v3.CorsPolicy",
        "allow_origin_string_match": [_origin(origin) for origin in cors.origins],
        "allow_credentials": cors.credentials,
        "forward_not_matching_preflights": False,
    }
    for field, values in (
        ("allow_methods", cors.methods),
        ("allow_headers", cors.headers),
        ("expose_headers", cors.expose),
    ):
        if values:
            policy[field] = ", ".join(values)
    if cors.max_age_s is not None:
        policy["max_age"] = str(cors.max_age_s)
    return policy


def _origin(origin: str) -> dict[str, Any]:
    if origin == "*":
        return {"safe_regex": {"regex": ".*"}}
    if "*" not in origin:
        return {"exact": origin}
    before, _, after = origin.partition("*")
    return {"safe_regex": {"regex": f"{re.escape(before)}[^/:]+{re.escape(after)}"}}


def limited_routes(app: App) -> dict[str, Any]:
    """`typed_per_filter_config` of the virtual host of `app`: a bucket for each of its routes with a limit, by the name
    that `limit_name` leaves in Envoy's routes. A route is several of those, which would have a bucket each."""
    limited = [(route.name, route.rate) for route in app.routes if route.rate is not None]
    if not limited:
        return {}
    named = {"descriptor_key": "route", "metadata_key": {"key": _OURS, "path": [{"key": "rate"}]}}
    config = {
        "@type": _LIMIT,
        "stat_prefix": "rate",
        "token_bucket": _BOTTOMLESS,
        "always_consume_default_token_bucket": False,
        "rate_limits": [{"actions": [{"metadata": {**named, "source": "ROUTE_ENTRY"}}]}],
        "descriptors": [
            {"entries": [{"key": "route", "value": name}], "token_bucket": _bucket(rate)} for name, rate in limited
        ],
        **_ENFORCED,
    }
    return {"typed_per_filter_config": {_RATE_FILTER: config}}


def limit_name(route: Route) -> dict[str, Any]:
    """What says in an Envoy route that the limit of `route` holds for it."""
    return {} if route.rate is None else {"metadata": {"filter_metadata": {_OURS: {"rate": route.name}}}}


def _bucket(rate: Rate) -> dict[str, Any]:
    return {"max_tokens": rate.burst, "tokens_per_fill": rate.requests, "fill_interval": duration(rate.per_s)}


def _fault(fault: Fault) -> dict[str, Any]:
    config: dict[str, Any] = {"@type": f"{_FILTERS}.fault.v3.HTTPFault"}
    if fault.delay_bp:
        config["delay"] = {"fixed_delay": duration(fault.delay_s), "percentage": _share(fault.delay_bp)}
    if fault.abort_bp:
        config["abort"] = {"http_status": fault.abort_status, "percentage": _share(fault.abort_bp)}
    return config


def _share(share_bp: int) -> dict[str, Any]:
    return {"numerator": share_bp, "denominator": "TEN_THOUSAND"}


def _auth(app: App, auth: Auth, shown: Sequence[str]) -> dict[str, Any]:
    """`shown`: headers that it sees and writes, which do not go on by themselves."""
    cluster = auth_name(app.name, auth.backend)
    taken = [name for name in auth.take if name not in shown]
    kept = _allowed("dynamic_metadata_from_headers", shown)
    return {
        "@type": f"{_FILTERS}.ext_authz.v3.ExtAuthz",
        "transport_api_version": "V3",
        "failure_mode_allow": auth.fail_open,
        "status_on_error": {"code": "ServiceUnavailable"},
        **_allowed("allowed_headers", auth.send),
        "http_service": {
            "server_uri": {"uri": f"http://{app.own_host}", "cluster": cluster, "timeout": duration(auth.timeout_s)},
            "path_prefix": auth.path.rstrip("/"),
            "authorization_response": {
                **_allowed("allowed_upstream_headers", taken),
                **kept,
                **_allowed("allowed_client_headers", _REFUSAL_HEADERS),
            },
        },
    }


def _allowed(what: str, names: Sequence[str]) -> dict[str, Any]:
    """A ListStringMatcher, which Envoy takes with something in it alone."""
    return {what: {"patterns": [{"exact": name} for name in names]}} if names else {}


def _compressor() -> dict[str, Any]:
    return {
        "@type": f"{_FILTERS}.compressor.v3.Compressor",
        "response_direction_config": {
            "common_config": {"min_content_length": _LEAST_COMPRESSED_BYTES},
        },
        "compressor_library": {"name": "gzip", "typed_config": {"@type": _GZIP}},
    }
