"""The hop to another edge: how a pool reaches the edge beside a backend, and what that edge does with what arrives.

Decided once: the edge that a client reached says in the TLS server name which backend shall answer, and the peer hands
the request to its own endpoints of that backend. It has no splits, no mirrors, no other sites, so that nothing goes in
a circle. The name belongs to the pool; a header could not, because Envoy runs the filters of the aggregate that a route
names, never those of the pool that it picks. The peer turns the name into `x-gslb-hop` before it looks for a route,
whatever stood there.

Sessions are never resumed: Envoy then takes a certificate that it has not looked at again for none. Both sides show one
of this installation; who may come is an edge of the policy, by its SPIFFE id, of a machine that was not removed.
"""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from gslb.edge.render.config import (
    PEER_HOST,
    PROBE_HEADER,
    Peering,
    hop_stats_prefix,
    leaf_name,
)
from gslb.edge.render.listeners import SILENCE, listener, manager
from gslb.edge.render.matching import header_equals
from gslb.errors import RefusedError
from gslb.model.words import IpAddress
from gslb.snapshot.types import App, BackendName, Endpoint, Site, SiteName, Snapshot

__all__ = [
    "HOP_HEADER",
    "hops",
    "needs_peers",
    "peer_addresses",
    "peer_endpoints",
    "peer_listeners",
    "peer_socket",
    "removed",
]

HOP_HEADER = "x-gslb-hop"
"""Which backend shall answer. Made by the peer itself; taken from what clients send, and never sent on."""

REMOVED = "removed"

_TYPES = "type.googleapis.com/envoy.extensions"
_TLS = f"{_TYPES}.transport_sockets.tls.v3"
_RBAC = f"{_TYPES}.filters.http.rbac.v3.RBAC"
_EXTENSION = "type.googleapis.com/envoy.config.core.v3.TypedExtensionConfig"
_MAX_STREAMS = 1000
_STREAM_WINDOW_BYTES = 1024**2
_CONNECTION_WINDOW_BYTES = 16 * 1024**2
_RETRY_UNSENT = "connect-failure,refused-stream,reset-before-request"


def needs_peers(snapshot: Snapshot) -> bool:
    """Whether any backend is reached through edges."""
    return any(backend.via_edge for app in snapshot.apps.values() for backend in app.backends.values())


def hops(snapshot: Snapshot, site: SiteName) -> Iterator[tuple[App, BackendName]]:
    """What the edge of `site` answers for others."""
    for app in snapshot.apps.values():
        for backend in app.backends.values():
            if backend.via_edge and site in backend.endpoints:
                yield app, backend.name


# The side that sends --------------------------------------------------------------------------------------------------


def peer_endpoints(site: Site) -> tuple[Endpoint, ...]:
    """Where the other edges reach those of `site`."""
    return tuple(edge.peer for edge in site.edges if edge.peer)


def peer_socket(app: App, backend: BackendName, sites: Sequence[SiteName], peering: Peering | None) -> dict[str, Any]:
    """The transport socket of a pool whose endpoints are the peer addresses of `sites`
    (envoy.extensions.transport_sockets.tls.v3.UpstreamTlsContext)."""
    context = _common(_require(peering), sites)
    return {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TLS}.UpstreamTlsContext",
            "sni": _server_name(app, backend),
            "max_session_keys": 0,
            "common_tls_context": context,
        },
    }


def _server_name(app: App, backend: BackendName) -> str:
    return f"{backend}.{app.name}.gslb-hop"


def _require(peering: Peering | None) -> Peering:
    if peering is None:
        raise RefusedError(
            "no-identity",
            "a backend says via: edge, and this edge has no certificate to show to other edges",
            "on its machine: gslb identity init --policy DIR (of several machines, where the first control runs; the"
            " others: gslb node join), then start gslb run again; or write via: direct until it has one",
        )
    return peering


