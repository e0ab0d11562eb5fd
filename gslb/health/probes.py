"""Looking at every target at its interval: one scheduler over a heap, one short task per probe in flight.

What a result means is decided in `verdict`, how one probe is made in `request`. Never put steering or publishing here.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import random
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import aiohttp
import structlog

from gslb import clock
from gslb.errors import HostError
from gslb.health.request import ask, open_session
from gslb.health.target import Result
from gslb.health.verdict import Board
from gslb.snapshot.targets import ProbeTarget, TargetKey
from gslb.snapshot.types import LiveState

__all__ = ["MAX_IN_FLIGHT", "Prober", "next_due_s"]

MAX_IN_FLIGHT = 512
"""Half of the usual soft limit of 1,024 open files. Targets beyond it wait their turn by due time."""

FIRST_ROUND_GRACE_S = 0.5
"""What a first round may take beyond the largest timeout: 1,000 probes cost about 0.25 s of processor time."""

TICK_S = 0.01
"""What is due within a tick is started together, and verdicts that change within it are announced together."""

WARN_EVERY_S = 10.0


def next_due_s(started_s: float, ended_s: float, interval_s: float, draw: float) -> float:
    """When a target is probed again: `interval_s` +- 10 % after the last start, and never before its end.

    `draw` is uniform in [0, 1).
    """
    return max(ended_s, started_s + interval_s * (0.9 + 0.2 * draw))


@dataclass(slots=True, eq=False)
class _Watch:
    """A target with when it is due. Equal to itself only: results of a watch that was replaced are dropped."""

    target: ProbeTarget
    due_s: float
    tries: int = 0


class Prober:
    """Probes targets and keeps `live`, the LiveState that follows from the results.

    `on_change(live)` is called on the event loop when a verdict's state changed (not for a mere new reason).
    `counts`: probes that succeeded (`ok`), failed (`failed`), or could not be made on this machine (`not_asked`);
    the last say nothing about the target and change no health. `running` tells whether `run` is at work.
    """

    def __init__(
        self,
        on_change: Callable[[LiveState], None],
        *,
        max_in_flight: int = MAX_IN_FLIGHT,
        mono_s: Callable[[], float] = clock.mono_s,
        wall_s: Callable[[], float] = clock.wall_s,
    ) -> None:
        self.on_change = on_change
        self.running = False
        self.counts = {"ok": 0, "failed": 0, "not_asked": 0}
        self._max_in_flight = max_in_flight
        self._mono_s, self._wall_s = mono_s, wall_s
        self._board = Board()
        self._watches: dict[TargetKey, _Watch] = {}
        self._queue: list[tuple[float, int, _Watch]] = []
        self._order = itertools.count()
        self._in_flight: set[_Watch] = set()
        self._wake = asyncio.Event()
        self._round_done = asyncio.Event()
        self._unannounced = False
        self._warned_s = -WARN_EVERY_S

    @property
    def live(self) -> LiveState:
        """What is believed now. Replaced whole, never changed."""
        return self._board.live

    def set_targets(self, targets: Iterable[ProbeTarget]) -> None:
        """Probe these targets from now on. A target that stays keeps its health; a new one is probed at once, as is one
        whose check changed. May be called at any time on the event loop, before `run` too."""
        now_s = self._mono_s()
        watches: dict[TargetKey, _Watch] = {}
        for target in targets:
            key = target.key
            old = self._watches.get(key)
            watches[key] = old if old is not None and old.target == target else _Watch(target, now_s)
        self._watches = watches
        self._board.watch(watch.target for watch in watches.values())
        self._round_done.clear()
        self._enqueue_all()
        self._announce()
        self._wake.set()

    async def first_round(self) -> bool:
        """Wait until every target has had a result and `on_change` has heard of it; at most the largest timeout and
        half a second. Returns whether every target has had one."""
        limit_s = max((watch.target.check.timeout_s for watch in self._watches.values()), default=0.0)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(limit_s + FIRST_ROUND_GRACE_S):
                await self._round_done.wait()
        return self._round_done.is_set()

    async def run(self) -> None:
        """Probe until cancelled. What `on_change` raises ends it; it may be run again and knows what it knew."""
        self._in_flight = set()
        self._enqueue_all()
        self.running = True
        try:
            async with open_session() as session, asyncio.TaskGroup() as tasks:
                while True:
                    self._wake.clear()
                    self._announce()
                    await self._sleep(self._start_due(session, tasks))
                    await asyncio.sleep(TICK_S)
        finally:
            self.running = False

    def _enqueue_all(self) -> None:
        self._queue = [
            (watch.due_s, next(self._order), watch) for watch in self._watches.values() if watch not in self._in_flight
        ]
        heapq.heapify(self._queue)

    def _start_due(self, session: aiohttp.ClientSession, tasks: asyncio.TaskGroup) -> float | None:
        """Start what is due. Returns the seconds until more is; None: nothing before a probe ends or targets change."""
        now_s = self._mono_s()
        while self._queue and len(self._in_flight) < self._max_in_flight:
            if self._queue[0][0] > now_s:
                return self._queue[0][0] - now_s
            _, _, watch = heapq.heappop(self._queue)
            self._in_flight.add(watch)
            tasks.create_task(self._probe(session, watch))
        return None

    async def _sleep(self, pause_s: float | None) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(pause_s):
                await self._wake.wait()

    async def _probe(self, session: aiohttp.ClientSession, watch: _Watch) -> None:
        started_s = self._mono_s()
        result = await self._outcome(session, watch.target)
        self._in_flight.discard(watch)
        self._wake.set()
        key = watch.target.key
        if self._watches.get(key) is not watch:
            return
        if result is not None:
            self._board.record(key, result)
        interval_s = watch.target.check.interval_s
        draw = random.random()  # noqa: S311 - spreads load, keeps no secret
        if watch.tries == 0:
            interval_s *= draw  # the first round is a burst; this spreads the rounds that follow over the interval
        watch.tries += 1
        watch.due_s = next_due_s(started_s, self._mono_s(), interval_s, draw)
        heapq.heappush(self._queue, (watch.due_s, next(self._order), watch))

    async def _outcome(self, session: aiohttp.ClientSession, target: ProbeTarget) -> Result | None:
        """The result of one probe; None where this machine could not make it. Never raises: one odd target must not
        stop the others."""
        try:
            result = await ask(session, target)
        except HostError as error:
            self.counts["not_asked"] += 1
            self._warn(str(error))
            return None
        except Exception as error:  # noqa: BLE001 - see above; the reason is shown in the verdict
            result = Result(ok=False, reason=f"edge: {type(error).__name__}")
        self.counts["ok" if result.ok else "failed"] += 1
        return result

    def _warn(self, text: str) -> None:
        if self._mono_s() - self._warned_s >= WARN_EVERY_S:
            self._warned_s = self._mono_s()
            structlog.get_logger().warning("probes cannot be made; verdicts stay as they are", reason=text)

    def _announce(self) -> None:
        self._unannounced |= self._board.settle(self._wall_s())
        if self._unannounced:
            self.on_change(self.live)
            self._unannounced = False
        if self._board.first_round_done:
            self._round_done.set()
