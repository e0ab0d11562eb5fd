"""What the API does for planning, applying and comparing policies. Rules stand in `planning` and in the plan room."""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

from gslb import clock
from gslb.control.answers import common
from gslb.control.bodies.plan_messages import ApplyRequest, DiffQuery, PlanRequest
from gslb.control.changes import kept_in, require, set_policy
from gslb.control.dnskeys import keyring
from gslb.control.explain import live_of
from gslb.control.installation.waves import BAKE_S, wave_seen
from gslb.control.one_app import only_app, telling_aside
from gslb.control.planning import Today, between, plan_policy, refuse_refused, refuse_stale, uses_places
from gslb.control.publishing import Published, Publisher
from gslb.errors import PolicyError, Problem, RefusedError
from gslb.model.policy import Policy
from gslb.plan import ROLLBACK_WAIVES, Plan, differences, summary
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState
from gslb.store import AuditEntry

__all__ = ["LIMIT_BYTES", "apply", "bring", "diff", "foretold", "plan"]

LIMIT_BYTES = 16 * 1024 * 1024
"""As much as the store takes."""
_HISTORY = 50
_ROLLING_BACK = "rolling back is always allowed"


async def plan(publisher: Publisher, wanted: PlanRequest) -> dict[str, Any]:
    """The answer as messages.PlanSeen; nothing changes."""
    await publisher.refresh()
    made = await _plan(publisher, await _wanted(publisher, wanted), wanted)
    return {"refused": made.is_refused, "summary": summary(made), "plan": made.model_dump(mode="json")}


async def apply(publisher: Publisher, wanted: ApplyRequest) -> dict[str, Any]:
    """Brings exactly the plan that somebody has seen into force; the answer as messages.ApplyChange.

    Raises RefusedError, rule `stale-plan`, where anything has changed since, or the rule of a guard rail.
    """
    if (wanted.allow or wanted.all_at_once) and not wanted.reason:
        remedy = "say why: --reason TEXT"
        what = "a guard rail is overruled" if wanted.allow else "the waves are left out"
        raise PolicyError([Problem("request", 0, 0, "reason", f"{what} without a reason", remedy)])
    await publisher.refresh()
    policy = await _wanted(publisher, wanted)
    made = await _plan(publisher, policy, wanted)
    refuse_stale(wanted, made, await publisher.history(_HISTORY) if wanted.base != made.before else ())
    refuse_refused(made)
    audit = AuditEntry(
        at_s=clock.wall_s(),
        author=wanted.author,
        action="apply" if wanted.revision is None else "rollback",
        detail=_detail(wanted, made),
        reason=wanted.message,
    )
    in_waves = wanted.revision is None and not wanted.all_at_once
    published = await _publish(publisher, policy[0], made, audit, wanted.bake_s if in_waves else None)
    return _answer(published, made)


async def diff(publisher: Publisher, query: DiffQuery) -> dict[str, Any]:
    """Two revisions; the answer as messages.DiffSeen."""
    await publisher.refresh()
    current = publisher.current()
    in_force = require(current[0] if current else None)
    old = await publisher.policy(query.before)
    revision = query.after or in_force.revision
    new = in_force.policy if revision == in_force.revision else await publisher.policy(revision)
    live = await _live(publisher, old, new)
    made = await asyncio.to_thread(between, (query.before, old), (revision, new), live, clock.wall_s())
    return {"before": query.before, "after": revision, "plan": made.model_dump(mode="json")}


async def foretold(publisher: Publisher, policy: Policy) -> str:
    """What a policy that nobody is asked about will do, in one line for the log; empty where it changes nothing. The
    database of places is not read: the policy must not wait for that."""
    live = live_of(publisher.roles(), publisher.ages_s())
    today = Today(publisher.current(), live, clock.wall_s(), compiled=publisher.compiled)
    made = await asyncio.to_thread(plan_policy, today, policy, {})
    return "" if made.is_empty else summary(made)


async def bring(
    publisher: Publisher,
    policy: Policy,
    allowed: Mapping[str, str],
    audit: Callable[[str], AuditEntry],
    bake_s: float = BAKE_S,
) -> str:
    """A policy that nobody is asked about, but that the guard rails hold up unless `allowed` says why not. `audit` gets
    the number of differences in words. In one line for the log, what it did; empty where it changes nothing.

    Raises RefusedError, with the rule of a guard rail or of `Publisher.change`.
    """
    await publisher.refresh()
    made = await asyncio.to_thread(plan_policy, await _today(publisher, policy), policy, allowed)
    if made.before and made.is_empty:
        return ""
    refuse_refused(made)
    await _publish(publisher, policy, made, audit(_what(made)), bake_s)
    return summary(made)


