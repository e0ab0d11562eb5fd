"""Starting, seeing, stopping: what `gslb demo` promises, and what it says when it cannot."""

import asyncio
import json
import os
import signal
import socket
import sqlite3
from pathlib import Path

import aiohttp
import pytest

from gslb.dns.native import choose
from tests.support.running_demo import eventually, run_gslb, running_demo


def processes_of(demo) -> set[int]:
    """Every process whose environment names this demo's runtime folder."""
    marker = f"GSLB_RUNTIME={demo.env['GSLB_RUNTIME']}".encode()
    found = set()
    for folder in Path("/proc").iterdir():
        if folder.name.isdigit():
            try:
                if marker in (folder / "environ").read_bytes().split(b"\0"):
                    found.add(int(folder.name))
            except OSError:
                continue
    return found


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
async def test_stops_within_five_seconds_and_leaves_nothing(tmp_path, number):
    before = set(Path("/dev/shm").iterdir())
    async with running_demo(tmp_path) as demo:
        assert len(processes_of(demo)) >= 8
        data = Path(demo.facts["data"])
        assert data.is_dir()
        demo.process.send_signal(number)
        await asyncio.wait_for(demo.process.wait(), 10)
        assert demo.process.returncode == 0
        assert processes_of(demo) == set()
        assert not data.exists()
    assert set(Path("/dev/shm").iterdir()) <= before


async def test_an_envoy_whose_role_was_just_killed_is_not_left(tmp_path):
    """Whoever is not there any more, or has only just started, cannot end its Envoy."""
    async with running_demo(tmp_path) as demo:
        roles = (await demo.status())["roles"]
        os.kill(roles["edge-dc"]["pid"], signal.SIGKILL)
        demo.process.send_signal(signal.SIGINT)
        await asyncio.wait_for(demo.process.wait(), 10)
        assert processes_of(demo) == set()


async def test_a_killed_demo_takes_its_processes_with_it(tmp_path):
    async with running_demo(tmp_path) as demo:
        demo.process.kill()
        await demo.process.wait()

        async def gone():
            return not processes_of(demo)

        await eventually(gone)


async def test_status_has_the_promised_shape(demo):
    await demo.services("/checkout/x", 10)
    status = await demo.status()
    assert status["environment"] == "demo"
    assert status["snapshot"]["revision"] == 1
    assert status["snapshot"]["digest"]
    assert set(status["roles"]) >= {"dns", "edge-dc", "edge-aws"}
    for site in status["sites"].values():
        assert site["verdict"] == "up"
        assert site["reason"]
        assert site["since"].endswith("Z")
    assert set(status["splits"]) == {"shop/checkout", "shop/account", "shop/rest"}
    assert set(status["mirrors"]) == {"shop/checkout"}
    table = await demo.gslb("status")
    assert table.code == 0
    for word in ("dc", "aws", "shop/checkout", "90", "up"):
        assert word in table.out


async def test_the_tcp_port_reads_and_writes_for_nobody_without_a_token(demo):
    async with aiohttp.ClientSession("http://127.0.0.1:8053") as session:
        for path in ("/", "/metrics", "/openapi.json", "/v1/status"):
            async with session.get(path) as response:
                assert response.status == 200, path
                text = await response.text()
                if path == "/metrics":
                    assert "gslb_build_info{" in text
                    assert f'wire="{choose("auto")}"' in text
                if path == "/openapi.json":
                    assert json.loads(text)["openapi"].startswith("3.1")
        async with session.post("/v1/drains", json={"site": "dc"}) as response:
            assert response.status == 401
        async with session.delete("/v1/drains/dc") as response:
            assert response.status == 401
        async with session.get("/v1/status", headers={"host": "evil.example"}) as response:
            assert response.status in (403, 421)
    assert not (await demo.status())["sites"]["dc"]["drained"]


async def test_the_socket_is_for_its_owner_only(demo):
    for socket_file in Path(demo.env["GSLB_RUNTIME"]).glob("*.sock"):
        assert socket_file.stat().st_mode & 0o077 == 0, socket_file


async def test_a_second_demo_says_that_one_is_running(demo):
    second = await run_gslb("demo", "--json", env=demo.env)
    assert second.code == 2
    assert str(demo.process.pid) in second.err
    assert second.out == ""
    elsewhere = await run_gslb("demo", "--json", "--runtime", f"{demo.env['GSLB_RUNTIME']}2", env=demo.env)
    assert elsewhere.code == 2
    assert "127.0.1.1:9001" in elsewhere.err
    assert (await demo.status())["environment"] == "demo"


async def refused(tmp_path, *args: str) -> str:
    result = await run_gslb("demo", "--json", *args, env={**os.environ, "GSLB_RUNTIME": str(tmp_path / "run")})
    assert result.code == 2, result
    assert result.out == ""
    assert "Traceback" not in result.err
    return result.err


async def test_a_port_in_use_is_named(tmp_path):
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as taken:
        taken.bind(("127.0.0.1", 5300))
        assert "127.0.0.1:5300" in await refused(tmp_path)
    with socket.create_server(("127.0.0.1", 8053)):
        assert "127.0.0.1:8053" in await refused(tmp_path)
    with socket.create_server(("127.0.1.1", 8080), reuse_port=True):
        assert "127.0.1.1:8080" in await refused(tmp_path)


async def test_no_envoy_binary_is_said(tmp_path):
    assert "/no/such/envoy" in await refused(tmp_path, "--envoy", "/no/such/envoy")


async def test_a_data_folder_from_a_newer_version_is_left_alone(tmp_path):
    data = tmp_path / "data"
    async with running_demo(tmp_path, "--data", str(data)):
        pass
    (file,) = data.glob("*.db")
    with sqlite3.connect(file) as database:
        database.execute("UPDATE meta SET value = '999'")
    database.close()
    before = file.read_bytes()
    assert "newer" in await refused(tmp_path, "--data", str(data))
    assert file.read_bytes() == before


async def test_a_data_folder_that_is_a_file_is_said(tmp_path):
    file = tmp_path / "data"
    file.write_text("")
    assert str(file) in await refused(tmp_path, "--data", str(file))


async def test_kept_data_goes_on_where_it_was(tmp_path):
    data = tmp_path / "data"
    async with running_demo(tmp_path / "1", "--data", str(data)) as demo:
        assert (await demo.gslb("shift", "shop/checkout", "checkout=30")).code == 0
        before = await demo.status()
    async with running_demo(tmp_path / "2", "--data", str(data)) as demo:
        after = await demo.status()
        assert after["splits"]["shop/checkout"]["intended"] == {"checkout": 30, "monolith": 70}
        assert after["snapshot"]["digest"] == before["snapshot"]["digest"]


async def test_a_bad_policy_is_told_whole_and_nothing_starts(tmp_path):
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "a.yaml").write_text("zone: {name: x.test}\nsites: {}\n")
    result = await run_gslb("demo", str(folder), "--json", env={**os.environ, "GSLB_RUNTIME": str(tmp_path / "run")})
    assert result.code == 1
    assert "a.yaml:1" in result.err
    assert result.out == ""
