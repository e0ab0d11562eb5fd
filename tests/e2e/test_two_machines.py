"""A second machine joins as its user would do it: one token, one command, `gslb run`; then it is removed."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
import pytest

from tests.support import shop_backend
from tests.support.backend import Backend
from tests.support.running_demo import GSLB, eventually, run_gslb

FIRST, SECOND = "127.0.9.11", "127.0.9.12"
API, NODES, DNS = 18063, 18900, 15363


def policy(edge: str, backends: dict[str, str], route: str) -> str:
    return f"""
environment: two
zone: {{name: run.test, nameservers: {{ns1: {FIRST}, ns2: {SECOND}}}, ttl: 5s}}
sites:
  one: {{edges: [{{public: {edge}}}], listen: {{http: 18080}}}}
apps:
  web:
    hosts: web
    backends: {json.dumps({name: {"one": [endpoint]} for name, endpoint in backends.items()})}
    routes: [{{name: all, {route}}}]
"""


class Machines:
    """Each with a runtime and a data folder of its own, as on two machines."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.processes = folder, []

    def env(self, name: str, **more: str) -> dict[str, str]:
        return {**os.environ, "GSLB_RUNTIME": str(self.folder / f"run-{name}"), **more}

    async def gslb(self, name: str, *args: str, **more: str):
        result = await run_gslb(*args, env=self.env(name, **more))
        assert result.code == 0, result.err
        return result

    async def run(self, name: str, address: str, *args: str) -> None:
        with (self.folder / f"log-{name}").open("ab") as log:
            self.processes.append(await asyncio.create_subprocess_exec(
                *GSLB, "run", *args, "--data", str(self.folder / name), "--dns", f"{address}:{DNS}",
                env=self.env(name), stdin=asyncio.subprocess.DEVNULL, stderr=log,
            ))  # fmt: skip

    async def status(self):
        result = await run_gslb("status", "--json", env=self.env("m1"))
        return json.loads(result.out) if result.code == 0 else None

    async def in_sync(self, *names: str):
        status = await self.status()
        roles = status["roles"] if status else {}
        return set(names) == set(roles) and all(role["in_sync"] for role in roles.values()) and status


async def answer(address: str):
    query = dns.message.make_query("web.run.test", "A")
    with contextlib.suppress(OSError):
        return await dns.asyncquery.udp(query, address, port=DNS, timeout=1)
    return None


@pytest.fixture
async def machines(tmp_path):
    made = Machines(tmp_path)
    (tmp_path / "policy").mkdir()
    text = policy(FIRST, {"page": f"{FIRST}:19001"}, "split: {page: 100}")
    (tmp_path / "policy" / "policy.yaml").write_text(text)
    try:
        yield made
    finally:
        for process in made.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
                await process.wait()


async def test_a_machine_joins_serves_and_is_removed(machines, tmp_path):
    await machines.gslb(
        "m1", "identity", "init", "--policy", str(tmp_path / "policy"), "--name", "m1", "--roles", "control,dns",
        "--api", f"https://{FIRST}:{API}", "--address", f"{FIRST}:{NODES}", "--data", str(tmp_path / "m1"),
    )  # fmt: skip
    await machines.run("m1", FIRST, str(tmp_path / "policy"), "--api", f"{FIRST}:{API}")
    await eventually(lambda: machines.in_sync("dns"), 60)

    token = (await machines.gslb("m1", "node", "token", "--roles", "dns", "--json")).json["token"]
    joined = await machines.gslb(
        "m2", "node", "join", "--control", f"https://{FIRST}:{API}", "--address", f"{SECOND}:{NODES}",
        "--name", "m2", "--data", str(tmp_path / "m2"), GSLB_JOIN_TOKEN=token,
    )  # fmt: skip
    assert "gslb run --roles dns" in joined.out
    await machines.run("m2", SECOND)
    await eventually(lambda: machines.in_sync("dns", "m2/dns"), 60)
    reply = await eventually(lambda: answer(SECOND), 10)
    assert reply.answer[0].to_text().endswith(FIRST)
    seen = (await machines.gslb("m1", "identity", "status", "--json")).json
    assert {one["name"]: bool(one["ends"]) for machine in seen["machines"] for one in machine["certificates"]} == {
        "m1/dns": True, "m1/control": True, "m2/dns": True,
    }  # fmt: skip
    again = await run_gslb(
        "node", "join", "--control", f"https://{FIRST}:{API}", "--address", f"{SECOND}:{NODES}", "--name", "m3",
        "--data", str(tmp_path / "m3"), env=machines.env("m3", GSLB_JOIN_TOKEN=token),
    )  # fmt: skip
    assert (again.code, "join-token-used" in again.err) == (1, True), again.err

    await machines.gslb("m1", "node", "remove", "m2", "--reason", "given back")
    await eventually(lambda: machines.in_sync("dns"), 20)
    assert (await answer(SECOND)).answer, "what it had it goes on to serve, until somebody ends it"
    secret = token.split(".")[2]
    assert not any(secret in path.read_text() for path in tmp_path.glob("log-*"))


async def test_what_an_edge_on_another_machine_compared_is_reported(machines, tmp_path):
    services = {name: Backend(name, SECOND, program=Path(shop_backend.__file__)) for name in ("old", "new")}
    endpoints = {name: service.endpoint for name, service in services.items()}
    route = "split: {old: 100}, mirror: [{to: new, percent: 100, compare: {sample: 100}}]"
    (tmp_path / "policy" / "policy.yaml").write_text(policy(SECOND, endpoints, route))
    try:
        await machines.gslb(
            "m1", "identity", "init", "--policy", str(tmp_path / "policy"), "--name", "m1", "--roles", "control",
            "--api", f"https://{FIRST}:{API}", "--address", f"{FIRST}:{NODES}", "--data", str(tmp_path / "m1"),
        )  # fmt: skip
        await machines.run("m1", FIRST, str(tmp_path / "policy"), "--api", f"{FIRST}:{API}")
        await eventually(machines.in_sync, 60)
        token = (await machines.gslb("m1", "node", "token", "--roles", "edge", "--site", "one", "--json")).json["token"]
        await machines.gslb(
            "m2", "node", "join", "--control", f"https://{FIRST}:{API}", "--address", f"{SECOND}:{NODES}",
            "--name", "m2", "--data", str(tmp_path / "m2"), GSLB_JOIN_TOKEN=token,
        )  # fmt: skip
        await machines.run("m2", SECOND)
        await eventually(lambda: machines.in_sync("m2/edge-one"), 60)

        async def reported():
            async with aiohttp.ClientSession() as session:
                await (await session.get(f"http://{SECOND}:18080/", headers={"host": "web.run.test"})).read()
            seen = (await machines.gslb("m1", "mirror", "report", "web/all", "--json")).json
            found = {item["path"] for item in seen["fields"] if item["verdict"] == "difference"}
            return seen if "body.currency" in found else None

        seen = await eventually(reported, 60)
        assert seen["edges"] == {"m2/edge-one": seen["pairs"]}
    finally:
        for service in services.values():
            service.kill()
