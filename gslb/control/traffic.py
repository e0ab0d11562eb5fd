"""What edges counted of an app lately, as SMI's TrafficMetrics: an app is a namespace, a route a traffic split in it, a
backend a service. Pure.

Source: Service Mesh Interface, Traffic Metrics v1alpha1. Latencies are what a backend took, seen from the edge.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from gslb.control.protocol import Outcomes
from gslb.errors import RefusedError
from gslb.model.words import iso
from gslb.snapshot.types import App, AppName, Snapshot

__all__ = ["API_VERSION", "resources", "services", "splits"]

API_VERSION = "metrics.smi-spec.io/v1alpha1"
_QUANTILES = (("p99_response_latency", 0.99), ("p90_response_latency", 0.9), ("p50_response_latency", 0.5))
_FROM_CLIENTS = {"direction": "from", "side": "client", "resource": {}}


@dataclass
class _Sum:
    answered: int = 0
    failed: int = 0
    bins: Counter[tuple[float, float]] = field(default_factory=Counter)


def resources() -> dict[str, Any]:
    """As traffic_messages.ApiResourceList."""
    kinds = [
        {"name": name, "namespaced": True, "kind": "TrafficMetrics", "verbs": ["get", "list"]}
        for name in ("services", "trafficsplits")
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": API_VERSION, "resources": kinds}


def splits(
    snapshot: Snapshot, namespace: str, name: str | None, seen: Sequence[Outcomes], wall_s: float
) -> dict[str, Any]:
    """As traffic_messages.TrafficMetricsList: one item for each side of each split. Raises RefusedError."""
    app = _app(snapshot, namespace)
    routes = [route for route in app.routes if route.split and name in (None, route.name)]
    if name is not None and not routes:
        known = ", ".join(route.name for route in app.routes if route.split)
        raise RefusedError("unknown-route", f"{namespace} has no route {name} with a split", f"it has: {known}")
    window_s = _window_s(seen)
    items = [
        _item(
            {"kind": "TrafficSplit", "namespace": namespace, "name": route.name},
            _sum(side for told in seen for side in told.sides if (side.route, side.backend) == key),
            window_s,
            wall_s,
        )
        | {"backend": {"apex": app.hosts[0], "name": share.backend, "weight": share.share_bp / 100}}
        for route in routes
        for share in route.split
        for key in [(route.name, share.backend)]
    ]
    return _list("TrafficSplit", namespace, name, items)


def services(
    snapshot: Snapshot, namespace: str, name: str | None, seen: Sequence[Outcomes], wall_s: float
) -> dict[str, Any]:
    """As traffic_messages.TrafficMetricsList: one item for each backend, over all routes. Raises RefusedError."""
    app = _app(snapshot, namespace)
    if name is not None and name not in app.backends:
        raise RefusedError(
            "unknown-backend", f"{namespace} has no backend {name}", f"it has: {', '.join(app.backends)}"
        )
    window_s = _window_s(seen)
    items = [
        _item(
            {"kind": "Service", "namespace": namespace, "name": backend},
            _sum(side for told in seen for side in told.sides if side.backend == backend),
            window_s,
            wall_s,
        )
        for backend in app.backends
        if name in (None, backend)
    ]
    return _list("Service", namespace, name, items)


def _app(snapshot: Snapshot, namespace: str) -> App:
    app = snapshot.apps.get(AppName(namespace))
    if app is None:
        raise RefusedError("unknown-app", f"there is no app {namespace}", f"there are: {', '.join(snapshot.apps)}")
    return app


def _window_s(seen: Sequence[Outcomes]) -> float:
    return max((told.window_s for told in seen), default=0.0)


def _sum(sides: Iterable[Any]) -> _Sum:
    total = _Sum()
    for side in sides:
        total.answered += side.answered
        total.failed += side.failed
        total.bins.update({(lower, width): count for lower, width, count in side.bins})
    return total


def _item(resource: dict[str, str], total: _Sum, window_s: float, wall_s: float) -> dict[str, Any]:
    latencies = [
        {"name": name, "unit": "seconds", "value": f"{round(ms * 1000)}u"}
        for name, quantile in _QUANTILES
        if (ms := quantile_ms(total.bins, quantile)) is not None
    ]
    counts = [
        {"name": "success_count", "value": str(total.answered - total.failed)},
        {"name": "failure_count", "value": str(total.failed)},
    ]
    return {
        "kind": "TrafficMetrics",
        "apiVersion": API_VERSION,
        "resource": resource,
        "edge": _FROM_CLIENTS,
        "timestamp": iso(wall_s),
        "window": f"{window_s:.0f}s",
        "metrics": [*latencies, *counts],
    }


def _list(kind: str, namespace: str, name: str | None, items: list[dict[str, Any]]) -> dict[str, Any]:
    of = {"kind": kind, "namespace": namespace} | ({"name": name} if name else {})
    return {"kind": "TrafficMetricsList", "apiVersion": API_VERSION, "resource": of, "items": items}


def quantile_ms(bins: Counter[tuple[float, float]], quantile: float) -> float | None:
    """The time that this part of the requests (0 to 1) took at most, within a bin as if they lay evenly in it; None
    where there were none."""
    wanted = quantile * bins.total()
    passed = 0
    for (lower, width), count in sorted(bins.items()):
        if passed + count >= wanted and count:
            return lower + width * (wanted - passed) / count
        passed += count
    return None