def _common(peering: Peering, sites: Sequence[SiteName]) -> dict[str, Any]:
    """TLS 1.3 (a client's default ends at 1.2), our certificate, and theirs from the same installation with the id of
    an edge of `sites`. Both are files that Envoy reads again when they are replaced."""
    return {
        "tls_params": {"tls_minimum_protocol_version": "TLSv1_3", "tls_maximum_protocol_version": "TLSv1_3"},
        "alpn_protocols": ["h2"],
        "tls_certificate_sds_secret_configs": [_secret("identity", peering.identity_file)],
        "combined_validation_context": {
            "default_validation_context": {
                "match_typed_subject_alt_names": [{"san_type": "URI", "matcher": _spiffe(peering, sites)}]
            },
            "validation_context_sds_secret_config": _secret("peers", peering.authority_file),
        },
    }


def _secret(name: str, file: str) -> dict[str, Any]:
    folder = file.rpartition("/")[0]
    source = {"path": file, "watched_directory": {"path": folder}}
    return {"name": name, "sds_config": {"resource_api_version": "V3", "path_config_source": source}}


def _spiffe(peering: Peering, sites: Sequence[SiteName]) -> dict[str, Any]:
    """Of an edge of these sites, on whichever machine. RE2, the whole id."""
    names = "|".join(map(re.escape, sites))
    return {"safe_regex": {"regex": f"spiffe://{re.escape(peering.trust_domain)}/[^/]+/edge/(?:{names})"}}


# The side that answers ------------------------------------------------------------------------------------------------


def peer_listeners(snapshot: Snapshot, site: SiteName, peering: Peering | None) -> tuple[dict[str, Any], ...]:
    """Where other edges come; none where this site answers for nobody else."""
    mine = list(hops(snapshot, site))
    others = [name for name in snapshot.sites if name != site]
    if not mine or not others:
        return ()
    tls = {
        "name": "envoy.transport_sockets.tls",
        "typed_config": {
            "@type": f"{_TLS}.DownstreamTlsContext",
            "require_client_certificate": True,
            "disable_stateless_session_resumption": True,
            "disable_stateful_session_resumption": True,
            "common_tls_context": _common(_require(peering), others),
        },
    }
    http = _manager(mine, site, _require(peering), others)
    return tuple(
        {
            **listener(f"peer-{address}-{port}", address, port, http, tls),
            "listener_filters": [
                {
                    "name": "envoy.filters.listener.tls_inspector",
                    "typed_config": {"@type": f"{_TYPES}.filters.listener.tls_inspector.v3.TlsInspector"},
                }
            ],
        }
        for address, port in peer_addresses(snapshot.sites[site])
    )


def peer_addresses(site: Site) -> tuple[tuple[IpAddress, int], ...]:
    """What is bound for peers: the peer address itself; where that is a name, its port on every address that the edge
    binds."""
    found: list[tuple[IpAddress, int]] = []
    for edge in site.edges:
        if edge.peer is None:
            continue
        try:
            found.append((ipaddress.ip_address(edge.peer.host), edge.peer.port))
        except ValueError:
            found += [(address, edge.peer.port) for address in edge.bind]
    return tuple(dict.fromkeys(found))


def _manager(
    mine: Sequence[tuple[App, BackendName]], site: SiteName, peering: Peering, others: Sequence[SiteName]
) -> dict[str, Any]:
    """Client, request id and path are as the first edge made them."""
    config = manager("peer")
    mutation = f"{_TYPES}.http.early_header_mutation.header_mutation.v3.HeaderMutation"
    named = {"header": {"key": HOP_HEADER, "value": "%REQUESTED_SERVER_NAME%"}}
    return {
        **config,
        "use_remote_address": False,
        "skip_xff_append": True,
        "preserve_external_request_id": True,
        "early_header_mutation_extensions": [
            {
                "name": "hop",
                "typed_config": {
                    "@type": mutation,
                    "mutations": [{"append": {**named, "append_action": "OVERWRITE_IF_EXISTS_OR_ADD"}}],
                },
            }
        ],
        "http2_protocol_options": {
            "allow_connect": True,
            "max_concurrent_streams": _MAX_STREAMS,
            "initial_stream_window_size": _STREAM_WINDOW_BYTES,
            "initial_connection_window_size": _CONNECTION_WINDOW_BYTES,
        },
        "http_filters": [_only_edges(peering, others), _not_removed(peering), *config["http_filters"]],
        "route_config": {
            "name": "peer",
            "validate_clusters": False,
            "request_headers_to_remove": [HOP_HEADER, PROBE_HEADER],
            "virtual_hosts": [
                {
                    "name": PEER_HOST,
                    "domains": ["*"],
                    "routes": [
                        *(route for app, backend in mine for route in _hop(app, backend, site)),
                        _NOTHING_HERE,
                    ],
                }
            ],
        },
    }


