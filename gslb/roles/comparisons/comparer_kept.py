"""Keeps a comparer running for as long as some edge of this machine compares anything: the supervisor's part of it.

One that ends is started again, and so is one that is there and answers nothing, which is ended first: it holds nothing
but counts. How often is written down for the edges, which tell it: a comparer that is silent cannot. Nobody needs it to
be ready, and whatever becomes of it ends nothing else.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from pathlib import Path

import structlog

from gslb import clock
from gslb.control.compared import COMPARER, ComparerLife
from gslb.errors import HostError
from gslb.roles.comparisons.comparing import ask_comparer, is_wanted, write_life
from gslb.roles.settings import Settings
from gslb.roles.tasks import back_off_s

__all__ = ["ComparerKeeper", "answers", "is_traced"]

LOOK_S = 0.5
ANSWER_S = 2.0
END_S = 3.0
SILENT_S = 30.0
"""The counts of half a day go with a comparer. What it waits for a processor, of which its low priority gets little
where a machine is busy, is no silence."""
STEADY_S = 60.0
"""Who answered for so long has not failed in a row."""


class ComparerKeeper:
    """`start` makes the process; `stopping`: everything ends, and nothing is started any more."""

    def __init__(
        self, settings: Settings, start: Callable[[], Awaitable[asyncio.subprocess.Process]], stopping: asyncio.Event
    ) -> None:
        self._settings = settings
        self._start = start
        self._stopping = stopping
        self.process: asyncio.subprocess.Process | None = None
        """The one that runs; None: nobody wants it, or it is between two lives."""
        self._life = ComparerLife()

    async def run(self) -> None:
        """Until `stopping`."""
        failures = 0
        while not self._stopping.is_set():
            if not is_wanted(self._settings):
                await asyncio.sleep(LOOK_S)
                continue
            since_s = clock.mono_s()
            process = self.process = await self._start()
            trouble = await self._watch(process)
            await _end(process)
            self.process = None
            if trouble is None or self._stopping.is_set():
                failures = 0
                continue
            self._count(trouble)
            failures = 1 if clock.mono_s() - since_s > STEADY_S else failures + 1
            pause_s = back_off_s(failures)
            structlog.get_logger().error(trouble, pid=process.pid, code=process.returncode, again_in_s=pause_s)
            await asyncio.sleep(pause_s)

    def _count(self, trouble: str) -> None:
        self._life = ComparerLife(
            restarts=self._life.restarts + 1, last_end=trouble, last_end_wall_s=round(clock.wall_s(), 3)
        )
        try:
            write_life(self._settings, self._life)
        except HostError as error:
            structlog.get_logger().error("the restarts of the comparer are not told", why=str(error))

    async def _watch(self, process: asyncio.subprocess.Process) -> str | None:
        """Returns when the process cannot be left alone: what is wrong with it; None: nobody wants it any more."""
        silent_s = 0.0
        while is_wanted(self._settings) and not self._stopping.is_set():
            asked_s, starved_s = clock.mono_s(), _starved_s(process.pid)
            answered = await answers(self._settings.socket(COMPARER))
            if process.returncode is not None:
                return "the comparer ended"
            await asyncio.sleep(LOOK_S)
            if answered or is_traced(process.pid):
                silent_s = 0.0
                continue
            # what passed while this process itself stood still was no silence of the comparer
            passed_s = min(clock.mono_s() - asked_s, ANSWER_S + LOOK_S) - (_starved_s(process.pid) - starved_s)
            silent_s = max(0.0, silent_s + passed_s)
            if silent_s > SILENT_S:
                return "the comparer answers nothing"
        return None


async def answers(socket: Path) -> bool:
    """Whether a comparer does, within two seconds."""
    return await ask_comparer(socket, "/state", {}, ANSWER_S) is not None


def _starved_s(pid: int) -> float:
    """How long its main thread had waited for a processor in all when it last got one: /proc/PID/schedstat, nanoseconds
    (Linux, Documentation/scheduler/sched-stats). 0 where the kernel does not say."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


def is_traced(pid: int) -> bool:
    """Whether somebody looks into it with a debugger: then its silence is meant. Linux only."""
    try:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    except OSError:
        return False
    return any(line.startswith("TracerPid:") and line.split()[1] != "0" for line in lines)


async def _end(process: asyncio.subprocess.Process) -> None:
    """By SIGTERM, where that helps. One that is frozen takes nothing but SIGKILL."""
    if process.returncode is None:
        process.terminate()
        try:
            async with asyncio.timeout(END_S):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
