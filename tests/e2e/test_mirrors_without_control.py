"""Mirrors are stopped at an edge whose control is dead: by root at its socket, and by a signature over its endpoint. A
client asks all along; each request has a number, so that no copy can be taken for that of another one."""

import asyncio
import contextlib
import json
import os
import signal
from pathlib import Path

import aiohttp
import pytest

from tests.e2e.test_two_machines import Machines
from tests.support.backend import Backend
from tests.support.ports import free_port
from tests.support.running_demo import eventually, run_gslb

FIRST, SECOND = "127.0.9.31", "127.0.9.32"
IN_FORCE_S = 3.0
"""How long after the command returned an edge may still copy."""
POLICY = """
environment: two
zone: {{name: run.test, nameservers: {{ns1: {first}}}, ttl: 5s}}
sites:
  one: {{edges: [{{public: {second}}}], listen: {{http: {http}}}}}
apps:
  web:
    hosts: web
    backends: {{old: {{one: ["{old}"]}}, copy: {{one: ["{copy}"]}}}}
    routes:
      - {{name: all, split: {{old: 100}}, mirror: [{{to: copy, percent: 100}}]}}
"""


class Client:
    """Asks for /1, /2 and so on, one after the other, until it is ended."""

    def __init__(self, port: int, copy: Backend) -> None:
        self.url, self.copy = f"http://{SECOND}:{port}", f"http://{copy.endpoint}/~seen"
        self.asked, self.failed = 0, []

    async def run(self) -> None:
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=20)) as session:
            while True:
                self.asked += 1
                await self.ask(session, f"{self.url}/{self.asked}")
                await asyncio.sleep(0.02)

    async def ask(self, session: aiohttp.ClientSession, url: str) -> None:
        try:
            async with session.get(url, headers={"host": "web.run.test"}) as response:
                await response.read()
                if response.status != 200:
                    self.failed.append(response.status)
        except (aiohttp.ClientError, TimeoutError) as error:
            self.failed.append(repr(error))

    async def copied(self) -> int:
        """The highest number of which a copy was seen."""
        async with aiohttp.ClientSession() as session, session.get(self.copy) as response:
            return max((int(seen["path"].removeprefix("/")) for seen in await response.json()), default=0)

    async def copies(self) -> None:
        """Until a request from now on is copied."""
        number = self.asked

        async def seen():
            return await self.copied() > number

        await eventually(seen, 30, "requests are copied")

    async def more(self, count: int = 50) -> None:
        number = self.asked + count

        async def asked():
            return self.asked > number

        await eventually(asked, 60, "requests go on")


@contextlib.asynccontextmanager
async def asking(client: Client):
    task = asyncio.get_running_loop().create_task(client.run())
    try:
        yield
        assert not task.done()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@pytest.fixture
async def installed(tmp_path):
    """(the machines, a client, the address of the edge's endpoint): m1 has the control, m2 the edge."""
    machines, backends = Machines(tmp_path), {name: Backend(name, SECOND) for name in ("old", "copy")}
    http, api, node = free_port(SECOND), free_port(FIRST), free_port(SECOND)
    endpoints = {name: backend.endpoint for name, backend in backends.items()}
    (tmp_path / "policy").mkdir()
    text = POLICY.format(first=FIRST, second=SECOND, http=http, **endpoints)
    (tmp_path / "policy" / "policy.yaml").write_text(text)
    try:
        await machines.gslb(
            "m1", "identity", "init", "--policy", str(tmp_path / "policy"), "--name", "m1", "--roles", "control",
            "--api", f"https://{FIRST}:{api}", "--address", f"{FIRST}:{free_port(FIRST)}",
            "--data", str(tmp_path / "m1"),
        )  # fmt: skip
        await machines.run("m1", FIRST, str(tmp_path / "policy"), "--api", f"{FIRST}:{api}")
        await eventually(machines.in_sync, 60)
        token = (await machines.gslb("m1", "node", "token", "--roles", "edge", "--site", "one", "--json")).json["token"]
        await machines.gslb(
            "m2", "node", "join", "--control", f"https://{FIRST}:{api}", "--address", f"{SECOND}:{node}",
            "--name", "m2", "--data", str(tmp_path / "m2"), GSLB_JOIN_TOKEN=token,
        )  # fmt: skip
        await machines.run("m2", SECOND, "--concurrency", "1")
        await eventually(lambda: machines.in_sync("m2/edge-one"), 60)
        yield machines, Client(http, backends["copy"]), f"https://{SECOND}:{node}"
    finally:
        for process in machines.processes:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(signal.SIGINT)
                await process.wait()
        for backend in backends.values():
            backend.kill()


async def held(machines):
    """What the edge says of itself; None: nothing yet."""
    result = await run_gslb("node", "status", "--json", env=machines.env("m2"))
    return json.loads(result.out)["nodes"].get("edge-one") if result.code == 0 else None


