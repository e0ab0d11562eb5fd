"""Listeners, hardened as Envoy's edge guide says. Which there are stands in `doors` and `peers`; routes have names."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gslb.edge.render.config import SNI_HEADER, duration
from gslb.edge.render.mirroring import CODING_HEADER
from gslb.model.words import IpAddress
from gslb.snapshot.types import Site

__all__ = [
    "ROUTER", "SILENCE", "bound_addresses", "connection_manager", "early_headers", "listener", "manager", "over_tls",
]  # fmt: skip

_BUFFER_BYTES = 32_768
_HANDSHAKE_S = 10
_HEAD_TIMEOUT = duration(10)
SILENCE = {"idle_timeout": duration(300)}
"""Of a RouteAction; every one has it."""
_NOBODY = {"address_prefix": "255.255.255.255", "prefix_len": 32}
_FILTERS = "type.googleapis.com/envoy.extensions.filters"
ROUTER: dict[str, Any] = {
    "name": "envoy.filters.http.router",
    "typed_config": {"@type": f"{_FILTERS}.http.router.v3.Router", "suppress_envoy_headers": True},
}


def bound_addresses(site: Site) -> tuple[IpAddress, ...]:
    """What the site's Envoy binds, each once, in the order of the policy."""
    return tuple(dict.fromkeys(address for edge in site.edges for address in edge.bind))


def connection_manager(whole: Mapping[str, Any], routes: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    """A listener with a route specifier (`rds` or `route_config`, by the name that stands there) in its connection
    managers, where they have no routes of their own."""
    return {**whole, "filter_chains": [_specified(chain, routes) for chain in whole["filter_chains"]]}


def _specified(chain: Mapping[str, Any], routes: Callable[[str], dict[str, Any]]) -> dict[str, Any]:
    (filter_,) = chain["filters"]
    config = dict(filter_["typed_config"])
    if "rds" in config:
        config |= routes(config.pop("rds")["route_config_name"])
    return {**chain, "filters": [{**filter_, "typed_config": config}]}


def listener(
    name: str, address: IpAddress, port: int, http: dict[str, Any], tls: dict[str, Any] | None = None
) -> dict[str, Any]:
    """With the connection manager `http`, and the transport socket `tls` where it has one."""
    filters = [{"name": "envoy.filters.network.http_connection_manager", "typed_config": http}]
    return {
        "name": name,
        "address": {"socket_address": {"address": str(address), "port_value": port}},
        "per_connection_buffer_limit_bytes": _BUFFER_BYTES,
        "filter_chains": [{"filters": filters, **over_tls(tls)}],
    }


def over_tls(socket: dict[str, Any] | None) -> dict[str, Any]:
    """What a filter chain needs for its transport socket, if it has one. Handshakes that do not end are ended."""
    return {"transport_socket": socket, "transport_socket_connect_timeout": duration(_HANDSHAKE_S)} if socket else {}


def early_headers(*, mirrored: bool, sni: str | None) -> list[dict[str, Any]]:
    """What becomes of headers before a route is looked for. `mirrored`: the transfer coding is kept for routes to
    match; `sni`: `keep` puts the server name where routes compare it, `forget` takes away what clients wrote there."""
    found = []
    if mirrored:
        found.append(_early("keep-transfer-encoding", CODING_HEADER, "%REQ(TRANSFER-ENCODING)%"))
    if sni:
        found.append(_early(f"{sni}-sni", SNI_HEADER, "%REQUESTED_SERVER_NAME%" if sni == "keep" else None))
    return found


def _early(name: str, header: str, value: str | None) -> dict[str, Any]:
    """The header as `value` says, or not at all, whatever a client sent."""
    mutations: list[dict[str, Any]] = [{"remove": header}]
    if value is not None:
        made = {"header": {"key": header, "value": value}, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}
        mutations.append({"append": made})
    mutation = "type.googleapis.com/envoy.extensions.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    return {"name": name, "typed_config": {"@type": mutation, "mutations": mutations}}


def manager(stat_prefix: str) -> dict[str, Any]:
    """envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager, without routes.

    `internal_address_config` trusts nobody (an empty one would trust everybody), or private clients could set
    `x-envoy-*` and the request id. The id is left as it was drawn (`pack_trace_reason`): it is what a new sticky user
    is drawn by, and becomes the cookie. `dynamic_stats` stay on: they are the counters per side of a split.

    To Envoy a stream is idle until its head is complete: `stream_idle_timeout` limits that, and the `idle_timeout` of
    its route (SILENCE) what comes after. That is one timer a request; `request_headers_timeout` would be a second."""
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
        "stream_idle_timeout": _HEAD_TIMEOUT,
        "delayed_close_timeout": duration(1),
        "http_filters": [ROUTER],
    }
