"""How the comparison of a route stands, as the status has it: numbers, and names of fields. Pure.

Nothing that was answered: who may see that is told by `mirror_report`."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gslb.compare.ranking import ranked
from gslb.compare.tally import Field, Span, together
from gslb.control.compared import ComparedCounts
from gslb.control.protocol import EdgeState, RoleState
from gslb.model.words import iso
from gslb.snapshot.routing import Route

__all__ = ["compared_seen", "comparer_seen", "told_by_route"]

_FIELDS = 5


def told_by_route(reached: Iterable[RoleState]) -> Mapping[tuple[str, str], list[ComparedCounts]]:
    """What the comparers of all edges tell, by app and route."""
    told: dict[tuple[str, str], list[ComparedCounts]] = {}
    for state in reached:
        comparer = state.edge.comparer if state.edge is not None else None
        for counts in comparer.comparisons if comparer is not None else ():
            told.setdefault((counts.app, counts.route), []).append(counts)
    return told


def comparer_seen(edge: EdgeState) -> dict[str, Any] | None:
    """As status_messages.ComparerSeen; None where the edge compares nothing."""
    if not edge.comparing:
        return None
    life = edge.comparer_life
    return {
        "answers": edge.comparer is not None,
        "restarts": life.restarts,
        "last_end": life.last_end,
        "last_ended": iso(life.last_end_wall_s) if life.restarts else None,
    }


def compared_seen(route: Route, told: Sequence[ComparedCounts]) -> dict[str, Any] | None:
    """As status_messages.ComparedSeen; None where nothing of `route` is compared."""
    mirror = next((mirror for mirror in route.mirrors if mirror.compare is not None), None)
    if mirror is None or mirror.compare is None:
        return None
    pairs, different = (sum(getattr(counts, name) for counts in told) for name in ("pairs", "different"))
    most = max(told, key=lambda counts: counts.pairs, default=None)
    fields = together([_span(counts) for counts in told]).fields if told else {}
    return {
        "target": mirror.to,
        "reference": mirror.compare.reference,
        "pairs": pairs,
        "equal": pairs - different,
        "different": different,
        "verdicts": dict(most.verdicts) if most is not None else {},
        "fields": [
            {"path": item.path, "kind": item.kind, "verdict": item.verdict, "seen": item.counted.seen}
            for item in ranked(fields)[:_FIELDS]
        ],
    }


def _span(counts: ComparedCounts) -> Span:
    return Span(
        0.0,
        fields={
            (item.path, item.kind): Field(item.seen, item.both, item.only_new, item.only_old) for item in counts.fields
        },
    )
