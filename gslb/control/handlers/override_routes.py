"""What the HTTP API does for shifts, drains and latencies. The lines of the table stand in `routes`, the rules in
`changes` and `latency`."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from gslb import clock
from gslb.control import answers, changes, forcing, latency
from gslb.control.bodies.messages import DEADLINE_S, DrainKey, DrainRequest, LatencyRequest, ShiftRequest, Undoing
from gslb.control.publishing import Make, Published, Publisher
from gslb.control.status import reachable
from gslb.model.words import format_duration
from gslb.snapshot.intent import Drain, Intent, Provenance
from gslb.store import AuditEntry

__all__ = ["clear_latency", "drain", "latency_in_force", "set_latency", "shift", "undo_shift", "undrain"]


async def shift(publisher: Publisher, wanted: ShiftRequest) -> dict[str, Any]:
    """As messages.ShiftChange."""
    by = _provenance(wanted)
    shares = " ".join(f"{name}={percent:g}" for name, percent in sorted(wanted.split.items()))
    published = await _change(
        publisher,
        lambda intent: changes.shift(changes.require(intent), wanted.app, wanted.route, wanted.split, by),
        by,
        ("shift", f"{wanted.app}/{wanted.route} {shares}"),
    )
    return answers.shift_change(published, wanted.app, wanted.route)


async def undo_shift(publisher: Publisher, app: str, route: str, query: Undoing) -> dict[str, Any]:
    """As messages.ShiftChange."""
    published = await _change(
        publisher,
        lambda intent: changes.undo_shift(changes.require(intent), app, route),
        _now(query),
        ("undo-shift", f"{app}/{route}"),
    )
    return answers.shift_change(published, app, route)


async def drain(publisher: Publisher, wanted: DrainRequest) -> dict[str, Any]:
    """As messages.DrainChange."""
    by = _provenance(wanted)
    item = Drain(site=wanted.site, app=wanted.app, entry_only=wanted.entry_only, deadline_s=wanted.deadline_s, by=by)
    flags = [" --entry"] * wanted.entry_only + _deadline(wanted) + [f" --allow {rule}" for rule in wanted.allow]
    dead = forcing.dead_places(reachable(publisher.roles(), publisher.ages_s()))
    earlier: list[Drain] = []

    def take_out(intent: Intent | None) -> Intent:
        before = changes.require(intent)
        earlier[:] = _drains(before, wanted.site, wanted.app)
        return changes.drain(before, item, wanted.allow, dead)

    what = ("drain", _scope(wanted.site, wanted.app) + "".join(flags))
    published = await _change(publisher, take_out, by, what)
    return answers.drain_change(published, wanted.site, wanted.app, _back(earlier, wanted.site, wanted.app))


async def undrain(publisher: Publisher, site: str, query: DrainKey) -> dict[str, Any]:
    """As messages.DrainChange."""
    by = _now(query)
    earlier: list[Drain] = []

    def put_back(intent: Intent | None) -> Intent:
        before = changes.require(intent)
        earlier[:] = _drains(before, site, query.app)
        after = changes.undrain(before, site, query.app)
        if query.over_s is None:
            return after
        return forcing.slow_start(before, after, forcing.over(site, query.app, by, query.over_s))

    slowly = "" if query.over_s is None else f" --over {format_duration(query.over_s)}"
    published = await _change(publisher, put_back, by, ("undrain", _scope(site, query.app) + slowly))
    return answers.drain_change(published, site, query.app, _back(earlier, site, query.app))


async def latency_in_force(publisher: Publisher) -> dict[str, Any]:
    """As messages.LatencySeen."""
    current = publisher.current()
    intent = changes.require(current[0] if current else None)
    return await asyncio.to_thread(latency.latency_seen, intent)


async def set_latency(publisher: Publisher, wanted: LatencyRequest) -> dict[str, Any]:
    """As messages.LatencyChange."""
    by = _now(wanted)
    what = f"set {len(wanted.latency)} networks"
    return await _change_latency(publisher, lambda intent: latency.set_latency(intent, wanted.latency, by), by, what)


async def clear_latency(publisher: Publisher, query: Undoing) -> dict[str, Any]:
    """As messages.LatencyChange."""
    return await _change_latency(publisher, latency.clear_latency, _now(query), "clear")


async def _change_latency(
    publisher: Publisher, make: Callable[[Intent], Intent], by: Provenance, detail: str
) -> dict[str, Any]:
    made: list[Intent] = []

    def change(intent: Intent | None) -> Intent:
        before = changes.require(intent)
        made[:] = [before, make(before)]
        return made[1]

    published = await _change(publisher, change, by, ("latency", detail))
    return answers.latency_change(published, *made)


async def _change(publisher: Publisher, make: Make, by: Provenance, what: tuple[str, str]) -> Published:
    action, detail = what
    if by.expires_s is not None:
        detail += f" --for {format_duration(round(by.expires_s - by.at_s, 3))}"
    audit = AuditEntry(at_s=by.at_s, author=by.author, action=action, detail=detail, reason=by.reason)
    return await publisher.change(make, audit)


def _now(given: Undoing | LatencyRequest) -> Provenance:
    return Provenance(author=given.author, reason=given.reason, at_s=clock.wall_s())


def _provenance(wanted: ShiftRequest | DrainRequest) -> Provenance:
    now_s = clock.wall_s()
    expires_s = None if wanted.expires_in_s is None else now_s + wanted.expires_in_s
    return Provenance(author=wanted.author, reason=wanted.reason, at_s=now_s, expires_s=expires_s)


def _deadline(wanted: DrainRequest) -> list[str]:
    if wanted.deadline_in_s == DEADLINE_S or (wanted.deadline_s is None and wanted.deadline_in_s is not None):
        return []
    return [f" --deadline {'never' if wanted.deadline_s is None else format_duration(wanted.deadline_s)}"]


def _drains(intent: Intent, site: str, app: str | None) -> list[Drain]:
    """The drain of just this scope, if there is one."""
    return [drain for drain in intent.overrides.drains if (drain.site, drain.app) == (site, app)]


def _back(earlier: Sequence[Drain], site: str, app: str | None) -> str:
    """The command after which the scope is drained as it was; drains of other scopes were not touched."""
    if not earlier:
        return f"gslb undrain {_scope(site, app)}"
    return f"gslb drain {_scope(site, app)}{' --entry' * earlier[0].entry_only}"


def _scope(site: str, app: str | None) -> str:
    return site if app is None else f"{site} --app {app}"
