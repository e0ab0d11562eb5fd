"""Envoy's counters to RouteCounts. Pure parsing and arithmetic; fetching is in `admin`.

Envoy counts from zero in every process. `Tally` adds up over processes and takes off what was counted before a split
changed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gslb.edge.render import StatsIndex
from gslb.edge.render.config import CAPACITY_STATS, COMPARER, STAT_PREFIX
from gslb.errors import HostError
from gslb.snapshot.types import AppName, BackendName, RouteCounts, RouteId

__all__ = [
    "CAPTURES_DROPPED",
    "CONNECTIONS",
    "COUNTERS_FILTER",
    "REFUSED",
    "Counters",
    "Tally",
    "counting_apps",
    "hop_counts",
    "parse_stats",
    "route_counts",
    "take_waiting",
]

Counters = Mapping[str, int]

_REQUESTS = "upstream_rq_completed"
_MIRRORED = "upstream_rq_total"
_SHADOW_LOSSES = {
    "upstream_cx_none_healthy": "target_down",
    "upstream_rq_pending_failure_eject": "target_down",
    "upstream_rq_pending_overflow": "target_busy",
    "upstream_rq_cancelled": "target_busy",
}
"""No healthy endpoint; a connection that failed while a copy waited for it; more at once than a mirror may have; a wait
that took too long."""
_WAITING = "upstream_rq_pending_active"
_COMPLETED = "upstream_rq_completed"
REFUSED = f"{CAPACITY_STATS}.http_local_rate_limit.rate_limited"
"""Requests beyond the capacity."""
CAPTURES_DROPPED = f"cluster.{COMPARER}.upstream_rq_pending_overflow"
"""Captured answers for which the comparer was too slow, or not there."""
CONNECTIONS = f"http.{STAT_PREFIX}.downstream_cx_active"
"""A gauge: the connections of clients that are open."""
COUNTERS_FILTER = (
    r"^cluster\.[^.@]*\.upstream_(rq_completed|rq_total|cx_none_healthy)$"
    r"|^cluster\.[^.@]*~(mirror|compared)[0-9]+\.upstream_rq_(pending_overflow|pending_failure_eject|pending_active|cancelled)$"
    r"|^vhost\..*\.route\..*\.upstream_rq_completed$"
    rf"|^{CAPTURES_DROPPED.replace('.', '[.]')}$"
    rf"|^{CONNECTIONS.replace('.', '[.]')}$|^{REFUSED.replace('.', '[.]')}$"
)
"""What `/stats` must hold for `route_counts`, and little more: a thousand apps have a hundred times as much."""


def parse_stats(body: bytes) -> dict[str, int | str]:
    """`/stats?format=json` by name: counters and gauges are numbers, version texts are strings; no histograms.

    Raises HostError where it is something else.
    """
    try:
        stats = json.loads(body)["stats"]
        return {item["name"]: item["value"] for item in stats if "name" in item}
    except (ValueError, TypeError, KeyError) as error:
        raise HostError(f"Envoy's statistics cannot be read: {error!r}", "use an Envoy of version 1.40") from error


def route_counts(index: StatsIndex, counters: Counters) -> dict[RouteId, RouteCounts]:
    """What `counters` say of every route of `index`. A request counts once, for the side that it was drawn to, when
    its answer is complete, whatever retries it took. Reasons for not mirroring: `method`, `upgrade`, `body_too_large`,
    `body_unknown_length` (the request was not fit, whatever percent is mirrored), `target_down`, `target_busy`. Copies
    that nobody asked for are `Uncopied`'s to count."""
    requests: dict[RouteId, dict[BackendName, int]] = {}
    for cluster, (route, backend) in index.aliases.items():
        requests.setdefault(route, {})[backend] = counters.get(f"cluster.{cluster}.{_REQUESTS}", 0)
    mirrored: dict[RouteId, int] = dict.fromkeys(requests, 0)
    skipped: dict[RouteId, dict[str, int]] = {route: {} for route in requests}
    for prefix, skip in index.skips.items():
        _add(skipped[skip.route], skip.reason, skip.mirrors * counters.get(f"{prefix}.{_COMPLETED}", 0))
    for cluster, (route, _) in index.shadows.items():
        mirrored[route] += counters.get(f"cluster.{cluster}.{_MIRRORED}", 0)
        for name, reason in _SHADOW_LOSSES.items():
            _add(skipped[route], reason, counters.get(f"cluster.{cluster}.{name}", 0))
    return {route: RouteCounts(sides, mirrored[route], skipped[route]) for route, sides in requests.items()}


def counting_apps(index: StatsIndex, names: Iterable[str]) -> set[AppName]:
    """The apps that count something by these counters, but for copies."""
    found: set[AppName] = set()
    for name in names:
        prefix = name.removesuffix(f".{_COMPLETED}")
        alias, skip = index.aliases.get(prefix.removeprefix("cluster.")), index.skips.get(prefix)
        found |= {route.app for route in (alias and alias[0], skip and skip.route) if route}
    return found


def take_waiting(index: StatsIndex, numbers: dict[str, int]) -> dict[RouteId, int]:
    """Copies that wait for a connection now, by route; taken out of `numbers`, because they are no counters."""
    waiting: dict[RouteId, int] = {}
    for name in [name for name in numbers if name.endswith(_WAITING)]:
        number = numbers.pop(name)
        known = index.shadows.get(name.removeprefix("cluster.").removesuffix(f".{_WAITING}"))
        if known is not None:
            waiting[known[0]] = waiting.get(known[0], 0) + number
    return waiting


def hop_counts(index: StatsIndex, counters: Counters) -> dict[tuple[AppName, BackendName], int]:
    """Requests that were answered for other edges, by what answered them."""
    return {hop: counters.get(f"{prefix}.{_COMPLETED}", 0) for prefix, hop in index.hops.items()}


def _add(totals: dict[str, int], reason: str, count: int) -> None:
    if count:
        totals[reason] = totals.get(reason, 0) + count


@dataclass
class Tally:
    """Counters over the lives of several Envoys. `observe` what one shows, `process_ended` when it is gone,
    `rebase` a cluster when its share has changed."""

    _ended: dict[str, int] = field(default_factory=dict)
    _current: dict[str, int] = field(default_factory=dict)
    _base: dict[str, int] = field(default_factory=dict)

    def observe(self, counters: Counters) -> set[str]:
        """The names of those that have another number than the last time."""
        before, self._current = self._current, dict(counters)
        return {name for name, _ in before.items() ^ self._current.items()}

    def process_ended(self) -> None:
        """What was counted since the last look is lost: it died with the process."""
        self._ended = self.sums()
        self._current = {}

    def rebase(self, clusters: Iterable[str]) -> None:
        """Requests of these alias clusters count from now on."""
        sums = self.sums()
        for cluster in clusters:
            name = f"cluster.{cluster}.{_REQUESTS}"
            self._base[name] = sums.get(name, 0)

    def totals(self) -> dict[str, int]:
        return {name: value - self._base.get(name, 0) for name, value in self.sums().items()}

    def total(self, name: str) -> int:
        return self._ended.get(name, 0) + self._current.get(name, 0) - self._base.get(name, 0)

    def sums(self) -> dict[str, int]:
        """As `totals`, of all splits that there were."""
        names = self._ended.keys() | self._current.keys()
        return {name: self._ended.get(name, 0) + self._current.get(name, 0) for name in names}
