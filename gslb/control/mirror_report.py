"""Where the new service differs from the old, from what the comparers of all edges told. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from gslb.compare.noise import evidence, needed
from gslb.compare.ranking import Ranked, ranked
from gslb.compare.tally import Field, Span, together
from gslb.control.compared import Compared
from gslb.control.mirror_traffic import traffic_seen
from gslb.control.protocol import EdgeState, RoleState
from gslb.errors import RefusedError
from gslb.model.words import iso
from gslb.snapshot.routing import Comparison, Mirror
from gslb.snapshot.types import Snapshot

__all__ = ["MAX_SAMPLES", "mirror_report", "require_compared"]

MAX_SAMPLES = 20
_MANY_REFUSED = 0.1
_NUMBERS = ("since_wall_s", "pairs", "measured", "different", "by_target", "refused", "more_fields")


def require_compared(snapshot: Snapshot, app: str, route: str) -> tuple[Mirror, Comparison]:
    """The mirror of APP/ROUTE that is compared. Raises RefusedError, rules `unknown-route` and `not-compared`."""
    routes = [item for name, found in snapshot.apps.items() if name == app for item in found.routes]
    known = next((item for item in routes if item.name == route), None)
    if known is None:
        raise RefusedError("unknown-route", f"there is no route {app}/{route}", "gslb status lists them")
    for mirror in known.mirrors:
        if mirror.compare is not None:
            return mirror, mirror.compare
    raise RefusedError(
        "not-compared",
        f"nothing of {app}/{route} is compared",
        "write compare: true on its mirror in the policy: mirror: [{to: BACKEND, percent: 10, compare: true}]",
    )


def mirror_report(
    snapshot: Snapshot, app: str, route: str, told: Mapping[str, Compared | None], roles: Iterable[RoleState]
) -> dict[str, Any]:
    """As mirror_report_messages.MirrorReport. `told` are the edges that should know, and what each said; None: nothing.
    Raises as require_compared."""
    mirror, compare = require_compared(snapshot, app, route)
    heard = [item for item in told.values() if item is not None]
    traffic = traffic_seen([item.traffic for item in heard])
    span = together([_span(item) for item in heard]) if heard else None
    edges = [state.edge for state in roles if state.edge is not None and state.edge.comparing]
    return {
        "environment": snapshot.environment,
        "app": app,
        "route": route,
        "target": mirror.to,
        "reference": compare.reference,
        "since": iso(span.since_wall_s) if span else None,
        **{name: getattr(span, name) if span else 0 for name in _NUMBERS[1:]},
        "traffic": traffic,
        "fields": [_field(span, one) for one in ranked(span.fields)] if span else [],
        "hints": [*_unanswered(traffic), *_hints(compare, span, told, edges)],
        "samples": _samples(heard),
        "edges": {name: item.pairs if item is not None else None for name, item in told.items()},
    }


def _span(told: Compared) -> Span:
    fields = {
        (item.path, item.kind): Field(
            item.seen, item.both, item.only_new, item.only_old, item.first_wall_s, item.last_wall_s, item.old, item.new
        )
        for item in told.fields
    }
    return Span(**{name: getattr(told, name) for name in _NUMBERS}, fields=fields)


def _field(span: Span, one: Ranked) -> dict[str, Any]:
    item = one.counted
    return {
        "path": one.path,
        "kind": one.kind,
        "verdict": one.verdict,
        "seen": item.seen,
        "percent": round(100 * item.seen / span.pairs, 2) if span.pairs else 0.0,
        "both": item.both,
        "only_new": item.only_new,
        "only_old": item.only_old,
        "evidence": round(evidence(item.only_new, item.only_old), 3),
        "needed": needed(item.only_new) if one.verdict == "unsettled" else 0,
        "first": iso(item.first_wall_s),
        "last": iso(item.last_wall_s),
        "old": item.old,
        "new": item.new,
    }


def _unanswered(traffic: Mapping[str, Any]) -> Iterable[str]:
    silent = traffic["new"]["statuses"].get("0", 0)
    if silent:
        yield (
            f"the new side gave no answer to {silent} of {traffic['pairs']} requests, for which a copy has five"
            " seconds: there was nothing to compare"
        )


def _hints(
    compare: Comparison, span: Span | None, told: Mapping[str, Compared | None], edges: Sequence[EdgeState]
) -> Iterable[str]:
    silent = sorted(name for name, item in told.items() if item is None)
    if silent:
        yield f"nothing was heard from the comparer of {', '.join(silent)}; gslb run starts it again when it ends"
    if span is None or not span.pairs:
        yield "nothing was compared yet: it takes requests that are mirrored and sampled"
        return
    if span.refused > _MANY_REFUSED * span.pairs:
        yield (
            f"in {span.refused} of {span.pairs} requests a copy was not let in (401 or 403) and the client was: copies"
            " carry no credentials unless the mirror says so, and what is compared then are refusals"
        )
    if not compare.noise:
        yield "the noise of the old side is not measured (noise: false): what differs anyway counts as a difference"
    elif not span.measured:
        yield "no request had a second answer of the old side: only safe methods have one"
    dropped = sum(edge.captures_dropped for edge in edges)
    if dropped:
        yield f"{dropped} captured answers were dropped, because a comparer was too slow or gone: sample less"
    if span.more_fields:
        yield f"{span.more_fields} differences were in more fields than are counted: ignore: what is not of interest"


def _samples(heard: Iterable[Compared]) -> list[dict[str, Any]]:
    """The newest of all edges."""
    found = [{**sample, "site": item.site} for item in heard for sample in item.samples]
    newest = sorted(found, key=lambda sample: -float(sample.get("at_wall_s", 0.0)))[:MAX_SAMPLES]
    return [
        {
            "at": iso(sample["at_wall_s"]),
            **{name: sample[name] for name in ("site", "request_id", "method", "path", "differences", "answers")},
        }
        for sample in newest
    ]
