"""Status, time and size of what was mirrored, from the counts of all comparers. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gslb.compare.traffic import seconds_of
from gslb.control.compared import SideTraffic, TrafficCounts

__all__ = ["quantile_s", "traffic_seen"]


def traffic_seen(told: Sequence[TrafficCounts]) -> dict[str, Any]:
    """As mirror_report_messages.TrafficSeen."""
    changes: Counter[str] = Counter()
    for item in told:
        changes.update(item.changes)
    return {
        "pairs": sum(item.pairs for item in told),
        "by_target": sum(item.by_target for item in told),
        "alone": sum(item.alone for item in told),
        "old": _side([item.old for item in told]),
        "new": _side([item.new for item in told]),
        "changes": [
            {"old": int(name.split()[0]), "new": int(name.split()[1]), "count": number}
            for name, number in changes.most_common()
        ],
    }


def quantile_s(times: Mapping[int, int], share: float) -> float | None:
    """The time that `share` of the answers did not exceed, from counts by bucket; None without any."""
    total = sum(times.values())
    left = share * total
    for bucket in sorted(times):
        left -= times[bucket]
        if left <= 0 and total:
            return seconds_of(bucket)
    return None


def _side(sides: Iterable[SideTraffic]) -> dict[str, Any]:
    statuses: Counter[int] = Counter()
    times: Counter[int] = Counter()
    size_bytes = 0
    for side in sides:
        statuses.update(side.statuses)
        times.update(side.times)
        size_bytes += side.size_bytes
    answers = statuses.total()
    quantiles = {f"p{share}_ms": quantile_s(times, share / 100) for share in (50, 95, 99)}
    return {
        "statuses": {str(status): number for status, number in sorted(statuses.items())},
        **{name: None if value is None else round(value * 1000, 3) for name, value in quantiles.items()},
        "mean_bytes": round(size_bytes / answers, 1) if answers else None,
    }
