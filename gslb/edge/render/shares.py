"""Shares of splits: the policy's stand in the routes, what an override makes of them in Envoy's runtime.

A shift then replaces one small file, whatever the size of the rest. The keys of a route hold the policy's shares: a
route whose shares are written anew asks for other keys, so that its old and its new overrides stand side by side while
the routes are replaced, and each version of a route finds its own. Envoy adds up the weights that it finds, at once for
all sides of a split, and they keep their order: the draw is the one of `weights`.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from gslb.edge.render.config import SPLIT_RUNTIME, alias_name
from gslb.edge.render.weights import to_weights
from gslb.snapshot.routing import BackendName, Route, Share
from gslb.snapshot.types import App, RouteId

__all__ = ["overriding_weights", "runtime_parts", "written_weights"]


def written_weights(route: Route) -> Iterator[tuple[BackendName, int]]:
    """Every side of the split with the weight that the policy gives it."""
    return _weights(route.written)


def runtime_parts(route: Route) -> dict[str, Any]:
    """Of WeightedCluster, what lets the runtime override its weights. A single side has all, whatever its weight."""
    return {"runtime_key_prefix": _prefix(route)} if len(route.split) > 1 else {}


def overriding_weights(app: App) -> Iterator[tuple[str, int]]:
    """The runtime of the routes of `app` whose shares are not the policy's: every side, by key."""
    for route in app.routes:
        if route.split != route.written:
            route_id = RouteId(app.name, route.name)
            for backend, weight in _weights(route.split):
                yield f"{_prefix(route)}.{alias_name(route_id, backend)}", weight


def _weights(shares: tuple[Share, ...]) -> Iterator[tuple[BackendName, int]]:
    weights = to_weights([share.share_bp for share in shares])
    return ((share.backend, weight) for share, weight in zip(shares, weights, strict=True))


def _prefix(route: Route) -> str:
    """Envoy looks for `PREFIX.CLUSTER`."""
    return f"{SPLIT_RUNTIME}.{','.join(f'{share.backend}={share.share_bp}' for share in route.written)}"
