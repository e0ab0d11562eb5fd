"""Overrides that name what a policy does not have. A part of `compile`, which alone says what beats what."""

from __future__ import annotations

from collections.abc import Iterable

from gslb.errors import PolicyError, Problem
from gslb.model import policy as written
from gslb.snapshot import eligibility
from gslb.snapshot.concerning import is_active
from gslb.snapshot.intent import Drain, Intent, Latency, Shift
from gslb.snapshot.mirror_stops import dangling_stops
from gslb.snapshot.types import WHOLE_BP

__all__ = ["refuse_bad_overrides"]


def refuse_bad_overrides(intent: Intent, wall_s: float) -> None:
    """Overrides that name what this policy does not have: an operator must undo them first, nothing is dropped. And
    shifts that do not say where every request goes: Envoy would take their sum for the whole."""
    overrides, policy = intent.overrides, intent.policy
    problems = [p for drain in overrides.drains if is_active(drain.by, wall_s) for p in _bad_drain(policy, drain)]
    problems += [*eligibility.dangling(intent, wall_s), *dangling_stops(intent, wall_s)]
    problems += [p for shift in overrides.shifts if is_active(shift.by, wall_s) for p in _bad_shift(policy, shift)]
    problems += _bad_latency(policy, overrides.latency)
    if problems:
        raise PolicyError(problems)


def _bad_latency(policy: written.Policy, latency: Latency | None) -> Iterable[Problem]:
    named = {site for sites in latency.measured.values() for site in sites} if latency else set()
    if lacking := sorted(named - policy.sites.keys()):
        yield Problem("overrides", 0, 0, "override-dangling",
                      f"the measured latencies name {', '.join(lacking)}, which this policy lacks",
                      "follow the policy again first: gslb latency clear")  # fmt: skip


def _bad_drain(policy: written.Policy, drain: Drain) -> Iterable[Problem]:
    if drain.site not in policy.sites or (drain.app and drain.app not in policy.apps):
        what = drain.site + (f" --app {drain.app}" if drain.app else "")
        yield Problem("overrides", 0, 0, "override-dangling", f"the drain of {what} names what this policy lacks",
                      f"undo it first: gslb undrain {what}")  # fmt: skip


def _bad_shift(policy: written.Policy, shift: Shift) -> Iterable[Problem]:
    app, what = policy.apps.get(shift.app), f"{shift.app}/{shift.route}"
    route = next((route for route in app.routes if route.name == shift.route), None) if app else None
    known = route is not None and route.split is not None
    if app is None or not known or not set(shift.split) <= set(app.backends):
        yield Problem("overrides", 0, 0, "override-dangling", f"the shift of {what} names what this policy lacks",
                      f"undo it first: gslb shift {what} --undo")  # fmt: skip
    total_bp = sum(round(percent * 100) for percent in shift.split.values())
    if total_bp != WHOLE_BP:
        yield Problem("overrides", 0, 0, "split-sum", f"the shift of {what} adds up to {total_bp / 100:g} %",
                      "percentages of a route add up to 100")  # fmt: skip
