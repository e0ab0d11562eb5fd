"""Metrics of comparers, from the states that the edge roles told."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gslb.control.protocol import RoleState

__all__ = ["compare_metrics"]

_VERDICTS = ("difference", "unmeasured", "unsettled", "noise")


def compare_metrics(reached: list[RoleState]) -> Iterator[Metric]:
    """Of every edge that compares."""
    up = GaugeMetricFamily("gslb_comparer_up", "1: the comparer of this edge answers.", labels=["role"])
    lost = CounterMetricFamily(
        "gslb_captures_dropped", "Captured answers that the comparer did not take in time.", labels=["role"]
    )
    restarts = CounterMetricFamily(
        "gslb_comparer_restarts", "How often the comparer of this edge's machine was started again.", labels=["role"]
    )
    labels = ["role", "app", "route"]
    pairs = GaugeMetricFamily("gslb_mirror_compared", "Pairs compared in the last 12 to 24 hours.", labels=labels)
    different = GaugeMetricFamily("gslb_mirror_different", "Of those, pairs that differ somehow.", labels=labels)
    fields = GaugeMetricFamily("gslb_mirror_fields", "Fields that differ, by verdict.", labels=[*labels, "verdict"])
    for state in reached:
        if state.edge is None or not state.edge.comparing:
            continue
        comparer = state.edge.comparer
        up.add_metric([state.name], comparer is not None)
        lost.add_metric([state.name], state.edge.captures_dropped)
        restarts.add_metric([state.name], state.edge.comparer_life.restarts)
        for item in comparer.comparisons if comparer is not None else ():
            values = [state.name, item.app, item.route]
            pairs.add_metric(values, item.pairs)
            different.add_metric(values, item.different)
            for verdict in _VERDICTS:
                fields.add_metric([*values, verdict], item.verdicts.get(verdict, 0))
    yield from (up, lost, restarts, pairs, different, fields)
