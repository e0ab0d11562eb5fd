"""Keeps one Envoy alive: adopts or starts it, replaces it when it ends or freezes. Knows nothing of policies.

    no process --adopt or start--> starting --/ready is 200--> live
    starting, live --process ends, or is frozen and killed--> backing_off --pause--> no process

One of other settings than these is replaced without a gap: it serves until the next one is live (`leaving`).
A frozen process (stopped, deadlocked) accepts connections and never answers, SIGTERM included: it gets SIGKILL.
"""

from __future__ import annotations

import asyncio
import shutil
import signal
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from gslb import clock
from gslb.edge.admin import Admin
from gslb.edge.files import Files
from gslb.edge.leaving import Leaving
from gslb.edge.process import Command, EnvoyProcess, adopt, refuse_taken_addresses, spawn
from gslb.errors import HostError
from gslb.model.words import IpAddress

__all__ = ["EnvoyState", "Hooks", "Keeper"]

_READY_TIMEOUT_S = 0.5
_TICK_S = 0.5
_COUNT_S = 5.0
"""How much counting may be lost when Envoy is killed."""
_START_TICK_S = 0.05
_START_GRACE_S = 10.0
_FROZEN_MISSES = 3
_BUSY_MISSES = 20
"""An Envoy whose main thread digests a large configuration misses too, but uses the processor: it gets longer."""
_FIRST_PAUSE_S = 0.1
_LONGEST_PAUSE_S = 10.0
_STEADY_S = 30.0
_LOG_LIMIT_BYTES = 8 * 1024**2


@dataclass(frozen=True, slots=True)
class EnvoyState:
    """`since_wall_s` is when `state` began, Unix seconds; `last_end` why the Envoy before this one ended."""

    state: Literal["live", "starting", "backing_off"]
    pid: int | None
    since_wall_s: float
    restarts: int
    adopted: bool
    last_end: str


@dataclass(frozen=True, slots=True)
class Hooks:
    """What the owner does: when an Envoy has become live, now and then while it is, when one has ended.
    `addresses` are those that the next Envoy will bind."""

    became_live: Callable[[], Awaitable[None]]
    count: Callable[[], Awaitable[None]]
    ended: Callable[[], None]
    addresses: Callable[[], list[tuple[IpAddress, int]]]


