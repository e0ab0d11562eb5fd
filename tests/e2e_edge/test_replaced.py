"""An Envoy of other settings, as another version leaves it, is replaced without a gap: it serves until the next one does."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from gslb.edge import EdgeRunner, leaving
from gslb.edge.files import Files
from gslb.edge.process import end_left_behind
from gslb.snapshot.types import SiteName
from tests.e2e_edge.conftest import DC, HOST, eventually
from tests.support.http1 import Connection, load

ROUTES = [{"name": "all", "split": {"old": 100}}]
OTHER = 2
"""Threads; what was left has one."""
MIGRATES = Path("/proc/sys/net/ipv4/tcp_migrate_req").read_text().strip() == "1"
RESETS = 0 if MIGRATES else 2
"""Of some thousand new connections: those that the kernel had given to the old one in the moment when it stopped
listening. None with net.ipv4.tcp_migrate_req (Linux 5.14)."""


@pytest.fixture
async def left(stage):
    """An Envoy that was left serving: what it serves, and its pid."""
    snapshot = stage.snapshot({"old": {"dc": [stage.backend("old").endpoint]}}, ROUTES)
    async with stage.edge(end_envoy=False) as runner:
        await runner.publish(snapshot)
        state, _ = await runner.state()
    yield snapshot, state.pid
    await end_left_behind(stage.folder / "dc")


def is_there(pid):
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


async def gone(pid):
    async def ended():
        return not is_there(pid)

    await eventually(ended)


@asynccontextmanager
async def newcomers():
    """Requests without end, each over a connection of its own."""
    failed, asked, stop = [], [], asyncio.Event()

    async def work(port):
        while not stop.is_set():
            connection = Connection(DC, port, HOST)
            try:
                asked.append((await connection.ask("/")).status)
            except (OSError, asyncio.IncompleteReadError) as error:
                failed.append(type(error).__name__)
            await connection.close()
            await asyncio.sleep(0.004)

    yield failed, asked, work, stop


async def test_under_load_nothing_is_lost_but_what_the_kernel_cannot_move(stage, left):
    snapshot, before = left
    async with newcomers() as (failed, asked, work, stop), asyncio.TaskGroup() as tasks:
        new = [tasks.create_task(work(stage.port)) for _ in range(6)]
        async with (
            load(DC, stage.port, HOST, "/") as result,
            stage.edge(concurrency=OTHER, end_envoy=False) as runner,
        ):
            await runner.publish(snapshot)
            state, _ = await runner.state()
            assert (state.adopted, state.last_end) == (False, "it ran with other settings")
            assert state.pid != before
            await gone(before)
            total = result.total

            async def more():
                return result.total > total + 50

            await eventually(more)
            stop.set()
            await asyncio.gather(*new)
        assert result.closes > 0, "who had a connection was told to go"
    assert {*failed, *result.failures} <= {"ConnectionResetError"}
    assert len(failed) + result.failures.total() <= RESETS
    assert set(asked) == {200}
    assert not Files(stage.folder / "dc").leaving.exists()


async def test_who_says_nothing_is_cut_off_after_a_while(stage, left, monkeypatch):
    monkeypatch.setattr(leaving, "LEAVE_S", 1.0)
    snapshot, before = left
    _, idle = await asyncio.open_connection(DC, stage.port)
    async with stage.edge(concurrency=OTHER) as runner:
        await runner.publish(snapshot)
        await gone(before)
        assert (await stage.connection().ask("/")).status == 200
    idle.close()


async def test_a_frozen_one_is_ended_at_once(stage, left):
    snapshot, before = left
    os.kill(before, signal.SIGSTOP)
    async with stage.edge(concurrency=OTHER) as runner:
        await runner.publish(snapshot)
        assert not is_there(before)
        assert (await stage.connection().ask("/")).status == 200


async def test_a_role_that_ends_meanwhile_leaves_both_and_the_next_one_goes_on(stage, left, monkeypatch):
    snapshot, before = left
    with monkeypatch.context() as patient:
        patient.setattr(leaving, "LEAVE_S", 60.0)
        _, idle = await asyncio.open_connection(DC, stage.port)
        async with stage.edge(concurrency=OTHER, end_envoy=False) as runner:
            await runner.publish(snapshot)
            first, _ = await runner.state()
        assert is_there(before)
    idle.close()
    async with stage.edge(concurrency=OTHER) as runner:
        await runner.publish(snapshot)
        second, _ = await runner.state()
        assert (second.pid, second.adopted) == (first.pid, True)
        await gone(before)
        assert (await stage.connection().ask("/")).status == 200


async def test_settings_that_change_twice_leave_one_alone(stage, left, monkeypatch):
    monkeypatch.setattr(leaving, "LEAVE_S", 60.0)
    snapshot, before = left
    _, idle = await asyncio.open_connection(DC, stage.port)
    async with stage.edge(concurrency=OTHER, end_envoy=False) as runner:
        await runner.publish(snapshot)
        second, _ = await runner.state()
    async with stage.edge(concurrency=OTHER + 1) as runner:
        await runner.publish(snapshot)
        assert not is_there(before)
        await gone(second.pid)
        assert (await stage.connection().ask("/")).status == 200
    idle.close()


@pytest.mark.parametrize("dies", [False, True])
async def test_while_the_next_one_cannot_start_the_old_one_serves(stage, left, tmp_path, monkeypatch, dies):
    monkeypatch.setattr(leaving, "LEAVE_S", 1.0)
    snapshot, before = left
    broken = tmp_path / "envoy"
    broken.write_text("#!/bin/sh\nexit 3\n")
    broken.chmod(0o700)
    runner = EdgeRunner(SiteName("dc"), stage.folder / "dc", broken)
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(runner.run())

        async def tried():
            return (await runner.state())[0].restarts

        await eventually(tried)
        assert is_there(before)
        assert runner.serves
        assert (await stage.connection().ask("/")).status == 200
        if dies:
            os.kill(before, signal.SIGKILL)

            async def nobody_serves():
                return not runner.serves

            await eventually(nobody_serves)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
    await runner.close(end_envoy=False)
    async with stage.edge() as repaired:
        await repaired.publish(snapshot)
        await gone(before)
        assert (await stage.connection().ask("/")).status == 200


async def test_the_supervisor_ends_both(stage, left, monkeypatch):
    monkeypatch.setattr(leaving, "LEAVE_S", 60.0)
    snapshot, before = left
    _, idle = await asyncio.open_connection(DC, stage.port)
    async with stage.edge(concurrency=OTHER, end_envoy=False) as runner:
        await runner.publish(snapshot)
        state, _ = await runner.state()
    await end_left_behind(stage.folder / "dc")
    assert not is_there(before)
    assert not is_there(state.pid)
    idle.close()
