"""What was counted, as the messages that a comparer tells it by. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from gslb.compare.ranking import Ranked, ranked
from gslb.compare.tally import Field, Span, Tally, together
from gslb.compare.traffic import SideCounts, Traffic, add_up
from gslb.control.compared import Compared, ComparedCounts, ComparedField, SideTraffic, TrafficCounts

__all__ = ["counts_of", "told"]

_FEW = 8
_NUMBERS = ("since_wall_s", "pairs", "measured", "different", "by_target", "refused", "more_fields")


def told(site: str, tally: Tally, traffic: Traffic, wall_s: float) -> Compared:
    """Everything of one comparison."""
    span, rules = together(tally.spans()), tally.rules
    app, _, route = rules.key.partition("/")
    return Compared(
        app=app,
        route=route,
        site=site,
        target=rules.target,
        reference=rules.reference,
        noise=rules.noise,
        fields=tuple(_field(key, counted) for key, counted in span.fields.items()),
        samples=tuple(tally.samples(wall_s)),
        traffic=_traffic(traffic),
        **_numbers(span),
    )


def _traffic(traffic: Traffic) -> TrafficCounts:
    span = add_up(traffic.spans())
    return TrafficCounts(
        since_wall_s=span.since_wall_s,
        pairs=span.pairs,
        by_target=span.by_target,
        alone=traffic.alone,
        old=_side(span.old),
        new=_side(span.new),
        changes={f"{old} {new}": number for (old, new), number in span.changes.items()},
    )


def _side(side: SideCounts) -> SideTraffic:
    return SideTraffic(statuses=dict(side.statuses), times=dict(side.times), size_bytes=side.size_bytes)


def counts_of(tally: Tally) -> ComparedCounts:
    """What is told every time."""
    span = together(tally.spans())
    app, _, route = tally.rules.key.partition("/")
    found = ranked(span.fields)
    return ComparedCounts(
        app=app,
        route=route,
        target=tally.rules.target,
        pairs=span.pairs,
        measured=span.measured,
        different=span.different,
        verdicts=Counter(item.verdict for item in found),
        fields=tuple(map(_counts, found[:_FEW])),
    )


def _counts(item: Ranked) -> ComparedField:
    counted = item.counted
    return ComparedField(
        path=_named(item.path),
        kind=item.kind,
        seen=counted.seen,
        both=counted.both,
        only_new=counted.only_new,
        only_old=counted.only_old,
    )


def _named(path: str) -> str:
    """Without what may be data: names that are no plain words stand in quotes (`differ`)."""
    first = min((path.find(quote) for quote in "'\"" if quote in path), default=len(path))
    return path[:first] + "*" if first < len(path) else path


def _numbers(span: Span) -> Mapping[str, Any]:
    return {name: getattr(span, name) for name in _NUMBERS}


def _field(key: tuple[str, str], counted: Field) -> ComparedField:
    path, kind = key
    return ComparedField(
        path=path,
        kind=kind,
        seen=counted.seen,
        both=counted.both,
        only_new=counted.only_new,
        only_old=counted.only_old,
        first_wall_s=counted.first_wall_s,
        last_wall_s=counted.last_wall_s,
        old=counted.old,
        new=counted.new,
    )
