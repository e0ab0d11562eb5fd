"""The machine in the way: what an operator is told, and what is left alone."""

from __future__ import annotations

import asyncio
import json
import os
import stat
from contextlib import suppress
from pathlib import Path

import pytest

from gslb.edge import EdgeRunner, find_envoy
from gslb.edge.admin import Admin
from gslb.edge.documents import Document
from gslb.edge.files import Files
from gslb.edge.process import Command, adopt, spawn
from gslb.errors import HostError
from gslb.snapshot.types import SiteName
from tests.e2e_edge.conftest import eventually

ROUTES = [{"name": "all", "split": {"old": 100}}]


def test_the_binary_of_the_package_is_found_and_a_wrong_setting_is_named(tmp_path):
    assert os.access(find_envoy(None), os.X_OK)
    assert find_envoy(str(find_envoy(None))) == find_envoy(None)
    (tmp_path / "envoy").write_text("not a program")
    for wrong in (tmp_path / "none", tmp_path / "envoy", tmp_path):
        with pytest.raises(HostError, match=str(wrong)) as error:
            find_envoy(str(wrong))
        assert "--envoy" in error.value.remedy


def test_a_folder_too_deep_for_a_unix_socket_is_named(tmp_path):
    with pytest.raises(HostError, match="too long for a unix socket"):
        Files(tmp_path / ("x" * 100)).make_folders()


def test_a_folder_that_cannot_be_made_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HostError, match="cannot be written"):
        Files(tmp_path / "file").make_folders()


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b'{"version_info": "1"}', b"\xff"])
def test_a_broken_file_counts_as_none(tmp_path, content):
    files = Files(tmp_path)
    files.make_folders()
    assert files.read(files.paths.routes) is None
    for path in files.read_all():
        Path(path).write_bytes(content)
    assert not files.complete()


def test_what_is_written_is_read_back_and_its_version_ends_in_its_digest(tmp_path):
    files = Files(tmp_path)
    files.make_folders()
    document = Document.of("3.1 abc", [{"name": "x"}])
    files.write(files.paths.routes, document)
    assert files.read(files.paths.routes) == document
    assert json.loads((tmp_path / "rds" / "routes.json").read_text())["version_info"] == f"3.1 abc {document.digest}"
    assert Document.of("4.0 def", [{"name": "x"}]).digest == document.digest
    files.write(files.paths.routes, None)
    assert files.read(files.paths.routes) is None


async def test_nobody_at_the_admin_socket_is_an_error_with_its_path(tmp_path):
    admin = Admin(str(tmp_path / "admin.sock"))
    assert await admin.ready(0.2) is None
    for ask in (admin.stats("x"), admin.listening(), admin.set_leaving(True)):
        with pytest.raises(HostError, match=r"admin\.sock"):
            await ask


async def test_an_admin_socket_that_never_answers_or_talks_nonsense(tmp_path):
    nonsense = b"HTTP/1.1 200 OK\r\ncontent-length: 4\r\nconnection: close\r\n\r\n[[1]"

    async def talk(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(nonsense)
        await writer.drain()
        writer.close()

    path = str(tmp_path / "admin.sock")
    server = await asyncio.start_unix_server(talk, path)
    admin = Admin(path)
    for ask in (admin.stats("x"), admin.listening()):
        with pytest.raises(HostError, match="cannot be read"):
            await ask
    server.close()
    await server.wait_closed()


def broken_envoy(tmp_path, script):
    binary = tmp_path / "envoy"
    binary.write_text(f"#!/bin/sh\n{script}\n")
    binary.chmod(binary.stat().st_mode | stat.S_IXUSR)
    return binary


async def test_an_envoy_that_ends_at_once_is_started_again_ever_more_slowly(stage, tmp_path):
    binary = broken_envoy(tmp_path, f"echo x >> {tmp_path}/starts; exit 3")
    runner = EdgeRunner(SiteName("dc"), tmp_path / "data", binary)
    files = Files(tmp_path / "data")
    files.make_folders()
    for path in files.read_all():
        files.write(path, Document.of("1.0 abc", []))
    async with asyncio.TaskGroup() as tasks:
        running = tasks.create_task(runner.run())

        async def thrice():
            state, _ = await runner.state()
            return state if state.restarts >= 3 and state.state == "backing_off" else None

        state = await eventually(thrice)
        running.cancel()
        with suppress(asyncio.CancelledError):
            await running
        await runner.close(end_envoy=True)
    assert (state.pid, state.last_end) == (None, "it exited with status 3")
    assert not files.process.exists()


async def test_a_pid_that_is_somebody_elses_by_now_is_left_alone(tmp_path):
    files = Files(tmp_path)
    files.make_folders()
    files.bootstrap.write_text("{}")
    command = Command(find_envoy(None), files.bootstrap, 1)
    for content in (
        "",
        "[]",
        '{"pid": 1}',
        json.dumps({"pid": os.getpid(), "start_ticks": 1, "digest": command.digest}),
    ):
        files.process.write_text(content)
        assert adopt(command, files) is None


async def test_a_program_that_cannot_be_run_is_an_error(tmp_path):
    files = Files(tmp_path)
    files.make_folders()
    files.bootstrap.write_text("{}")
    binary = tmp_path / "envoy"
    binary.write_bytes(b"\x7fELF")
    binary.chmod(0o700)
    with pytest.raises(HostError, match="cannot be started"):
        spawn(Command(binary, files.bootstrap, 1), files)


async def test_the_log_is_bounded(stage):
    old = stage.backend("old")
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot({"old": {"dc": [old.endpoint]}}, ROUTES))
        log = stage.folder / "dc" / "envoy.log"
        with log.open("ab") as file:
            file.write(b"x" * 9 * 1024**2)

        async def cut():
            return log.stat().st_size < 1024**2

        await eventually(cut)
        assert log.with_suffix(".log.1").stat().st_size >= 9 * 1024**2
