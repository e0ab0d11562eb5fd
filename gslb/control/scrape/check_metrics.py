"""Metrics of named checks and of the probers themselves, from the states that the roles told."""

from __future__ import annotations

from collections.abc import Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from gslb.control.checks import prober_trouble
from gslb.control.protocol import RoleState

__all__ = ["check_metrics"]


def check_metrics(reached: list[RoleState]) -> Iterator[Metric]:
    """Of every role that looks at anything."""
    yield from _checks(reached)
    yield from _probers(reached)


def _checks(reached: list[RoleState]) -> Iterator[Metric]:
    labels = ["role", "check", "kind"]
    up = GaugeMetricFamily("gslb_check_up", "1: up, 0: down; missing while unknown.", labels=labels)
    warning = GaugeMetricFamily("gslb_check_warning", "1: healthy, and somebody should look at it.", labels=labels)
    cannot = GaugeMetricFamily("gslb_check_cannot", "1: this machine cannot look.", labels=labels)
    changed = GaugeMetricFamily("gslb_check_changed_timestamp_seconds", "When it last changed.", labels=labels)
    looked = GaugeMetricFamily("gslb_check_last_run_timestamp_seconds", "When it was last looked at.", labels=labels)
    took = GaugeMetricFamily("gslb_check_duration_seconds", "What the last look took.", labels=labels)
    for state in reached:
        for check in state.checks:
            values = [state.name, check.name, check.kind]
            if check.state != "unknown":
                up.add_metric(values, check.state == "up")
            warning.add_metric(values, check.warning)
            cannot.add_metric(values, bool(check.cannot))
            for family, value in (
                (changed, check.since_wall_s), (looked, check.looked_wall_s), (took, check.duration_s)
            ):  # fmt: skip
                if value is not None:
                    family.add_metric(values, value)
    yield from (up, warning, cannot, changed, looked, took)


def _probers(reached: list[RoleState]) -> Iterator[Metric]:
    labels = ["role"]
    good = GaugeMetricFamily("gslb_prober_up", "1: it runs, and keeps its schedule.", labels=labels)
    age = GaugeMetricFamily("gslb_prober_age_seconds", "Time since it last turned.", labels=labels)
    behind = GaugeMetricFamily("gslb_prober_behind_seconds", "How long what waits longest has been due.", labels=labels)
    targets = GaugeMetricFamily("gslb_prober_targets", "What it looks at.", labels=labels)
    flying = GaugeMetricFamily("gslb_prober_in_flight", "Looks that have not ended.", labels=labels)
    looks = CounterMetricFamily("gslb_probes", "Looks by what came of them.", labels=[*labels, "result"])
    again = CounterMetricFamily("gslb_probe_second_tries", "Looks begun once more, nothing heard yet.", labels=labels)
    for state in reached:
        if (probing := state.probing) is None:
            continue
        good.add_metric([state.name], not prober_trouble(state))
        age.add_metric([state.name], probing.age_s)
        behind.add_metric([state.name], probing.behind_s)
        targets.add_metric([state.name], probing.targets)
        flying.add_metric([state.name], probing.in_flight)
        for result, number in sorted(probing.counts.items()):
            looks.add_metric([state.name, result], number)
        again.add_metric([state.name], probing.second_tries)
    yield from (good, age, behind, targets, flying, looks, again)