async def _wanted(publisher: Publisher, wanted: PlanRequest) -> tuple[Policy, Policy | None]:
    """The policy that shall be in force, and the one it is a part of, where that is to be told. What was in force once
    as a whole is not checked again: going back must not depend on what a newer gslb finds."""
    current = publisher.current()
    in_force = current[0].policy if current else None
    given = None if wanted.policy is None else await asyncio.to_thread(Policy.model_validate, wanted.policy)
    if wanted.app is not None:
        whole = require(current[0] if current else None).policy
        source = given or await publisher.policy(wanted.revision or 0)
        return await asyncio.to_thread(_checked, publisher, only_app(whole, source, wanted.app), in_force), given
    if given is not None:
        return await asyncio.to_thread(_checked, publisher, given, in_force), None
    assert wanted.revision is not None
    return await publisher.policy(wanted.revision), None


def _checked(publisher: Publisher, policy: Policy, in_force: Policy | None) -> Policy:
    checked = publisher.checker.checked(policy)
    return kept_in(in_force, checked) if in_force else checked


async def _plan(publisher: Publisher, wanted_policy: tuple[Policy, Policy | None], wanted: PlanRequest) -> Plan:
    policy, given = wanted_policy
    waived: dict[str, str] = {rule: "--allow" for rule in wanted.allow}  # noqa: C420 - fromkeys would narrow the type
    if wanted.revision is not None:
        waived |= {rule: _ROLLING_BACK for rule in ROLLBACK_WAIVES}  # noqa: C420 - as above
    made = await asyncio.to_thread(plan_policy, await _today(publisher, policy), policy, waived)
    return made if wanted.app is None else await asyncio.to_thread(telling_aside, made, wanted.app, policy, given)


async def _today(publisher: Publisher, policy: Policy) -> Today:
    current, roles = publisher.current(), tuple(publisher.roles())
    live = await _live(publisher, policy, current[0].policy if current else None)
    return Today(current, live, clock.wall_s(), roles, publisher.compiled)


async def _live(publisher: Publisher, *policies: Policy | None) -> LiveState:
    """What is observed. Reading a whole database of places takes seconds: only where a chain asks for it."""
    live = live_of(publisher.roles(), publisher.ages_s())
    if not uses_places(*policies):
        return live
    return dataclasses.replace(live, geo=await asyncio.to_thread(publisher.all_places))


async def _publish(
    publisher: Publisher, policy: Policy, made: Plan, audit: AuditEntry, bake_s: float | None
) -> Published:
    def make(intent: Intent | None) -> Intent:
        version = (intent.revision, intent.overrides.version) if intent else None
        if version != ((made.before.revision, made.before.overrides) if made.before else None):
            raise RefusedError(
                "stale-plan", "somebody else changed something at the same moment", "look at a new one: gslb plan"
            )
        return keyring.fit(intent, set_policy(intent, policy), publisher.make_key, audit.at_s)

    return await publisher.change(make, audit, bake_s)


def _detail(wanted: ApplyRequest, made: Plan) -> str:
    what = _what(made)
    what = what if wanted.revision is None else f"to revision {wanted.revision}: {what}"
    what = what if wanted.app is None else f"--app {wanted.app}: {what}"
    allowed = "".join(f" --allow {rule}" for rule in wanted.allow) + " --all-at-once" * wanted.all_at_once
    return f"{what}{allowed}" + (f" ({wanted.reason})" if allowed else "")


def _what(made: Plan) -> str:
    return differences(made) if made.before else "the first policy"


def _answer(published: Published, made: Plan) -> dict[str, Any]:
    before, after = published.before, published.after
    app = f" --app {made.app}" if made.app else ""
    changed = before is None or before.version.revision != after.version.revision
    return {
        **common(published),
        "revision_before": before.version.revision if before else None,
        "summary": summary(made),
        "wave": wave_seen(published.wave),
        "undo": f"gslb rollback {before.version.revision}{app}" if before and changed else None,
    }
