"""Prometheus metrics, made at each scrape from the states that the roles told. Nothing is counted here.

A role that cannot be reached keeps `gslb_role_up` 0 and loses what it alone knew: a stale number looks like a good one.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator, Mapping

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, InfoMetricFamily, Metric
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from prometheus_client.registry import Collector

from gslb import __version__, clock
from gslb.control.alarms import alarms
from gslb.control.dnskeys.keyring import signed_zones
from gslb.control.followed import Followed
from gslb.control.installation.leader import Lead
from gslb.control.protocol import RoleState
from gslb.control.publishing import Publisher
from gslb.control.scrape.check_metrics import check_metrics
from gslb.control.scrape.compare_metrics import compare_metrics
from gslb.control.scrape.metrics_standing import alarm_metrics, forced_metrics, verdict_metrics
from gslb.control.status import drained_how, is_in_sync, loads_of, reachable, role_state
from gslb.control.tail import tail_of
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import Snapshot

__all__ = ["CONTENT_TYPE_LATEST", "exposition"]


def exposition(publisher: Publisher) -> bytes:
    """What a scrape gets, in the text format that CONTENT_TYPE_LATEST names."""
    registry = CollectorRegistry()
    registry.register(_StateCollector(publisher))
    return generate_latest(registry)


class _StateCollector(Collector):
    def __init__(self, publisher: Publisher) -> None:
        current = publisher.current()
        self._intent = current[0] if current else None
        self._snapshot = current[1] if current else None
        self._followed = publisher.followed()
        self._lead = publisher.fleet().lead
        self._roles, self._ages_s = publisher.roles(), publisher.ages_s()
        self._reached = reachable(self._roles, self._ages_s)
        self._ends = publisher.registrar.ends_wall_s() if publisher.registrar is not None else {}

    def _heard(self) -> dict[str, RoleState]:
        return {state.name: state for state in self._reached}

    def collect(self) -> Iterator[Metric]:
        wires = sorted({state.wire for state in self._reached if state.wire})
        yield InfoMetricFamily(
            "gslb_build",
            "The version, and the loop that answers DNS.",
            {"version": __version__, "wire": ",".join(wires) or "unknown"},
        )
        yield from _roles(self._snapshot, self._roles, self._ages_s)
        if self._snapshot is not None:
            yield from _intended(self._snapshot)
            yield from forced_metrics(self._snapshot)
        yield from _nodes(self._reached)
        yield from verdict_metrics(self._reached)
        yield from alarm_metrics(alarms(self._snapshot, self._roles, self._ages_s, clock.wall_s(), self._ends))
        yield from check_metrics(self._reached)
        yield from compare_metrics(self._reached)
        yield _loads(self._reached)
        yield from _dnssec(self._intent, self._reached)
        yield _identities(self._reached, self._ends)
        yield from _dns(self._reached)
        yield from _edges(self._reached)
        if self._intent is not None and self._snapshot is not None:
            yield _switchable(self._intent, self._snapshot, {**dict.fromkeys(self._roles), **self._heard()})
        yield from _git(self._followed, self._intent)
        yield from _lead(self._lead)


def _roles(
    snapshot: Snapshot | None, roles: Mapping[str, RoleState | None], ages_s: Mapping[str, float | None]
) -> Iterator[Metric]:
    up = GaugeMetricFamily("gslb_role_up", "1: the role answers and serves.", labels=["role"])
    in_sync = GaugeMetricFamily("gslb_role_in_sync", "1: the role has what control has in force.", labels=["role"])
    age = GaugeMetricFamily("gslb_role_age_seconds", "Time since the role last answered.", labels=["role"])
    for name, state in sorted(roles.items()):
        age_s = ages_s.get(name)
        how = role_state(state, age_s)
        up.add_metric([name], how == "ready")
        in_sync.add_metric([name], state is not None and how != "unreachable" and is_in_sync(state, snapshot))
        if age_s is not None:
            age.add_metric([name], age_s)
    yield from (up, in_sync, age)


def _lead(lead: Lead) -> Iterator[Metric]:
    leads = GaugeMetricFamily("gslb_leader", "1: this control leads; of the one that it knows of.", labels=["control"])
    if lead.control:
        leads.add_metric([lead.control], lead.here)
    yield leads
    yield GaugeMetricFamily("gslb_leader_term", "How often another control took the lead.", value=lead.term)


def _git(followed: Followed | None, intent: Intent | None) -> Iterator[Metric]:
    """Of the repository that is followed, where one is."""
    if followed is None:
        return
    taken, is_in_force = followed.taken, intent is not None and intent.revision == followed.revision
    facts = {"commit": taken.id if taken else ""}
    yield InfoMetricFamily("gslb_git_commit", "The newest commit that was taken.", facts)
    yield GaugeMetricFamily("gslb_git_in_force", "1: the commit is in force.", value=is_in_force)
    yield GaugeMetricFamily("gslb_git_refused", "1: a newer commit is refused.", value=followed.refused is not None)
    yield GaugeMetricFamily("gslb_git_unreadable", "1: the repository cannot be read.", value=bool(followed.error))


def _nodes(reached: list[RoleState]) -> Iterator[Metric]:
    """What nodes tell of what they hold."""
    labels = ["role"]
    age = GaugeMetricFamily(
        "gslb_node_snapshot_age_seconds", "Time since the node took what it has from control.", labels=labels
    )
    silence = GaugeMetricFamily(
        "gslb_node_control_silence_seconds", "Time between the last two words of control to the node.", labels=labels
    )
    good = GaugeMetricFamily("gslb_node_good_generations", "Offers on its disk that it may go back to.", labels=labels)
    back = GaugeMetricFamily("gslb_node_stepped_back", "1: a crash loop made it give a version up.", labels=labels)
    glass = GaugeMetricFamily(
        "gslb_node_broken_glass", "1: somebody drained, or stopped mirrors, at the node itself.", labels=labels
    )
    left_out = GaugeMetricFamily("gslb_node_left_out_apps", "Apps that it cannot serve.", labels=labels)
    for state in reached:
        if state.snapshot_age_s is not None:
            age.add_metric([state.name], state.snapshot_age_s)
        if state.control_silence_s is not None:
            silence.add_metric([state.name], state.control_silence_s)
        good.add_metric([state.name], state.good_generations)
        back.add_metric([state.name], state.stepped_back_from is not None)
        glass.add_metric([state.name], state.broken_glass is not None)
        left_out.add_metric([state.name], len(state.left_out))
    yield from (age, silence, good, back, glass, left_out)


def _intended(snapshot: Snapshot) -> Iterator[Metric]:
    yield GaugeMetricFamily("gslb_snapshot_revision", "Policy revision in force.", value=snapshot.version.revision)
    yield GaugeMetricFamily("gslb_snapshot_overrides", "Changes of overrides so far.", value=snapshot.version.overrides)
    drained = GaugeMetricFamily("gslb_site_drained", "1: out of DNS for this app.", labels=["app", "site"])
    split = GaugeMetricFamily(
        "gslb_split_intended_ratio", "Share of the route's requests, 0 to 1.", labels=["app", "route", "backend"]
    )
    stopped = GaugeMetricFamily("gslb_mirror_stopped", "1: a person lets it copy nothing.", labels=["app", "route"])
    for app in snapshot.apps.values():
        for site in snapshot.sites:
            drained.add_metric([app.name, site], drained_how(app, site) != "in service")
        for route in app.routes:
            for share in route.split:
                split.add_metric([app.name, route.name, share.backend], share.share_bp / 10_000)
            if route.mirrors:
                stopped.add_metric([app.name, route.name], any(mirror.stopped for mirror in route.mirrors))
    yield from (drained, split, stopped)


def _switchable(intent: Intent, snapshot: Snapshot, roles: Mapping[str, RoleState | None]) -> Metric:
    off = GaugeMetricFamily(
        "gslb_site_can_be_switched_off", "1: nothing is left of a drained site; missing where none is.", labels=["site"]
    )
    for site in snapshot.sites:
        tail = tail_of(intent, snapshot, site, roles, clock.wall_s())
        if tail is not None:
            off.add_metric([site], tail["can_be_switched_off"])
    return off


def _loads(reached: list[RoleState]) -> Metric:
    used = GaugeMetricFamily("gslb_site_load_ratio", "Share of the capacity used; 1: full.", labels=["site"])
    for site, load in sorted(loads_of(reached).items()):
        used.add_metric([site], load)
    return used


def _dnssec(intent: Intent | None, reached: list[RoleState]) -> Iterator[Metric]:
    labels = ["zone", "role", "state"]
    keys = GaugeMetricFamily("gslb_dnssec_keys", "Keys of a signed zone, by where they stand.", labels=labels)
    for zone, known in signed_zones(intent).items() if intent is not None else ():
        for (role, state), number in Counter((key.role, key.state) for key in known).items():
            keys.add_metric([zone, role, state], number)
    expiry = GaugeMetricFamily(
        "gslb_dnssec_signature_expiry_seconds",
        "How long the first signature of the zone to expire is still good.",
        labels=["role", "zone"],
    )
    now_s = clock.wall_s()
    for told in reached:
        for zone, expires_s in sorted(told.signature_expires_wall_s.items()):
            expiry.add_metric([told.name, zone], expires_s - now_s)
    yield from (keys, expiry)


def _identities(reached: list[RoleState], own: Mapping[str, float]) -> Metric:
    """`own`: of control and of the authorities, which its roles do not know."""
    left = GaugeMetricFamily(
        "gslb_identity_expiry_seconds", "How long a certificate is still good; issuer and root too.", labels=["role"]
    )
    told = {state.name: state.identity_ends_wall_s for state in reached}
    now_s = clock.wall_s()
    for name, ends_s in sorted({**told, **own}.items()):
        if ends_s is not None:
            left.add_metric([name], ends_s - now_s)
    return left


def _dns(reached: list[RoleState]) -> Iterator[Metric]:
    counters: dict[str, CounterMetricFamily] = {}
    for state in reached:
        for key, number in sorted(state.dns_counts.items()):
            name = "gslb_dns_" + re.sub(r"[^a-z0-9_]", "_", key.lower()).removesuffix("_total")
            if name not in counters:
                counters[name] = CounterMetricFamily(name, f"What the DNS loop counts as {key}.", labels=["role"])
            counters[name].add_metric([state.name], number)
    yield from counters.values()


def _edges(reached: list[RoleState]) -> Iterator[Metric]:
    up = GaugeMetricFamily("gslb_envoy_up", "1: the site's Envoys are live.", labels=["site"])
    restarts = CounterMetricFamily("gslb_envoy_restarts", "How often it was started again.", labels=["site"])
    labels = ["site", "app", "route"]
    requests = CounterMetricFamily(
        "gslb_split_requests",
        "Requests by the backend that took them; begins anew when the split changes.",
        labels=[*labels, "backend"],
    )
    sent = CounterMetricFamily("gslb_mirror_sent", "Requests that were mirrored.", labels=labels)
    skipped = CounterMetricFamily(
        "gslb_mirror_skipped", "Requests due for mirroring that were not.", labels=[*labels, "reason"]
    )
    open_now = GaugeMetricFamily("gslb_edge_connections", "Connections of clients that stay open.", labels=["site"])
    refused = CounterMetricFamily("gslb_edge_refused", "Requests beyond the capacity: 503.", labels=["site"])
    hops = CounterMetricFamily(
        "gslb_peer_requests", "Requests that the edge answered for other edges.", labels=["site", "app", "backend"]
    )
    live: dict[str, bool] = {}
    ends_s: dict[tuple[str, str], float] = {}
    expiry = GaugeMetricFamily(
        "gslb_certificate_expiry_seconds",
        "How long a certificate for clients is still good; 0: there is none that can be read.",
        labels=["site", "certificate"],
    )
    for state in reached:
        if state.edge is None:
            continue
        site = state.site or ""
        live[site] = live.get(site, True) and state.edge.envoy.state == "live"
        for seen in state.edge.certificates:
            at_s, key = seen.ends_wall_s or 0.0, (site, seen.name)
            ends_s[key] = min(at_s, ends_s.get(key, at_s))
        restarts.add_metric([site], state.edge.envoy.restarts)
        open_now.add_metric([site], state.edge.connections)
        refused.add_metric([site], state.edge.refused)
        for hop in state.edge.hops:
            hops.add_metric([site, hop.app, hop.backend], hop.requests)
        for route in state.edge.routes:
            values = [site, route.app, route.route]
            for backend, number in sorted(route.requests.items()):
                requests.add_metric([*values, backend], number)
            sent.add_metric(values, route.mirrored)
            for reason, number in sorted(route.skipped.items()):
                skipped.add_metric([*values, reason], number)
    for site, is_live in live.items():
        up.add_metric([site], is_live)
    for key, at_s in ends_s.items():
        expiry.add_metric(key, max(0.0, at_s - clock.wall_s()))
    yield from (up, expiry)
    yield from map(_summed, (restarts, requests, sent, skipped, hops, open_now, refused))


def _summed(family: Metric) -> Metric:
    """One sample for each set of labels: a site may have edges on several machines."""
    totals: dict[tuple[str, ...], float] = {}
    samples = {}
    for sample in family.samples:
        key = (sample.name, *sample.labels.values())
        totals[key] = totals.get(key, 0.0) + sample.value
        samples[key] = sample
    family.samples = [sample._replace(value=totals[key]) for key, sample in samples.items()]
    return family