def _only_edges(peering: Peering, sites: Sequence[SiteName]) -> dict[str, Any]:
    """envoy.extensions.filters.http.rbac.v3.RBAC, beside the check of TLS: it counts, and holds for connections that
    outlive a change of the policy."""
    return {"name": "envoy.filters.http.rbac", "typed_config": _rbac("ALLOW", "edges", _spiffe(peering, sites))}


def _not_removed(peering: Peering) -> dict[str, Any]:
    """envoy.config.core.v3.ExtensionConfigSource: who was removed is known to no snapshot, and must not come in by a
    connection that is open. Each request goes by what the file says at that moment; no listener is made anew."""
    folder = peering.removed_file.rpartition("/")[0]
    source = {"path": peering.removed_file, "watched_directory": {"path": folder}}
    return {
        "name": REMOVED,
        "config_discovery": {
            "config_source": {"resource_api_version": "V3", "path_config_source": source},
            "type_urls": [_RBAC],
        },
    }


def removed(trust_domain: str, machines: Iterable[str]) -> dict[str, Any]:
    """The resource that `Peering.removed_file` holds (envoy.config.core.v3.TypedExtensionConfig): no process of these
    machines comes in, however good its certificate is."""
    names = "|".join(map(re.escape, sorted(machines)))
    ids = {"safe_regex": {"regex": f"spiffe://{re.escape(trust_domain)}/(?:{names})/.*"}}
    rbac = _rbac("DENY", "removed", ids) if names else {"@type": _RBAC}
    return {"@type": _EXTENSION, "name": REMOVED, "typed_config": rbac}


def _rbac(action: str, name: str, ids: Mapping[str, Any]) -> dict[str, Any]:
    authenticated = {
        "@type": f"{_TYPES}.rbac.principals.mtls_authenticated.v3.Config",
        "san_matcher": {"san_type": "URI", "matcher": ids},
    }
    principal = {"custom": {"name": "mtls_authenticated", "typed_config": authenticated}}
    policies = {name: {"permissions": [{"any": True}], "principals": [principal]}}
    return {"@type": _RBAC, "rules": {"action": action, "policies": policies}}


def _hop(app: App, backend: BackendName, site: SiteName) -> Iterator[dict[str, Any]]:
    """To the endpoints here and nowhere else. How long it may take is the first edge's to say, which hangs up. Checks
    are answered alike and not counted."""
    name = header_equals(HOP_HEADER, _server_name(app, backend))
    action = {
        "cluster": leaf_name(app.name, backend, site),
        **SILENCE,
        "timeout": "0s",
        "upgrade_configs": [{"upgrade_type": "websocket"}],
        "retry_policy": {"retry_on": _RETRY_UNSENT, "num_retries": 1},
    }
    hop = {"name": f"{app.name}/{backend}~hop", "route": action}
    check = {"name": PROBE_HEADER, "present_match": True}
    yield {**hop, "match": {"prefix": "/", "headers": [name, check]}}
    yield {
        **hop,
        "match": {"prefix": "/", "headers": [name]},
        "stat_prefix": hop_stats_prefix(app.name, backend),
    }


_NOTHING_HERE = {"name": "peer~unknown", "match": {"prefix": "/"}, "direct_response": {"status": 503}}
"""A peer that has a newer policy: a safe request is tried at another site."""
