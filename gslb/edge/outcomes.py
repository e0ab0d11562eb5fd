"""What became of the requests of an app's routes lately, by side: how many were answered, how many of them failed, and
how long they took. Pure parsing and arithmetic over what Envoy counts anyway.

Nothing is watched while nobody asks: each look is kept for a while, and an answer is the difference between now and a
look that is old enough. Who asks every half minute is told of the last half minute. Times lag behind the counts by up
to five seconds, which is how often Envoy adds them up.
"""

from __future__ import annotations

import json
import re
from collections import Counter, deque
from collections.abc import Mapping
from dataclasses import dataclass, field

from gslb.edge.render import StatsIndex
from gslb.errors import HostError
from gslb.snapshot.types import AppName, BackendName, RouteId

__all__ = ["Bins", "Look", "OutcomeMeter", "Outcomes", "SideOutcome", "parse_look", "stats_pattern"]

Bins = Mapping[tuple[float, float], int]
"""A histogram: numbers of requests by (lower bound, width) of their time in ms. Bins of one lower bound have one width
in every Envoy (circllhist), so that histograms add up bin by bin."""

WINDOW_S = 30.0
"""What an answer is about, at least, where it was asked before."""
_KEEP_S = 300.0
_APART_S = 5.0
_APPS = 256

_UPTIME = "server.uptime"
_ANSWERED, _FAILED, _TIME = "upstream_rq_completed", "upstream_rq_5xx", "upstream_rq_time"


@dataclass(frozen=True, slots=True)
class SideOutcome:
    """Requests that were answered with the last word of this side; `failed` with 5xx."""

    answered: int = 0
    failed: int = 0
    bins: Bins = field(default_factory=dict)


_Sides = Mapping[tuple[RouteId, BackendName], SideOutcome]


@dataclass(frozen=True, slots=True)
class Look:
    """Everything since Envoy (process `pid`) began, `uptime_s` ago, as it was at `mono_s`."""

    pid: int | None
    mono_s: float
    uptime_s: float
    sides: _Sides


@dataclass(frozen=True, slots=True)
class Outcomes:
    window_s: float
    sides: _Sides


def stats_pattern(app: AppName) -> str:
    """The RE2 pattern of what `/stats` must hold: the counters of the aliases of `app`, and little else."""
    return rf"^{_UPTIME}$|^cluster\.{re.escape(app)}/[^/@~.]+/[^/@~.]+\.(?:{_ANSWERED}|{_FAILED}|{_TIME})$"


def parse_look(body: bytes, index: StatsIndex, pid: int | None, mono_s: float) -> Look:
    """`/stats?format=json&histogram_buckets=detailed`, of the sides that it holds. Raises HostError where it is
    something else."""
    try:
        stats = json.loads(body)["stats"]
        counts = {item["name"]: int(item["value"]) for item in stats if "name" in item}
        details = [item for part in stats if "histograms" in part for item in part["histograms"].get("details", ())]
        times = {
            item["name"]: {(float(bin_["lower_bound"]), float(bin_["width"])): int(bin_["count"]) for bin_ in totals}
            for item in details
            if (totals := item.get("totals", ()))
        }
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise HostError(f"Envoy's statistics cannot be read: {error!r}", "use an Envoy of version 1.40") from error
    sides = {
        side: SideOutcome(
            counts[f"cluster.{cluster}.{_ANSWERED}"],
            counts.get(f"cluster.{cluster}.{_FAILED}", 0),
            times.get(f"cluster.{cluster}.{_TIME}", {}),
        )
        for cluster, side in index.aliases.items()
        if f"cluster.{cluster}.{_ANSWERED}" in counts
    }
    return Look(pid, mono_s, counts.get(_UPTIME, 0), sides)


class OutcomeMeter:
    """Keeps looks at up to 256 apps, for five minutes."""

    def __init__(self) -> None:
        self._looks: dict[AppName, deque[Look]] = {}

    def take(self, app: AppName, now: Look) -> Outcomes:
        """What came since the youngest look that is half a minute old, or since this Envoy began: it counts from
        zero."""
        looks = self._looks.pop(app, deque())
        while looks and (looks[0].pid != now.pid or now.mono_s - looks[0].mono_s > _KEEP_S):
            looks.popleft()
        old = [look for look in looks if now.mono_s - look.mono_s >= WINDOW_S]
        base = old[-1] if old else Look(now.pid, now.mono_s - now.uptime_s, 0.0, {})
        if not looks or now.mono_s - looks[-1].mono_s >= _APART_S:
            looks.append(now)
        self._looks[app] = looks
        while len(self._looks) > _APPS:
            del self._looks[next(iter(self._looks))]
        nothing = SideOutcome()
        since = {side: _difference(one, base.sides.get(side, nothing)) for side, one in now.sides.items()}
        return Outcomes(now.mono_s - base.mono_s, since)


def _difference(now: SideOutcome, before: SideOutcome) -> SideOutcome:
    """A side that was taken away and came back counts from zero again."""
    if now.answered < before.answered:
        return now
    return SideOutcome(
        now.answered - before.answered,
        max(0, now.failed - before.failed),
        dict(Counter(now.bins) - Counter(before.bins)),
    )
