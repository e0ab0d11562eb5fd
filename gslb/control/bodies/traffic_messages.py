"""The bodies of SMI's traffic metrics (metrics.smi-spec.io/v1alpha1), with the names that it gives. No rule here."""

from __future__ import annotations

from typing import Literal

from gslb.control.bodies.body import Body

__all__ = ["ApiResourceList", "TrafficMetrics", "TrafficMetricsList"]


class ApiResource(Body):
    name: str
    namespaced: bool
    kind: str
    verbs: list[str]


class ApiResourceList(Body):
    kind: Literal["APIResourceList"]
    apiVersion: Literal["v1"]  # noqa: N815 - Kubernetes' name
    groupVersion: str  # noqa: N815
    resources: list[ApiResource]


class ObjectReference(Body):
    """All empty: anybody."""

    kind: str | None = None
    namespace: str | None = None
    name: str | None = None


class Edge(Body):
    """Who the traffic is from. Edges see it where clients send it."""

    direction: Literal["from"]
    side: Literal["client"]
    resource: ObjectReference


class SplitBackend(Body):
    """One side of a split. `apex` is what clients ask for, `weight` the share in percent that is intended."""

    apex: str
    name: str
    weight: float


class Metric(Body):
    """`value` is a Kubernetes quantity: `100`, or `12500u` (millionths)."""

    name: str
    unit: str | None = None
    value: str


class TrafficMetrics(Body):
    """`window` is how long before `timestamp` the metrics begin."""

    kind: Literal["TrafficMetrics"]
    apiVersion: str  # noqa: N815
    resource: ObjectReference
    edge: Edge
    backend: SplitBackend | None = None
    timestamp: str
    window: str
    metrics: list[Metric]


class TrafficMetricsList(Body):
    kind: Literal["TrafficMetricsList"]
    apiVersion: str  # noqa: N815
    resource: ObjectReference
    items: list[TrafficMetrics]
