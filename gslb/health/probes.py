"""Looking at every target at its interval: one schedule, one short task per look in flight.

What a result means is decided in `verdict`, how one look is made in `request` (front doors) and `checks` (named ones).
Never put steering or publishing here.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import Callable, Iterable, Mapping

import structlog

from gslb import clock
from gslb.errors import HostError
from gslb.health.checks.tools import PushedState, Tools
from gslb.health.history import History, Memory
from gslb.health.pulse import Pulse
from gslb.health.request import ask, open_session
from gslb.health.schedule import LIMITS, Schedule, Watch, next_due_s
from gslb.health.target import Health, Result, Unknown
from gslb.health.verdict import Board
from gslb.snapshot.checks import CalculatedAsk, CheckName, NamedCheck, PushedAsk
from gslb.snapshot.targets import CheckKey, CheckTarget, Key, Target
from gslb.snapshot.types import LiveState

__all__ = ["MAX_IN_FLIGHT", "Prober", "next_due_s"]

MAX_IN_FLIGHT = LIMITS["doors"]

FIRST_ROUND_GRACE_S = 0.5
"""What a first round may take beyond the largest timeout: 1,000 probes cost about 0.25 s of processor time."""
FIRST_ROUND_MOST_S = 5.0
"""However long a check may take: a new version is not held up by one that hangs. Until it ends it is unknown."""

TICK_S = 0.01
"""What is due within a tick is started together, and verdicts that change within it are announced together."""
PULSE_S = 0.5
"""The prober turns at least this often, so that one that does not is seen."""
WARN_EVERY_S = 10.0

_log = structlog.get_logger(__name__)


class Prober:
    """Looks at targets and keeps `live`, the LiveState that follows from the results.

    `on_change(live)` is called on the event loop when a verdict's state changed (not for a mere new reason).
    `counts`: looks that succeeded (`ok`), failed (`failed`), found that nobody knows (`unknown`), or could not be made
    on this machine (`not_asked`); the last say nothing about the target and change no health. `running` tells whether
    `run` is at work.
    """

    def __init__(
        self,
        on_change: Callable[[LiveState], None],
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        tools: Tools | None = None,
        mono_s: Callable[[], float] = clock.mono_s,
        wall_s: Callable[[], float] = clock.wall_s,
    ) -> None:
        self.on_change = on_change
        self.running = False
        self.counts = {"ok": 0, "failed": 0, "unknown": 0, "not_asked": 0}
        self._mono_s, self._wall_s = mono_s, wall_s
        self._tools = tools or Tools(wall_s=wall_s, mono_s=mono_s)
        self._board = Board()
        self._history = History()
        self._targets: list[Target] | None = None
        self._watches: dict[Key, Watch] = {}
        self._checks: dict[CheckName, NamedCheck] = {}
        self._schedule = Schedule({**LIMITS, "doors": max_in_flight})
        self._turned_s = mono_s()
        self._wake = asyncio.Event()
        self._round_done = asyncio.Event()
        self._unannounced = False
        self._warned_s = -WARN_EVERY_S

    @property
    def live(self) -> LiveState:
        """What is believed now. Replaced whole, never changed."""
        return self._board.live

    @property
    def pulse(self) -> Pulse:
        now_s = self._mono_s()
        behind_s = max(0.0, self._schedule.behind_s(now_s))
        in_flight = len(self._schedule.in_flight)
        tries = self._tools.tries.begun
        return Pulse(self.running, now_s - self._turned_s, behind_s, len(self._watches), in_flight, tries)

    def checks(self) -> list[tuple[NamedCheck, Health, Memory]]:
        """What is known of every named check, in the order of their names."""
        return [
            (check, self._board.health(CheckKey(name)), self._history.of(name))
            for name, check in sorted(self._checks.items())
        ]

    def set_targets(self, targets: Iterable[Target]) -> None:
        """Look at these targets from now on. A target that stays keeps its health; a new one is looked at at once, as
        is one whose check changed. A calculated check comes after those that it is calculated from. May be called at
        any time on the event loop, before `run` too."""
        now_s, targets = self._mono_s(), list(targets)
        if targets == self._targets:
            return
        self._targets = targets
        watches: dict[Key, Watch] = {}
        for target in targets:
            if not isinstance(target, CheckTarget) or not isinstance(target.check.ask, CalculatedAsk):
                old = self._watches.get(target.key)
                watches[target.key] = old if old is not None and old.target == target else Watch(target, now_s)
        self._watches = watches
        self._checks = {target.check.name: target.check for target in targets if isinstance(target, CheckTarget)}
        self._history.watch(self._checks)
        self._board.watch(targets)
        self._round_done.clear()
        self._schedule.restart(watches.values())
        self._announce()
        self._wake.set()

    def set_pushed(self, states: Mapping[CheckName, PushedState]) -> None:
        """What was pushed, all of it; checks whose state is another are looked at at once."""
        before, self._tools.pushed = self._tools.pushed, dict(states)
        for name, check in self._checks.items():
            if isinstance(check.ask, PushedAsk) and _said(before.get(name)) != _said(states.get(name)):
                watch = self._watches[CheckKey(name)] = Watch(self._watches[CheckKey(name)].target, self._mono_s())
                self._schedule.put(watch)
        self._wake.set()

    async def first_round(self) -> bool:
        """Wait until every target has had a result and `on_change` has heard of it; at most the largest timeout and
        half a second, and FIRST_ROUND_MOST_S in any case. Returns whether every target has had one."""
        limit_s = max((watch.target.check.timeout_s for watch in self._watches.values()), default=0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(min(limit_s + FIRST_ROUND_GRACE_S, FIRST_ROUND_MOST_S)):
                await self._round_done.wait()
        return self._round_done.is_set()

    async def run(self) -> None:
        """Look until cancelled. What `on_change` raises ends it; it may be run again and knows what it knew."""
        self._schedule.abandon()
        self._schedule.restart(self._watches.values())
        self.running = True
        try:
            async with open_session() as session, asyncio.TaskGroup() as tasks:
                self._tools.session = session
                while True:
                    self._wake.clear()
                    self._announce()
                    self._turned_s = self._mono_s()
                    for watch in self._schedule.take(self._turned_s):
                        tasks.create_task(self._look(watch))
                    await self._sleep(self._schedule.pause_s(self._turned_s))
                    await asyncio.sleep(TICK_S)
        finally:
            self.running = False

    async def _sleep(self, pause_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(PULSE_S if pause_s is None else min(pause_s, PULSE_S)):
                await self._wake.wait()

    async def _look(self, watch: Watch) -> None:
        started_s = self._mono_s()
        found = await self._outcome(watch.target)
        self._schedule.end(watch)
        self._wake.set()
        target, ended_s = watch.target, self._mono_s()
        if self._watches.get(target.key) is not watch:
            return
        self._note(target, found, ended_s - started_s)
        interval_s = target.check.interval_s
        draw = random.random()  # noqa: S311 - spreads load, keeps no secret
        if watch.tries == 0:
            interval_s *= draw  # the first round is a burst; this spreads the rounds that follow over the interval
        watch.tries += 1
        watch.due_s = next_due_s(started_s, ended_s, interval_s, draw)
        self._schedule.put(watch)

    async def _outcome(self, target: Target) -> Result | Unknown | HostError:
        """What one look finds; a HostError where this machine could not look. Never raises: one odd target must not
        stop the others."""
        session = self._tools.session
        assert session is not None
        try:
            if isinstance(target, CheckTarget):
                from gslb.health.checks.ask import look_at  # every kind of check, which a start need not wait for

                return await look_at(target.check, self._tools)
            return await ask(session, target, self._tools.tries)
        except HostError as error:
            return error
        except Exception as error:  # noqa: BLE001 - see above; the reason is shown in the verdict
            subject = target.subject if isinstance(target, CheckTarget) else "edge"
            return Result(ok=False, reason=f"{subject}: {type(error).__name__}")

    def _note(self, target: Target, found: Result | Unknown | HostError, duration_s: float) -> None:
        named = target.check.name if isinstance(target, CheckTarget) else None
        match found:
            case HostError():
                self.counts["not_asked"] += 1
                self._warn(found)
                if named is not None:
                    self._history.could_not(named, found.message)
                    self._board.could_not(target.key)
                return
            case Unknown():
                self.counts["unknown"] += 1
                self._board.forget(target.key, found.reason)
            case Result():
                self.counts["ok" if found.ok else "failed"] += 1
                self._board.record(target.key, found)
        if named is not None:
            self._history.looked(named, found, self._wall_s(), duration_s)

    def _warn(self, error: HostError) -> None:
        if self._mono_s() - self._warned_s >= WARN_EVERY_S:
            self._warned_s = self._mono_s()
            _log.warning("probes cannot be made; verdicts stay as they are", reason=error.message, remedy=error.remedy)

    def _announce(self) -> None:
        self._unannounced |= self._board.settle(self._wall_s())
        for name in self._board.take_moved() & self._checks.keys():
            self._remember(name, self._board.health(CheckKey(name)))
        if self._unannounced:
            self.on_change(self.live)
            self._unannounced = False
        if self._board.first_round_done:
            self._round_done.set()

    def _remember(self, name: CheckName, health: Health) -> None:
        """A check that is up from the first is no news."""
        was = self._history.of(name).changes
        news = health.phase == "down" or (health.phase == "up" and any(change.state != "unknown" for change in was))
        if self._history.changed(name, health, self._wall_s()) and news:
            say = _log.warning if health.phase == "down" else _log.info
            say(f"a check is {health.phase}", check=name, reason=health.reason)


def _said(state: PushedState | None) -> tuple[bool, str] | None:
    return (state.ok, state.reason) if state else None
