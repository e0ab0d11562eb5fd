"""Listeners: one per address, hardened as Envoy's edge guide says. No routes: those are shared, by name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gslb.edge.render.config import STAT_PREFIX, Resource, duration
from gslb.edge.render.mirroring import CODING_HEADER
from gslb.model.words import IpAddress
from gslb.snapshot.types import Site

__all__ = ["bound_addresses", "connection_manager", "listener", "manager", "site_listeners"]

_BUFFER_BYTES = 32_768
_CLOSING = duration(30)
"""How long a connection may last that comes to an edge whose deadline is over."""
_NOBODY = {"address_prefix": "255.255.255.255", "prefix_len": 32}
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
_ROUTER = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True},
}


def bound_addresses(site: Site) -> tuple[IpAddress, ...]:
    """What the site's Envoy binds, each once, in the order of the policy."""
    return tuple(dict.fromkeys(address for edge in site.edges for address in edge.bind))


def site_listeners(
    site: Site, *, mirrored: bool, filters: Sequence[Resource], closing: bool
) -> tuple[dict[str, Any], ...]:
    """`mirrored`: some route has a mirror, so what tells a body of unknown length is kept for the routes to match.
    `filters` are those of the routes, which come before the router. `closing`: nobody stays long. Envoy closes whatever
    came in under the listener as it was before, websockets and endless answers too, once its drain time is over."""
    extra: dict[str, Any] = {"early_header_mutation_extensions": [_keep_transfer_encoding()]} if mirrored else {}
    extra |= {"http_filters": [*filters, _ROUTER]} if filters else {}
    port = site.http_port
    config = {**manager(STAT_PREFIX), **extra}
    if closing:
        options = config["common_http_protocol_options"]
        config["common_http_protocol_options"] = {**options, "max_connection_duration": _CLOSING}
    return tuple(listener(f"http-{address}-{port}", address, port, config) for address in bound_addresses(site))


def connection_manager(whole: Mapping[str, Any], routes: dict[str, Any]) -> dict[str, Any]:
    """A listener with a route specifier (`rds` or `route_config`) in its connection manager, where it has none."""
    (chain,) = whole["filter_chains"]
    (filter_,) = chain["filters"]
    config = filter_["typed_config"]
    config = config if "route_config" in config else {**config, **routes}
    return {**whole, "filter_chains": [{**chain, "filters": [{**filter_, "typed_config": config}]}]}


def listener(
    name: str, address: IpAddress, port: int, http: dict[str, Any], tls: dict[str, Any] | None = None
) -> dict[str, Any]:
    """With the connection manager `http`, and the transport socket `tls` where it has one."""
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]
    return {
        "name": name,
        "address": {"socket_address": {"address": str(address), "port_value": port}},
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [{"filters": filters} | ({"transport_socket": tls} if tls else {})],
    }


def _keep_transfer_encoding() -> dict[str, Any]:
    copy = {
        "header": {"key": CODING_HEADER, "value": "%REQ(TRANSFER-ENCODING)%"},
        "append_action": "OVERWRITE_IF_EXISTS_OR_ADD",
    }
    mutation = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return {
        "name": "keep-transfer-encoding",
        "typed_config": {"@type": mutation, "mutations": [{"remove": CODING_HEADER}, {"append": copy}]},
    }


def manager(stat_prefix: str) -> dict[str, Any]:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, without routes.

    `internal_address_config` trusts nobody (an empty one would trust everybody), or private clients could set
    `x-envoy-*` and the request id. The id is left as it was drawn (`pack_trace_reason`): it is what a new sticky user
    is drawn by, and becomes the cookie. `dynamic_stats` stay on: they are the counters per side of a split."""
    return {
        "@type": f"{_FILTERS}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": stat_prefix,
        "codec_type": "AUTO",
        "use_remote_address": True,
        "internal_address_config": {"cidr_ranges": [_NOBODY]},
        "request_id_extension": {
            "typed_config": {
                "@type": "type.googleapis.com/envoy.extensions.request_id.uuid.v3.UuidRequestIdConfig",
                "pack_trace_reason": False,
                "use_request_id_for_trace_sampling": False,
            }
        },
        "normalize_path": True,
        "merge_slashes": True,
        "path_with_escaped_slashes_action": "REJECT_REQUEST",
        "strip_trailing_host_dot": True,
        "server_header_transformation": "PASS_THROUGH",
        "common_http_protocol_options": {
            "idle_timeout": duration(60),
            "headers_with_underscores_action": "REJECT_REQUEST",
        },
        "http2_protocol_options": {
            "max_concurrent_streams": 100,
            "initial_stream_window_size": 65_536,
            "initial_connection_window_size": 1_048_576,
        },
        "request_headers_timeout": duration(10),
        "stream_idle_timeout": duration(300),
        "delayed_close_timeout": duration(1),
        "http_filters": [_ROUTER],
    }