class Keeper:
    """`adopt` once, then `run` until cancelled. Cancelling leaves Envoy serving; `end` ends it."""

    def __init__(self, command: Command, files: Files, admin: Admin, hooks: Hooks) -> None:
        self._command, self._files, self._admin, self._hooks = command, files, admin, hooks
        self._process: EnvoyProcess | None = None
        self._leaving: Leaving | None = None
        self._state: Literal["live", "starting", "backing_off"] = "starting"
        self._since_wall_s = clock.wall_s()
        self._restarts = 0
        self._last_end = ""
        self._live = asyncio.Event()
        self._count_at_s = 0.0

    @property
    def running(self) -> bool:
        return self._process is not None

    @property
    def serves(self) -> bool:
        """Whether an Envoy does: this one, or the one before it until this one is live."""
        return self._state == "live" or self._leaving is not None

    @property
    def binds(self) -> bool:
        """Whether an Envoy of ours has the addresses, or is about to."""
        return self._process is not None or self._leaving is not None

    async def live(self, limit_s: float) -> None:
        """Wait until an Envoy serves. Raises HostError after `limit_s`."""
        try:
            await asyncio.wait_for(self._live.wait(), limit_s)
        except TimeoutError:
            raise HostError(f"Envoy did not serve within {limit_s:g} s", f"see {self._files.log}") from None

    def state(self) -> EnvoyState:
        process = self._process
        return EnvoyState(
            self._state,
            process.pid if process else None,
            self._since_wall_s,
            self._restarts,
            bool(process and process.adopted),
            self._last_end,
        )

    async def run(self) -> None:
        """Start now where none runs, then for ever."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._relieve())
            await self._keep()

    async def _relieve(self) -> None:
        """One that leaves and dies before its time serves nobody, whatever becomes of the next."""
        if self._leaving is None:
            return
        async with asyncio.TaskGroup() as tasks:
            waiting: list[asyncio.Task[object]] = [
                tasks.create_task(self._live.wait()),
                tasks.create_task(self._leaving.ended()),
            ]
            await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
            for task in waiting:
                task.cancel()
        await self._leaving.see_off()
        self._leaving = None

    async def _keep(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            begun_s = clock.mono_s()
            try:
                if self._process is None:
                    if self._leaving is None:
                        refuse_taken_addresses(self._hooks.addresses())
                    self._enter("starting")
                    self._process = spawn(self._command, self._files)
                self._last_end = await self._watch(self._process)
                self._let_go()
            except HostError as error:
                self._last_end = str(error)
            self._restarts += 1
            self._enter("backing_off")
            pause_s = _FIRST_PAUSE_S if clock.mono_s() - begun_s > _STEADY_S else pause_s
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, _LONGEST_PAUSE_S)

    async def end(self) -> None:
        """End Envoy: ask, then insist."""
        if self._leaving is not None:
            await self._leaving.end()
            self._leaving = None
        if self._process is not None:
            await self._process.end()
            self._let_go()
        self._files.process.unlink(missing_ok=True)

    def leave(self) -> None:
        """Let go of Envoy; it serves on, and the next run adopts it."""
        if self._leaving is not None:
            self._leaving.leave()
            self._leaving = None
        self._close()

    async def adopt(self) -> None:
        """Take over the Envoy of an earlier run, where there is one: for good where it was started the same way, else
        until the next one serves. Whether one is frozen shows like everywhere else; of other settings it ends now."""
        if self._process is not None:
            return
        self._leaving = Leaving.of_earlier_run(self._files)
        found = adopt(self._command, self._files)
        if found is None:
            return
        process, same = found
        if same:
            self._process = process
            self._enter("starting")
            return
        self._last_end = "it ran with other settings"
        if await self._admin.ready(_READY_TIMEOUT_S) is None:
            await process.end()
            process.close()
            return
        if self._leaving is not None:
            await self._leaving.end()
        self._leaving = Leaving.of(process, self._files)

    async def _watch(self, process: EnvoyProcess) -> str:
        """Until it ends; why."""
        async with asyncio.TaskGroup() as tasks:
            looking = tasks.create_task(self._look(process))
            reason = await process.wait()
            looking.cancel()
        return f"it was frozen: {reason}" if self._state == "backing_off" else reason

    async def _look(self, process: EnvoyProcess) -> None:
        misses, cpu_ticks = 0, process.cpu_ticks()
        patient_until_s = clock.mono_s() + (0.0 if process.adopted else _START_GRACE_S)
        while True:
            ready = await self._admin.ready(_READY_TIMEOUT_S)
            if ready is None and (self._state == "live" or clock.mono_s() > patient_until_s):
                misses += 1
                used, cpu_ticks = process.cpu_ticks() - cpu_ticks, process.cpu_ticks()
                busy_misses = _BUSY_MISSES + self._files.patience_s() / _READY_TIMEOUT_S
                if misses >= (busy_misses if used else _FROZEN_MISSES):
                    self._enter("backing_off")
                    process.send(signal.SIGKILL)
                    return
            elif ready is not None:
                misses = 0
                await self._answered(ready=ready)
            await asyncio.sleep(_START_TICK_S if self._state == "starting" else _TICK_S)

    async def _answered(self, *, ready: bool) -> None:
        try:
            if ready and self._state == "starting":
                await self._hooks.became_live()
                self._enter("live")
            if self._state == "live" and clock.mono_s() >= self._count_at_s:
                self._count_at_s = clock.mono_s() + _COUNT_S
                await self._hooks.count()
        except HostError:
            return  # it went away between two questions: the next look tells
        self._bound_log()

    def _bound_log(self) -> None:
        """Envoy appends to its log for ever: keep the last part aside and begin again."""
        if self._files.log_size_bytes() > _LOG_LIMIT_BYTES:
            shutil.copyfile(self._files.log, self._files.log.with_suffix(".log.1"))
            with self._files.log.open("r+b") as log:
                log.truncate()

    def _let_go(self) -> None:
        self._close()
        self._hooks.ended()

    def _close(self) -> None:
        if self._process is not None:
            self._process.close()
            self._process = None

    def _enter(self, state: Literal["live", "starting", "backing_off"]) -> None:
        if state != self._state:
            self._state, self._since_wall_s = state, clock.wall_s()
        if state == "live":
            self._live.set()
        else:
            self._live.clear()