async def stopped(machines, client, name: str, *command: str) -> int:
    """Stop the mirrors by `command` at the machine `name`. The number of a request from which on none may be copied."""
    await client.copies()
    await machines.gslb(name, *command)
    await asyncio.sleep(IN_FORCE_S)
    number = client.asked
    await client.more()
    assert await client.copied() <= number
    return number


@pytest.mark.timeout(300)
async def test_root_stops_them_at_the_edge_over_its_restarts_until_control_has_news(installed):
    machines, client, _ = installed
    control = machines.processes[0]
    async with asking(client):
        control.kill()
        await control.wait()
        number = await stopped(machines, client, "m2", "node", "mirror", "stop", "web/all", "--all", "--reason", "full")
        told = (await machines.gslb("m2", "node", "status")).out
        assert "broken glass: mirror stop web/all by" in " ".join(told.split())

        before = (await held(machines))["pid"]
        os.kill(before, signal.SIGKILL)

        async def again():
            state = await held(machines)
            return state and state["pid"] != before and state["ready"] and state["applied"] and state

        state = await eventually(again, 60, "the edge role is back")
        assert state["broken_glass"]["deeds"][0]["by"]["reason"] == "full"
        await client.more()
        assert await client.copied() <= number, "not even while it came back"

        refused = await run_gslb("node", "mirror", "stop", "web/al", "--all", env=machines.env("m2"))
        assert (refused.code, "did you mean all?" in refused.err) == (1, True), refused.err
        await machines.gslb("m2", "node", "mirror", "start", "web/all", "--all")
        await client.copies()
        await stopped(machines, client, "m2", "node", "mirror", "stop", "web", "--all")

        await machines.run("m1", FIRST, "--api", f"{FIRST}:{free_port(FIRST)}")

        async def is_shown():
            status = await machines.status()
            if not status or "web/all" not in status["mirrors"]:
                return False
            alarms = {alarm["rule"]: alarm["message"] for alarm in status["alarms"]}
            at_edge = status["mirrors"]["web/all"]["at_nodes"].get("m2/edge-one", "")
            return "mirror stop web" in alarms.get("broken-glass", "") and at_edge.startswith("stopped by")

        await eventually(is_shown, 60, "control shows what was done at the edge")
        number = client.asked
        await client.more()
        assert await client.copied() <= number, "a control without news changes nothing"
        await machines.gslb("m1", "shift", "web/all", "old=100")
        await client.copies()
        assert (await held(machines))["broken_glass"] is None
    assert client.failed == []


@pytest.mark.timeout(300)
async def test_a_signature_stops_them_from_elsewhere_once(installed, tmp_path):
    machines, client, url = installed
    control, data = machines.processes[0], tmp_path / "m1"
    secret = {"GSLB_PASSPHRASE": "a long enough passphrase"}
    key, ca = str(tmp_path / "ann.key"), str(data / "trust" / "ca.pem")
    at_edge = ("--node", url, "--ca", ca)

    async def sign(verb: str, scope: str, *more: str) -> str:
        file = tmp_path / f"{verb}-{scope.replace('/', '-')}.json"
        wanted = (scope, "--environment", "two", "--reason", "full", "--key", key, "-o", str(file), *more)
        await machines.gslb("m1", "override", "sign", "mirror", verb, *wanted, **secret)
        return str(file)

    async def refused(file: str, words: str) -> None:
        result = await run_gslb("node", "override", file, *at_edge, env=machines.env("m1"))
        assert (result.code, words in result.err) == (1, True), result.err

    before = (await held(machines))["signers"]
    await machines.gslb("m1", "override", "key", "ann", "-o", key, **secret)
    stop = await sign("stop", "web/all")
    await refused(stop, "[unknown-signer]")
    await machines.gslb("m1", "override", "believe", f"{key}.pub", "--data", str(data))

    async def believed():
        return (await held(machines))["signers"] > before

    await eventually(believed, 60, "the edge's machine believes the key")
    async with asking(client):
        control.kill()
        await control.wait()
        unsigned = tmp_path / "unsigned.json"
        unsigned.write_text(json.dumps({**json.loads(Path(stop).read_text()), "signature": ""}))
        await refused(str(unsigned), "[unsigned]")
        short = await sign("stop", "web", "--good-for", "1s")
        await asyncio.sleep(1.5)
        await refused(short, "[over]")
        await refused(await sign("stop", "web/al"), "did you mean all?")
        await stopped(machines, client, "m1", "node", "override", stop, *at_edge)
        await refused(stop, "[replayed]")
        (deed,) = (await held(machines))["broken_glass"]["deeds"]
        assert (deed["did"], deed["by"]["author"].endswith("(signed: ann)")) == ("mirror stop web/all", True)
        await machines.gslb("m1", "node", "override", await sign("start", "web/all"), *at_edge)
        await client.copies()
    assert client.failed == []
