"""A comparer is kept running: what ends, freezes or answers nothing is replaced, in pauses; nobody wants it, it ends."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from contextlib import asynccontextmanager

import pytest

from gslb import clock
from gslb.compare.rules import written_rules
from gslb.control.compared import COMPARER
from gslb.roles.comparisons import comparer_kept
from gslb.roles.comparisons.comparer_kept import ComparerKeeper
from gslb.roles.comparisons.comparing import ComparerDesk, forget_comparisons
from gslb.roles.settings import Settings
from gslb.snapshot.types import SiteName
from tests.unit.compare.captures import RULES

MUTE = "import socket, sys, time; s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[1]); s.listen(); time.sleep(600)"
DEBUGGER = """
import ctypes, sys
ATTACH, DETACH = 16, 17
ptrace = ctypes.CDLL(None, use_errno=True).ptrace
ptrace.argtypes = [ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p]
pid = int(sys.argv[1])
assert ptrace(ATTACH, pid, None, None) == 0, ctypes.get_errno()
print("stopped", flush=True)
sys.stdin.read()
assert ptrace(DETACH, pid, None, None) == 0, ctypes.get_errno()
"""


STARVED = "import os; os.nice(19); os.sched_setaffinity(0, {0})\nwhile True: pass"
BUSY = "import os, time; os.sched_setaffinity(0, {0})\nwhile time.monotonic() < %f: pass"


class Kept:
    """A keeper with its processes: the comparer itself, or another program."""

    def __init__(self, folder):
        self.settings = Settings(runtime=folder, data=folder, sites=("dc",))
        self.settings.save()
        self.rules = folder / COMPARER / "dc.json"
        self.rules.parent.mkdir()
        self.stopping = asyncio.Event()
        self.keeper = ComparerKeeper(self.settings, self.start, self.stopping)
        self.started = []
        self.program = None

    async def start(self):
        command = ["-m", "gslb.roles", COMPARER, "--settings", str(self.settings.runtime / "settings.json")]
        if self.program is not None:
            self.settings.socket(COMPARER).unlink(missing_ok=True)
            command = ["-c", self.program, str(self.settings.socket(COMPARER))]
        process = await asyncio.create_subprocess_exec(sys.executable, *command)
        self.started.append((process, clock.mono_s()))
        return process

    def want(self):
        self.rules.write_bytes(written_rules([RULES]))

    async def until(self, check):
        async with asyncio.timeout(30):
            while not (found := await check()):
                await asyncio.sleep(0.05)
        return found

    async def answering(self, other_than=None):
        """The process that answers, once it is not `other_than`."""

        async def check():
            process = self.keeper.process
            if process is None or process is other_than:
                return None
            return process if await comparer_kept.answers(self.settings.socket(COMPARER)) else None

        return await self.until(check)

    async def starts(self, number):
        async def check():
            return len(self.started) >= number

        await self.until(check)


@pytest.fixture
def short(monkeypatch):
    for name, seconds in (("LOOK_S", 0.05), ("ANSWER_S", 0.3), ("SILENT_S", 1.0)):
        monkeypatch.setattr(comparer_kept, name, seconds)


@asynccontextmanager
async def kept(folder, *, program=None):
    made = Kept(folder)
    made.program = program
    made.want()
    running = asyncio.get_running_loop().create_task(made.keeper.run())
    try:
        yield made
    finally:
        made.stopping.set()
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        for process, _ in made.started:
            if process.returncode is None:
                process.kill()
                await process.wait()


@pytest.mark.usefixtures("short")
async def test_one_that_freezes_is_ended_and_another_one_answers(tmp_path, monkeypatch):
    monkeypatch.setattr(comparer_kept, "SILENT_S", 10.0)
    async with kept(tmp_path) as made:
        first = await made.answering()
        os.kill(first.pid, signal.SIGSTOP)
        second = await made.answering(first)
        assert (first.returncode, second.returncode) == (-signal.SIGKILL, None)


@pytest.mark.usefixtures("short")
async def test_every_restart_is_told_to_the_edges_with_its_cause(tmp_path, monkeypatch):
    monkeypatch.setattr(comparer_kept, "SILENT_S", 10.0)
    async with kept(tmp_path) as made:
        desk = ComparerDesk(made.settings, SiteName("dc"))

        async def seen():
            await desk.look()
            return desk.state and desk.state.pid, desk.life.restarts, desk.life.last_end

        first = await made.answering()
        assert await seen() == (first.pid, 0, "")
        first.kill()
        second = await made.answering(first)
        assert await seen() == (second.pid, 1, "the comparer ended")
        os.kill(second.pid, signal.SIGSTOP)
        third = await made.answering(second)
        assert await seen() == (third.pid, 2, "the comparer answers nothing")
        assert desk.life.last_end_wall_s > 0
        forget_comparisons(made.settings)
        assert await seen() == (None, 0, ""), "another supervisor counts anew"


@pytest.mark.usefixtures("short")
async def test_one_that_somebody_debugs_is_left_alone(tmp_path, monkeypatch):
    monkeypatch.setattr(comparer_kept, "SILENT_S", 5.0)
    async with kept(tmp_path) as made:
        first = await made.answering()
        debugger = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            DEBUGGER,
            str(first.pid),
            stdout=asyncio.subprocess.PIPE,
            stdin=asyncio.subprocess.PIPE,
        )
        assert await debugger.stdout.readline() == b"stopped\n"
        await asyncio.sleep(8.0)
        assert comparer_kept.is_traced(first.pid)
        assert (made.keeper.process, first.returncode, len(made.started)) == (first, None, 1)
        debugger.stdin.close()
        await debugger.wait()
        assert await made.answering() is first
        assert not comparer_kept.is_traced(first.pid)


@pytest.mark.usefixtures("short")
async def test_a_disk_that_takes_no_word_of_it_keeps_nobody_from_starting_it_again(tmp_path, monkeypatch):
    monkeypatch.setattr(comparer_kept, "SILENT_S", 10.0)
    async with kept(tmp_path) as made:
        first = await made.answering()
        (made.rules.parent / "life").mkdir()
        first.kill()
        await made.answering(first)


@pytest.mark.usefixtures("short")
async def test_who_never_answers_is_ended_again_and_again_with_longer_and_longer_pauses(tmp_path, monkeypatch):
    pauses = []
    monkeypatch.setattr(comparer_kept, "back_off_s", lambda failures: pauses.append(failures) or 0.1)
    async with kept(tmp_path, program=MUTE) as made:
        await made.starts(3)
    assert pauses[:2] == [1, 2]
    assert all(process.returncode == -signal.SIGTERM for process, _ in made.started[:2])
    (_, one), (_, two), *_ = made.started
    assert two - one > 1.0


@pytest.mark.usefixtures("short")
async def test_one_that_gets_no_processor_is_not_silent(tmp_path, monkeypatch):
    monkeypatch.setattr(comparer_kept, "SILENT_S", 2.5)
    busy = [subprocess.Popen([sys.executable, "-c", BUSY % (clock.mono_s() + 7)]) for _ in range(3)]
    try:
        async with kept(tmp_path, program=STARVED) as made:
            await asyncio.sleep(5)
            assert len(made.started) == 1
            for process in busy:
                process.kill()
            await made.starts(2)
    finally:
        for process in busy:
            process.kill()
            process.wait()


@pytest.mark.usefixtures("short")
async def test_a_keeper_that_was_frozen_itself_ends_nobody(tmp_path, monkeypatch):
    """Silence is what was waited, not what a clock says."""
    monkeypatch.setattr(comparer_kept, "SILENT_S", 10.0)
    async with kept(tmp_path) as made:
        first = await made.answering()
        now = [0.0]

        def leaping():
            now[0] += 3600.0
            return now[0]

        monkeypatch.setattr(comparer_kept.clock, "mono_s", leaping)
        os.kill(first.pid, signal.SIGSTOP)
        await asyncio.sleep(1.0)
        os.kill(first.pid, signal.SIGCONT)
        await asyncio.sleep(0.5)
        assert (made.keeper.process, first.returncode, len(made.started)) == (first, None, 1)


@pytest.mark.usefixtures("short")
async def test_where_nobody_compares_any_more_it_ends_and_comes_back_when_somebody_does(tmp_path, monkeypatch):
    for name, seconds in (("SILENT_S", 10.0), ("END_S", 30.0)):
        monkeypatch.setattr(comparer_kept, name, seconds)
    async with kept(tmp_path) as made:
        first = await made.answering()
        made.rules.unlink()

        async def ended():
            return made.keeper.process is None

        await made.until(ended)
        assert first.returncode == 0
        made.want()
        await made.answering(first)


@pytest.mark.usefixtures("short")
async def test_one_that_does_not_end_when_it_is_asked_to_is_ended_all_the_same(tmp_path, monkeypatch):
    monkeypatch.setattr(comparer_kept, "SILENT_S", 30.0)
    async with kept(tmp_path) as made:
        first = await made.answering()
        os.kill(first.pid, signal.SIGSTOP)
        made.rules.unlink()

        async def ended():
            return made.keeper.process is None

        await made.until(ended)
        assert first.returncode == -signal.SIGKILL
