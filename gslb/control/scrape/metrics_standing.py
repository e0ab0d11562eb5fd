"""The metrics of what is believed of sites and why: verdicts, places, forced states, shares, alarms. A part of
`metrics`, which says when they are asked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from prometheus_client.core import GaugeMetricFamily, Metric

from gslb.control.alarms import Alarm
from gslb.control.protocol import RoleState
from gslb.control.status import ramps_of
from gslb.snapshot.types import Snapshot

__all__ = ["alarm_metrics", "forced_metrics", "verdict_metrics"]


def verdict_metrics(reached: list[RoleState]) -> Iterator[Metric]:
    """What each dns role believes, and the places that it hears."""
    labels = ["role", "app", "site", "address"]
    up = GaugeMetricFamily("gslb_verdict_up", "1: up, 0: down or held; missing while unknown.", labels=labels)
    held = GaugeMetricFamily("gslb_verdict_held", "1: it looks dead and is answered all the same.", labels=labels)
    changed = GaugeMetricFamily("gslb_verdict_changed_timestamp_seconds", "When it last changed.", labels=labels)
    heard = GaugeMetricFamily("gslb_place_heard", "1: what this place sees counts here.", labels=["role", "place"])
    share = GaugeMetricFamily(
        "gslb_site_share_ratio", "Of what it would have, while a site comes back slowly.", labels=["app", "site"]
    )
    for state in reached:
        for verdict in state.verdicts:
            values = [state.name, verdict.app, verdict.site, verdict.address]
            if verdict.state != "unknown":
                up.add_metric(values, verdict.state == "up")
            held.add_metric(values, verdict.state == "held")
            changed.add_metric(values, verdict.since_wall_s)
        for place, is_heard in sorted(state.places.items()):
            heard.add_metric([state.name, place], is_heard)
    for (app, site), ratio in sorted(ramps_of(reached).items()):
        share.add_metric([app, site], ratio)
    yield from (up, held, changed, heard, share)


def forced_metrics(snapshot: Snapshot) -> Iterator[Metric]:
    """What people want to be believed, beside what is."""
    forced = GaugeMetricFamily(
        "gslb_site_forced", "1: forced up, 0: forced down; missing where what is seen counts.", labels=["app", "site"]
    )
    for app in snapshot.apps.values():
        for item in app.forced:
            forced.add_metric([app.name, item.site], item.state == "up")
    yield forced


def alarm_metrics(found: Iterable[Alarm]) -> Iterator[Metric]:
    """1 for each alarm that stands."""
    labels = ["rule", "severity", "subject"]
    standing = GaugeMetricFamily("gslb_alarm", "1: an operator must know this now.", labels=labels)
    for alarm in found:
        standing.add_metric([alarm.rule, alarm.severity, alarm.subject], 1)
    yield standing
