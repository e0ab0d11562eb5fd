"""Overrides that stay while the policy says something else: told, with how to undo them, never resolved here.

What cannot be compiled at all is `compile_snapshot`'s to refuse.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from gslb.errors import Problem
from gslb.model.policy import Policy
from gslb.plan.moves import serving_sites
from gslb.plan.types import Conflict, Side
from gslb.snapshot.intent import Drain, MirrorStop, Provenance, Shift
from gslb.snapshot.types import AppName

__all__ = ["blocking", "conflicts"]


def blocking(problems: Iterable[Problem]) -> Iterator[Conflict]:
    """What `compile_snapshot` refused about overrides."""
    for problem in problems:
        yield Conflict(message=f"[{problem.rule}] {problem.message}", remedy=problem.remedy, blocks=True)


def conflicts(after: Side, wall_s: float) -> Iterator[Conflict]:
    """The overrides that are active at `wall_s` (Unix seconds) and have their way against the new policy."""
    overrides, policy = after.intent.overrides, after.intent.policy
    for shift in overrides.shifts:
        if _active(shift.by, wall_s):
            yield from _shift(policy, shift)
    for drain in overrides.drains:
        if _active(drain.by, wall_s):
            yield from _drain(after, drain)
    for stop in overrides.mirror_stops:
        if _active(stop.by, wall_s):
            yield from _stop(policy, stop)
    if overrides.latency is not None and policy.latency:
        yield Conflict(
            message=f"the policy's latencies do not count: those set {_by(overrides.latency.by)} do",
            remedy="to follow the policy: gslb latency clear",
            blocks=False,
        )


def _shift(policy: Policy, shift: Shift) -> Iterator[Conflict]:
    route = next(route for route in policy.apps[shift.app].routes if route.name == shift.route)
    effective = {name: percent for name, percent in shift.split.items() if percent}
    written = {name: percent for name, percent in (route.split or {}).items() if percent}
    if effective != written:
        what, shifted = f"{shift.app}/{shift.route}", f"by a shift {_by(shift.by)}"
        yield Conflict(
            message=f"{what} stays at {_split(effective)} {shifted}; the policy says {_split(written)}",
            remedy=f"to follow the policy: gslb shift {what} --undo",
            blocks=False,
        )


def _stop(policy: Policy, stop: MirrorStop) -> Iterator[Conflict]:
    held = [
        f"{name}/{route.name}"
        for name, app in policy.apps.items()
        for route in app.routes
        if route.mirror and stop.app in (None, name) and stop.route in (None, route.name)
    ]
    if held:
        scope = " ".join(filter(None, ["gslb mirror start", "/".join(filter(None, [stop.app, stop.route]))]))
        what = held[0] if len(held) == 1 else f"{len(held)} routes"
        yield Conflict(
            message=f"mirrors of {what} stay stopped {_by(stop.by)}",
            remedy=f"to let them copy: {scope}",
            blocks=False,
        )


def _drain(after: Side, drain: Drain) -> Iterator[Conflict]:
    apps = [AppName(drain.app)] if drain.app else list(after.snapshot.apps)
    served = [name for name in apps if drain.site in serving_sites(after.snapshot, after.snapshot.apps[name])]
    if served:
        scope = drain.site + (f" --app {drain.app}" if drain.app else "")
        yield Conflict(
            message=f"{drain.site} stays drained {_by(drain.by)}, though the policy has it serve "
            + (drain.app or f"{len(served)} of {len(apps)} apps"),
            remedy=f"to put it back: gslb undrain {scope}",
            blocks=False,
        )


def _split(split: dict[str, float]) -> str:
    return ", ".join(f"{name} {percent:g} %" for name, percent in sorted(split.items()))


def _by(by: Provenance) -> str:
    return f"by {by.author or 'unknown'}" + (f" ({by.reason})" if by.reason else "")


def _active(by: Provenance, wall_s: float) -> bool:
    return by.expires_s is None or by.expires_s > wall_s
