"""What nodes know of named checks, put together for people; and the states that were pushed, until they are handed on.

Pure: times come in. A pushed state is an observation: it is kept in memory for as long as it holds, never stored.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from gslb.control.protocol import CheckState, Pushed, PushedStates, RoleState
from gslb.errors import RefusedError
from gslb.health.pulse import trouble
from gslb.model.words import iso
from gslb.snapshot.checks import CheckName, NamedCheck, PushedAsk
from gslb.snapshot.types import Snapshot

__all__ = ["PushBoard", "checks_seen", "prober_trouble", "pushed_check"]


@dataclass(frozen=True, slots=True)
class _Said:
    ok: bool
    reason: str
    until_mono_s: float


class PushBoard:
    """The pushed states that hold. The last word counts."""

    def __init__(self) -> None:
        self._said: dict[CheckName, _Said] = {}

    def push(self, check: NamedCheck, reason: str, mono_s: float, *, ok: bool) -> float:
        """Take a state; for how many seconds it holds."""
        assert isinstance(check.ask, PushedAsk)
        self._said[check.name] = _Said(ok, reason, mono_s + check.ask.expires_s)
        return check.ask.expires_s

    def living(self, mono_s: float) -> PushedStates:
        """What nodes are told now; what no longer holds is forgotten."""
        self._said = {name: said for name, said in self._said.items() if said.until_mono_s > mono_s}
        return PushedStates(
            states={
                name: Pushed(ok=said.ok, reason=said.reason, left_s=said.until_mono_s - mono_s)
                for name, said in self._said.items()
            }
        )


def pushed_check(snapshot: Snapshot, name: str) -> NamedCheck:
    """The check of this name, if a state may be pushed for it. Raises RefusedError, rule `unknown-check` or
    `check-kind`."""
    check = snapshot.checks.get(CheckName(name))
    if check is None:
        raise RefusedError("unknown-check", f"there is no check {name}", "gslb checks show lists them")
    if not isinstance(check.ask, PushedAsk):
        raise RefusedError(
            "check-kind", f"{name} is a {check.kind} check: it is asked, not told", "push to a check with pushed: {...}"
        )
    return check


def checks_seen(snapshot: Snapshot | None, reached: Iterable[RoleState]) -> dict[str, Any]:
    """By name of every check: its kind, whom it decides, what it adds up to, and what each node knows of it."""
    told: dict[str, dict[str, CheckState]] = {}
    for state in reached:
        for check in state.checks:
            told.setdefault(check.name, {})[state.name] = check
    if snapshot is None:
        return {}
    decides: dict[CheckName, list[str]] = {}
    for app in snapshot.apps.values():
        for site, names in app.ready.items():
            for name in names:
                decides.setdefault(name, []).append(f"{app.name} at {site}")
    return {
        name: {
            "kind": check.kind,
            "monitor": check.monitor,
            "decides": decides.get(name, []),
            **_together(told.get(name, {})),
            "nodes": {node: _one(state) for node, state in sorted(told.get(name, {}).items())},
        }
        for name, check in sorted(snapshot.checks.items())
    }


def _together(told: Mapping[str, CheckState]) -> dict[str, Any]:
    """`disputed` where nodes see different things; a node that does not know disputes nothing."""
    states = {state.state for state in told.values()} - {"unknown"}
    state = "disputed" if len(states) > 1 else next(iter(states), "unknown")
    shown = [one for one in told.values() if one.state == state] or list(told.values())
    reasons = dict.fromkeys(one.cannot or one.reason for one in shown)
    return {
        "state": state,
        "reason": "; ".join(reasons) or "no node has told of it yet",
        "warning": any(one.warning for one in told.values()),
    }


def _one(state: CheckState) -> dict[str, Any]:
    return {
        "state": state.state,
        "reason": state.reason,
        "last": state.last,
        "warning": state.warning,
        "cannot": state.cannot,
        "since": _iso(state.since_wall_s),
        "looked": _iso(state.looked_wall_s),
        "duration_ms": None if state.duration_s is None else round(1000 * state.duration_s, 1),
        "history": [
            {"at": iso(change.at_wall_s), "state": change.state, "reason": change.reason} for change in state.changes
        ],
    }


def _iso(wall_s: float | None) -> str | None:
    return None if wall_s is None else iso(wall_s)


def prober_trouble(state: RoleState | None) -> str:
    """What is wrong with the prober of a role; empty: nothing, or it has none."""
    probing = state.probing if state else None
    return trouble(probing.age_s, probing.behind_s, running=probing.running) if probing is not None else ""
