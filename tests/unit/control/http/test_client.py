from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from gslb.control.http import client
from gslb.control.http.client import Client, control_socket, path_of, runtime_folder
from gslb.errors import HostError, PolicyError, RefusedError
from tests.unit.control.serving import served
from tests.unit.control.world import MemoryPublisher, intent


@pytest.fixture
def publisher():
    return MemoryPublisher(intent())


@pytest.fixture
def server(publisher, tmp_path):
    with served(publisher, tmp_path) as places:
        yield places


@pytest.mark.parametrize("prefix", ["", "unix:"])
def test_it_reads_and_writes_over_the_socket(server, publisher, prefix):
    asked = Client(f"{prefix}{server[0]}")
    assert asked.get("/v1/status")["environment"] == "test"
    answer = asked.post("/v1/drains", {"site": "dc"})
    assert answer["undo"] == "gslb undrain dc"
    assert asked.delete(path_of("drains", "dc"), {"app": None, "author": "ö&b=1"})["undo"] == "gslb drain dc"
    assert asked.get("/v1/history", {"limit": "1"})["changes"][0]["author"] == "ö&b=1"


def test_it_reads_over_tcp_and_is_told_where_to_write(server):
    asked = Client(server[1])
    assert asked.get("/v1/status")["environment"] == "test"
    with pytest.raises(RefusedError, match="unix socket") as caught:
        asked.post("/v1/drains", {"site": "dc"})
    assert caught.value.rule == "no-token"


def test_the_default_is_this_machines_socket(server, monkeypatch):
    monkeypatch.setenv("GSLB_RUNTIME", str(server[0].parent))
    assert Client().get("/healthz")["status"] == "ok"


def test_errors_come_back_as_what_they_were(server, publisher):
    asked = Client(str(server[0]))
    with pytest.raises(PolicyError) as wrong:
        asked.post("/v1/shifts", {"app": "shop", "route": "pay", "split": {"nope": 1, "checkout": 0.001}})
    assert sorted(problem.rule for problem in wrong.value.problems) == ["percent", "unknown-backend"]
    asked.post("/v1/drains", {"site": "dc"})
    with pytest.raises(RefusedError) as refused:
        asked.post("/v1/drains", {"site": "aws"})
    assert refused.value.rule == "last-site"
    assert "--allow last-site" in refused.value.remedy
    publisher.broken = True
    with pytest.raises(HostError, match="the disk is full") as broken:
        asked.delete(path_of("drains", "dc"))
    assert broken.value.remedy == "free some space"


def test_a_part_of_a_path_cannot_leave_its_place(server):
    with pytest.raises((PolicyError, RefusedError)):
        Client(str(server[0])).delete(path_of("shifts", "../../healthz?", "x/y#z"))


def test_a_machine_that_runs_nodes_and_no_control_says_so(tmp_path):
    with socket.socket(socket.AF_UNIX) as node:
        node.bind(str(tmp_path / "dns.sock"))
        with pytest.raises(HostError, match="gslb runs here, and no control") as caught:
            Client(str(control_socket(tmp_path))).get("/v1/status")
        assert "gslb node status" in caught.value.remedy
        with pytest.raises(HostError, match="there is no gslb at"):
            Client(str(tmp_path / "edge-dc.sock")).get("/v1/nodes")


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda folder: folder / "control.sock", "there is no gslb"),
        (lambda folder: folder / ("x" * 200), "too long"),
        (lambda folder: (folder / "file").touch() or folder / "file", "nobody answers"),
        (lambda folder: _dead(folder / "dead"), "nobody answers"),
        (lambda folder: folder / "file" / "below", "Not a directory"),
    ],
)
def test_where_nobody_is_the_operator_is_told_how_to_start(tmp_path, make, words):
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match=words) as caught:
        Client(str(make(tmp_path))).get("/v1/status")
    assert "gslb run" in caught.value.remedy


