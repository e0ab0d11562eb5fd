"""Pushed: what somebody said over the API, for as long as it holds. Nobody is asked."""

from __future__ import annotations

from gslb.health.checks.tools import Tools
from gslb.health.target import Result, Unknown
from gslb.model.words import format_duration
from gslb.snapshot.checks import CheckName, PushedAsk

__all__ = ["look_at_pushed"]


def look_at_pushed(name: CheckName, ask: PushedAsk, tools: Tools) -> Result | Unknown:
    """The state that holds; when none does, what the policy says (`then`)."""
    state = tools.pushed.get(name)
    if state is not None and tools.mono_s() < state.until_mono_s:
        return Result(ok=state.ok, reason=f"{name}: {state.reason}")
    reason = f"{name}: nothing was pushed for {format_duration(ask.expires_s)}"
    return Result(ok=False, reason=reason) if ask.then == "down" else Unknown(reason)
