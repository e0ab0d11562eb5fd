"""A policy that somebody wants, beside what is in force: the plan, and when it must not be applied. Pure.

What moves is `plan`'s to say; here is only what control alone knows: which Intent it would become, which edges run, and
whether a plan is still of today.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass

from gslb.control.bodies.plan_messages import ApplyRequest
from gslb.control.changes import set_policy
from gslb.control.dnskeys import keyring
from gslb.control.dnskeys.keyring import Maker, Role
from gslb.control.protocol import role_name
from gslb.errors import PolicyError, RefusedError
from gslb.model.policy import Geo, Policy
from gslb.plan import Plan, Refusal, Side, blocked_plan, make_plan
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState, Snapshot, Version, ZoneKey
from gslb.store import AuditRecord

__all__ = ["Today", "between", "plan_policy", "refuse_refused", "refuse_stale", "uses_places"]

_EDGE = role_name("edge", "") + "-"
_KEY_BYTES = {13: 64, 15: 32}
_TOLD = 5


@dataclass(frozen=True, slots=True)
class Today:
    """What a policy meets. `current` is in force (None: nothing yet), `live` what is observed; `roles` are the names of
    those that run: an edge is a process of its own, so that sites which come or go need a restart. `compiled` is
    `compile_snapshot`, or one that does not do again what the policy in force has in common with a new one."""

    current: tuple[Intent, Snapshot] | None
    live: LiveState
    wall_s: float
    roles: Collection[str] = ()
    compiled: Callable[[Intent, float], Snapshot] = compile_snapshot


def plan_policy(today: Today, policy: Policy, waived: Mapping[str, str]) -> Plan:
    """What applying `policy` today would do."""
    before = Side(*today.current) if today.current else None
    intent = set_policy(before.intent if before else None, policy)
    try:
        after = Side(intent, today.compiled(intent, today.wall_s))
    except PolicyError as error:
        return blocked_plan(before, intent, error.problems)
    plan = make_plan(before, after, today.live, today.wall_s, waived)
    more = [*_keys_refused(before, after, today.wall_s), *_sites_refused(before, plan, today.roles)]
    return plan.model_copy(update={"refusals": (*plan.refusals, *more)}) if more else plan


def between(before: tuple[int, Policy], after: tuple[int, Policy], live: LiveState, wall_s: float) -> Plan:
    """What lies between two policies with their revisions, without any override. Nothing is refused: nothing is asked
    for."""
    sides = [Intent(revision=revision, policy=policy) for revision, policy in (before, after)]
    old, new = (Side(intent, compile_snapshot(intent, wall_s)) for intent in sides)
    return make_plan(old, new, live, wall_s).model_copy(update={"refusals": ()})


def uses_places(*policies: Policy | None) -> bool:
    """Whether any chain asks where clients are."""
    steers = (app.steer or () for policy in policies if policy for app in policy.apps.values())
    return any(item == "geo" or isinstance(item, Geo) for steer in steers for item in steer)


def refuse_stale(wanted: ApplyRequest, plan: Plan, history: Iterable[AuditRecord]) -> None:
    """Raises RefusedError, rule `stale-plan`, where `plan`, made just now, is not what was planned on `wanted.base`.
    `history` is newest first, and tells what has happened meanwhile."""
    if wanted.base != plan.before:
        base = Version(wanted.base.revision, wanted.base.overrides) if wanted.base else None
        since = [record for record in history if base is None or record.version > base][:_TOLD]
        told = "; ".join(f"{r.entry.author or 'unknown'}: {r.entry.action} {r.entry.detail}" for r in reversed(since))
        now = Version(plan.before.revision, plan.before.overrides) if plan.before else None
        meanwhile = f" ({told})" if told else ""
        raise _stale(f"it was made on version {base or 'none'}, and {now or 'none'} is in force{meanwhile}")
    if wanted.digest != plan.after.digest:
        raise _stale("the same policy would mean something else by now, because an override has ended")


def refuse_refused(plan: Plan) -> None:
    """Raises RefusedError with everything that holds the plan up, under the rule of the first."""
    blocking = [conflict for conflict in plan.conflicts if conflict.blocks]
    if blocking:
        messages, remedies = zip(*((conflict.message, conflict.remedy) for conflict in blocking), strict=True)
        raise RefusedError("override-dangling", "; ".join(messages), "; ".join(remedies))
    if plan.holding:
        first = plan.holding[0]
        remedies = tuple(dict.fromkeys(refusal.remedy for refusal in plan.holding))
        raise RefusedError(first.rule, "; ".join(r.message for r in plan.holding), "; ".join(remedies))


def _stale(message: str) -> RefusedError:
    return RefusedError("stale-plan", f"the plan is not of today: {message}", "look at a new one: gslb plan")


def _sites_refused(before: Side | None, plan: Plan, roles: Collection[str]) -> Iterable[Refusal]:
    """As long as an edge runs here for each site; where others run elsewhere, only those that run here count."""
    here = {name.removeprefix(_EDGE) for name in roles if name.startswith(_EDGE)}
    is_everything = before is not None and here >= before.snapshot.sites.keys()
    changed = [item.name for item in plan.sites if item.kind == "removed" and item.name in here]
    changed += [item.name for item in plan.sites if item.kind == "added" and is_everything]
    if changed and before is not None:
        yield Refusal(
            rule="sites-changed",
            message=f"the policy adds or removes the site {', '.join(changed)}, whose edge is a process of its own",
            remedy="restart gslb run with a folder of this policy: the edges that stay go on serving meanwhile",
        )


def _keys_refused(before: Side | None, after: Side, wall_s: float) -> Iterable[Refusal]:
    """What making keys for signed zones would refuse; no key is made."""
    try:
        keyring.fit(before.intent if before else None, after.intent, _stand_in(), wall_s)
    except RefusedError as error:
        yield Refusal(rule=error.rule, message=error.message, remedy=error.remedy)


def _stand_in() -> Maker:
    """Makes what looks like keys, no two alike."""
    numbers = itertools.count(1)

    def make(_zone: str, role: Role, algorithm: int) -> ZoneKey:
        public = next(numbers).to_bytes(_KEY_BYTES[algorithm])
        return ZoneKey(role, algorithm, public, "", published=False, signs=False, announced=False)

    return make