def _dead(path):
    with socket.socket(socket.AF_UNIX) as made:
        made.bind(str(path))
    return path


@pytest.mark.parametrize(
    "server", ["https://", "http://", "http://127.0.7.1:99999", "https://127.0.7.1/x", "http://a@127.0.7.1"]
)
def test_a_server_that_cannot_be_asked(server):
    with pytest.raises(HostError, match="not a server"):
        Client(server).get("/v1/status")


@contextmanager
def talking(path, said):
    """Somebody at `path` who says `said`, whatever is asked; None: nothing."""
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen(1)
        done = threading.Event()

        def answer():
            with listening.accept()[0] as peer:
                peer.recv(10_000)
                if said is None:
                    done.wait(10)
                else:
                    peer.sendall(said)

        thread = threading.Thread(target=answer)
        thread.start()
        yield
        done.set()
        thread.join()


@pytest.mark.parametrize("said", [b"", b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"])
def test_a_control_that_dies_with_a_change_under_way_leaves_it_in_doubt(tmp_path, said):
    """The request has gone out: nobody may read from the message that nothing has changed."""
    with talking(tmp_path / "s", said), pytest.raises(HostError, match="broke before it had answered") as caught:
        Client(str(tmp_path / "s")).post("/v1/drains", {"site": "dc"})
    assert "may have been made" in caught.value.remedy
    assert "gslb history" in caught.value.remedy


@pytest.mark.parametrize(
    ("said", "words"),
    [
        (b"", "cannot be asked"),
        (b"SSH-2.0-OpenSSH_9.2\r\n", "cannot be asked"),
        (b"HTTP/1.0 200 OK\r\n\r\n<html>", "is not gslb"),
        (b"HTTP/1.0 500 Oh\r\n\r\n[1]", "is not gslb"),
        (b"HTTP/1.0 502 Oh\r\n\r\n{}", "HTTP status 502"),
    ],
)
def test_somebody_else_at_the_socket(tmp_path, said, words):
    with talking(tmp_path / "s", said), pytest.raises(HostError, match=words):
        Client(str(tmp_path / "s")).get("/v1/status")


def test_control_that_does_not_answer(tmp_path, monkeypatch):
    monkeypatch.setattr(client, "TIMEOUT_S", 0.05)
    with talking(tmp_path / "s", None), pytest.raises(HostError, match="did not answer") as caught:
        Client(str(tmp_path / "s")).post("/v1/drains", {"site": "dc"})
    assert "may have been made" in caught.value.remedy
    monkeypatch.setattr(client, "READ_TIMEOUT_S", 0.05)
    with talking(tmp_path / "t", None), pytest.raises(HostError, match="did not answer") as caught:
        Client(str(tmp_path / "t")).get("/v1/status")
    assert "gslb node status" in caught.value.remedy


@pytest.mark.parametrize(
    ("environment", "uid", "folder"),
    [
        ({"GSLB_RUNTIME": "/x", "XDG_RUNTIME_DIR": "/run/user/7"}, 0, "/x"),
        ({"XDG_RUNTIME_DIR": "/run/user/0"}, 0, "/run/gslb"),
        ({"XDG_RUNTIME_DIR": "/run/user/7"}, 7, "/run/user/7/gslb"),
        ({}, 7, "/tmp/gslb-7"),
    ],
)
def test_the_runtime_folder_depends_on_who_runs_it(monkeypatch, environment, uid, folder):
    for name in ("GSLB_RUNTIME", "XDG_RUNTIME_DIR"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "getuid", lambda: uid)
    assert runtime_folder() == Path(folder)
    assert control_socket(runtime_folder()) == Path(folder) / "control.sock"


def test_the_import_stays_light():
    """Every command waits for it, so nothing heavy may come along."""
    heavy = "{'pydantic', 'aiohttp', 'asyncio', 'rich', 'prometheus_client', 'yaml'}"
    code = f"import sys, gslb.control.http.client, gslb.cli.operate; print(*({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == ""
