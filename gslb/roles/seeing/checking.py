"""What role processes that look at things have in common: the tools of their checks, what they tell of them, the states
that control hands on, and a watch over the prober itself."""

from __future__ import annotations

import asyncio

import structlog

from gslb import clock
from gslb.control.protocol import CheckState, ProbingState, PushedStates, StateChange
from gslb.health.checks.tools import PushedState, Tools
from gslb.health.history import Memory
from gslb.health.probes import Prober
from gslb.health.target import Health
from gslb.roles.settings import Settings
from gslb.snapshot.checks import CheckName, NamedCheck

__all__ = ["Pushes", "Told", "probing_told", "tools_of", "watch_prober"]

WATCH_S = 1.0

_log = structlog.get_logger(__name__)


def tools_of(settings: Settings) -> Tools:
    return Tools(commands=settings.check_commands, secrets=settings.check_secrets)


class Told:
    """What a role tells of its checks. Thousands are told each second, and few have changed: those that have not stay
    the same objects."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._last: dict[CheckName, tuple[object, CheckState]] = {}

    def checks(self) -> tuple[CheckState, ...]:
        """Every named check."""
        now: dict[CheckName, tuple[object, CheckState]] = {}
        for check, health, memory in self._prober.checks():
            version = (check, health, memory.looked_wall_s, memory.cannot, len(memory.changes), memory.since_wall_s)
            last = self._last.get(check.name)
            same = last is not None and last[0] == version
            now[check.name] = last if last is not None and same else (version, _told(check, health, memory))
        self._last = now
        return tuple(state for _, state in now.values())


def _told(check: NamedCheck, health: Health, memory: Memory) -> CheckState:
    return CheckState(
        name=check.name,
        kind=check.kind,
        state=health.phase,
        reason=health.reason,
        last=memory.last,
        warning=memory.warning,
        cannot=memory.cannot,
        since_wall_s=memory.since_wall_s,
        looked_wall_s=memory.looked_wall_s,
        duration_s=memory.duration_s,
        changes=tuple(
            StateChange(at_wall_s=change.at_wall_s, state=change.state, reason=change.reason)
            for change in memory.changes
        ),
    )


def probing_told(prober: Prober) -> ProbingState:
    pulse = prober.pulse
    return ProbingState(
        running=pulse.running,
        age_s=pulse.age_s,
        behind_s=pulse.behind_s,
        targets=pulse.targets,
        in_flight=pulse.in_flight,
        counts=dict(prober.counts),
        second_tries=pulse.second_tries,
    )


class Pushes:
    """Pushed states from every control. Whichever holds longest is the youngest: all states of a check hold equally
    long from when they were pushed, so that no clocks need to be compared."""

    def __init__(self, prober: Prober) -> None:
        self._prober = prober
        self._states: dict[CheckName, PushedState] = {}

    def take(self, told: PushedStates) -> None:
        """What a control has, beside what others had."""
        now_s = clock.mono_s()
        states = {name: state for name, state in self._states.items() if state.until_mono_s > now_s}
        for name, pushed in told.states.items():
            state = PushedState(pushed.ok, pushed.reason, now_s + pushed.left_s)
            known = states.get(CheckName(name))
            if known is None or state.until_mono_s > known.until_mono_s:
                states[CheckName(name)] = state
        self._states = states
        self._prober.set_pushed(states)


async def watch_prober(prober: Prober) -> None:
    """For ever: say when the prober stops, or falls behind, and when it is well again. It has a second to begin."""
    said = ""
    while True:
        await asyncio.sleep(WATCH_S)
        trouble = prober.pulse.trouble
        if trouble and not said:
            _log.error("the prober is in trouble; verdicts may be old", trouble=trouble)
        elif said and not trouble:
            _log.info("the prober is well again")
        said = trouble
