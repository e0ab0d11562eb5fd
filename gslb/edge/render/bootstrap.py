"""How an Envoy comes to its resources: a bootstrap and discovery files, or all of it in one static file.

The static form is for `envoy --mode validate`, which does not look at discovery files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from gslb.edge.render.config import RUNTIME_MARK, RUNTIME_NAME, EdgeConfig, Resource
from gslb.edge.render.listeners import connection_manager
from gslb.model.checks.re2 import PROGRAM_LIMIT
from gslb.snapshot.types import SiteName

__all__ = ["Paths", "bootstrap", "discovery", "runtime_layer", "secrets", "static_bootstrap"]

_TYPES = "type.googleapis.com/envoy.config"
_RUNTIME = "type.googleapis.com/envoy.service.runtime.v3.Runtime"
_MONITORS = "type.googleapis.com/envoy.extensions.resource_monitors"
_CREDENTIALS = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_MAX_HEAP_BYTES = 2 * 1024**3
_MAX_CONNECTIONS = 50_000
_FEATURES = {
    "envoy.reloadable_features.strict_chunk_parsing": True,
    "re2.max_program_size.error_level": PROGRAM_LIMIT,
}
"""Strict chunks are off by default in Envoy 1.40, where a chunk may be longer than it says: what a proxy behind might
read otherwise. Patterns may be as large as the policy's check lets them."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Files that Envoy reads, absolute. Each discovery file has a folder of its own: a watched folder re-reads every
    subscription that shares it."""

    admin: str
    listeners: str
    clusters: str
    routes: str
    runtime: str

    def routes_of(self, name: str) -> str:
        """The file of the routes `name`, which are not those of the main ports."""
        folder, _, file = self.routes.rpartition("/")
        return f"{folder}-{name}/{file}"


def bootstrap(paths: Paths, site: SiteName) -> dict[str, Any]:
    """envoy.config.bootstrap.v3.Bootstrap over filesystem discovery. The admin interface is a unix socket that only
    this user may open, never the network. Statistics of a cluster are made when it is first used: most clusters of a
    large policy are idle, and whoever asks for statistics has all of them looked through."""
    return {
        **_common(paths.admin, site, [_runtime_source(paths.runtime)]),
        "dynamic_resources": {
            "lds_config": _watched(paths.listeners),
            "cds_config": _watched(paths.clusters),
        },
    }


def static_bootstrap(config: EdgeConfig, admin: str) -> dict[str, Any]:
    """The same resources in one file."""
    found = {config.routes["name"]: config.routes, **config.more_routes}
    listeners = [connection_manager(item, lambda name: {"route_config": found[name]}) for item in config.listeners]
    return {
        **_common(admin, config.site),
        "static_resources": {"listeners": listeners, "clusters": list(config.clusters)},
    }


def discovery(config: EdgeConfig, paths: Paths) -> Mapping[str, tuple[str, Sequence[Resource]]]:
    """Resources by the file that holds them, with their type."""
    files = {config.routes["name"]: paths.routes, **{name: paths.routes_of(name) for name in config.more_routes}}

    def rds(name: str) -> dict[str, Any]:
        return {"rds": {"route_config_name": name, "config_source": _watched(files[name])}}

    listeners = [connection_manager(item, rds) for item in config.listeners]
    routes = f"{_TYPES}.route.v3.RouteConfiguration"
    return {
        paths.listeners: (f"{_TYPES}.listener.v3.Listener", listeners),
        paths.clusters: (f"{_TYPES}.cluster.v3.Cluster", config.clusters),
        paths.routes: (routes, (config.routes,)),
        paths.runtime: (_RUNTIME, (runtime_layer(config.runtime),)),
        **{files[name]: (routes, (item,)) for name, item in config.more_routes.items()},
    }


def runtime_layer(values: Mapping[str, Any]) -> dict[str, Any]:
    """envoy.service.runtime.v3.Runtime, with its type. Envoy tells its runtime, and with it the mark of all that is
    there, without looking through its statistics."""
    text = json.dumps(values, sort_keys=True)
    layer = {**values, RUNTIME_MARK: hashlib.sha256(text.encode()).hexdigest()[:16]}
    return {"@type": _RUNTIME, "name": RUNTIME_NAME, "layer": layer}


def secrets(identity: str, authority: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """The secrets `identity` (cert.pem and key.pem in that folder, which lead through a link there) and `peers`
    (the file `authority`), as envoy.extensions.transport_sockets.tls.v3.Secret. Paths are absolute."""
    own = {
        "certificate_chain": {"filename": f"{identity}/cert.pem"},
        "private_key": {"filename": f"{identity}/key.pem"},
        "watched_directory": {"path": identity},
    }
    theirs = {
        "trusted_ca": {"filename": authority},
        "watched_directory": {"path": authority.rpartition("/")[0]},
    }
    return (
        {"@type": _CREDENTIALS, "name": "identity", "tls_certificate": own},
        {"@type": _CREDENTIALS, "name": "peers", "validation_context": theirs},
    )


def _watched(path: str) -> dict[str, Any]:
    """Only a rename into the folder is seen, so writers must replace files whole."""
    folder = path.rpartition("/")[0]
    return {"resource_api_version": "V3", "path_config_source": {"path": path, "watched_directory": {"path": folder}}}


def _runtime_source(path: str) -> dict[str, Any]:
    """Envoy waits for it before anything that routes, and does not start where the file is missing."""
    return {"name": RUNTIME_NAME, "rtds_layer": {"name": RUNTIME_NAME, "rtds_config": _watched(path)}}


def _common(admin: str, site: SiteName, layers: Sequence[Mapping[str, Any]] = ()) -> dict[str, Any]:
    return {
        "node": {"id": site, "cluster": site},
        "admin": {"address": {"pipe": {"path": admin, "mode": 0o600}}},
        "layered_runtime": {
            "layers": [{"name": "gslb", "static_layer": _FEATURES}, *layers, {"name": "admin", "admin_layer": {}}]
        },
        "stats_config": {"use_all_default_tags": False},
        "deferred_stat_options": {"enable_deferred_creation_stats": True},
        "overload_manager": _overload(),
    }


def _overload() -> dict[str, Any]:
    """Short of memory, the edge first gives back what it can, then refuses requests rather than die."""
    heap = "envoy.resource_monitors.fixed_heap"
    connections = "envoy.resource_monitors.global_downstream_max_connections"
    return {
        "refresh_interval": "0.250s",
        "resource_monitors": [
            {
                "name": heap,
                "typed_config": {
                    "@type": f"{_MONITORS}.fixed_heap.v3.FixedHeapConfig",
                    "max_heap_size_bytes": _MAX_HEAP_BYTES,
                },
            },
            {
                "name": connections,
                "typed_config": {
                    "@type": f"{_MONITORS}.downstream_connections.v3.DownstreamConnectionsConfig",
                    "max_active_downstream_connections": _MAX_CONNECTIONS,
                },
            },
        ],
        "actions": [
            {"name": f"envoy.overload_actions.{action}", "triggers": [{"name": heap, "threshold": {"value": value}}]}
            for action, value in (("shrink_heap", 0.90), ("stop_accepting_requests", 0.95))
        ],
    }
