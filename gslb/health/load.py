"""What sites carry: counters of their edges to the share of their capacity that is used. Pure; nothing is read here.

A load steers clients, and the clients that it moves change the load, but not before resolvers have forgotten the last
answer. Whoever follows faster than that overshoots for ever: so rates are smoothed over three TTLs. Steps are as small
as a hundredth, because between the marks of a narrow band each step moves many clients at once; a load that wavers
around one step stays on it, and tables are compiled anew only where a site keeps another share of its clients.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping
from dataclasses import dataclass
from math import exp

from gslb.snapshot.types import App, Filter, SiteName

__all__ = ["HOLD_S", "STEP_RATIO", "LoadMeter", "smoothing_s"]

HOLD_S = 30.0
"""How long the load of an edge that cannot be read is believed."""
STEP_RATIO = 0.01
_TTLS = 3
_LEAST_S, _MOST_S = 20.0, 120.0

Counts = Mapping[Hashable, int]


def smoothing_s(apps: Iterable[App]) -> float:
    """Over how long to smooth for these apps: three times the longest TTL of those whose clients loads move, 20 s to
    120 s: where they shed, or where the next of an order takes over from a dead site."""
    ttls_s = [app.ttl_s for app in apps if any(_follows(item) for item in app.chain)]
    return min(max(_TTLS * max(ttls_s, default=0), _LEAST_S), _MOST_S)


def _follows(item: Filter) -> bool:
    return item.kind == "shed" or (item.kind == "first" and item.count == 1)


@dataclass(frozen=True, slots=True)
class _Reading:
    counts: Counts
    born_s: float
    mono_s: float


class LoadMeter:
    """The loads of the sites that have a capacity, from readings of their counters in any order of sites."""

    def __init__(self) -> None:
        self._capacity_per_s: Mapping[SiteName, int] = {}
        self._smoothing_s = _LEAST_S
        self._last: dict[tuple[SiteName, str], _Reading] = {}
        self._rate_per_s: dict[tuple[SiteName, str], float] = {}
        self._shown: dict[SiteName, float] = {}

    def expect(self, capacity_per_s: Mapping[SiteName, int], smoothing_s: float) -> None:
        """The sites to tell of from now on. What was measured of them stays."""
        self._capacity_per_s = dict(capacity_per_s)
        self._smoothing_s = smoothing_s

    def take(self, site: SiteName, counts: Counts, born_s: float, mono_s: float, edge: str = "") -> None:
        """What `edge`, one of those of `site`, had counted at `mono_s`, in a life that began at `born_s`. A counter
        that fell began anew; the first reading of a life tells no rate."""
        key = (site, edge)
        before = self._last.get(key)
        self._last[key] = _Reading(counts, born_s, mono_s)
        if before is None or before.born_s != born_s or mono_s <= before.mono_s:
            return
        past_s = mono_s - before.mono_s
        rate_per_s = sum(_grown(before.counts.get(name, 0), now) for name, now in counts.items()) / past_s
        smooth_per_s = self._rate_per_s.get(key, rate_per_s)
        self._rate_per_s[key] = smooth_per_s + (rate_per_s - smooth_per_s) * (1 - exp(-past_s / self._smoothing_s))

    def loads(self, mono_s: float) -> dict[SiteName, float]:
        """Shares of capacity in steps of STEP_RATIO. An edge that was not read for HOLD_S counts no more: it carries
        nothing, or nobody knows; sites without any that was read are missing."""
        rates_per_s: dict[SiteName, float] = {}
        for key, last in self._last.items():
            if key in self._rate_per_s and mono_s - last.mono_s < HOLD_S:
                rates_per_s[key[0]] = rates_per_s.get(key[0], 0.0) + self._rate_per_s[key]
        known = {
            site: _stepped(rates_per_s[site] / capacity_per_s, self._shown.get(site))
            for site, capacity_per_s in self._capacity_per_s.items()
            if site in rates_per_s
        }
        self._shown = known
        return dict(known)


def _grown(before: int, now: int) -> int:
    return now - before if now >= before else now


def _stepped(load: float, shown: float | None) -> float:
    """A whole number of steps; the one that is shown as long as the load is within one step of it."""
    if shown is not None and abs(load - shown) < STEP_RATIO:
        return shown
    return round(round(load / STEP_RATIO) * STEP_RATIO, 4)
