"""Two sites on one machine whose edges reach each other's backends by the peer hop: `gslb run` and `gslb demo`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal

import aiohttp
import pytest

from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.identities.identity import Identity
from gslb.trust.identity_files import IdentityFolder, read_machine
from tests.support.running_demo import GSLB, eventually, run_gslb, running_demo

DC, AWS = "127.0.9.21", "127.0.9.22"
HTTP, PEER, BACKEND = 18080, 18443, 19021
POLICY = f"""
environment: one-machine
zone: {{name: run.test, nameservers: {{ns1: {DC}}}, ttl: 5s}}
sites:
  dc: {{edges: [{{public: {DC}, peer: "{DC}:{PEER}"}}], listen: {{http: {HTTP}}}}}
  aws: {{edges: [{{public: {AWS}, peer: "{AWS}:{PEER}"}}], listen: {{http: {HTTP}}}}}
apps:
  web:
    hosts: web
    backends:
      page: {{via: edge, aws: ["{AWS}:{BACKEND}"]}}
    routes: [{{name: all, split: {{page: 100}}}}]
"""


class OneMachine:
    def __init__(self, folder) -> None:
        self.folder, self.data, self.policy = folder, folder / "data", folder / "policy"
        self.env = {**os.environ, "GSLB_RUNTIME": str(folder / "run")}
        self.process = None

    async def start(self, *args: str) -> None:
        with (self.folder / "log").open("ab") as log:
            self.process = await asyncio.create_subprocess_exec(
                *GSLB, "run", str(self.policy), *args, "--data", str(self.data), "--dns", f"{DC}:15363",
                "--api", "127.0.0.1:18073", "--concurrency", "1",
                env=self.env, stdin=asyncio.subprocess.DEVNULL, stderr=log,
            )  # fmt: skip

    async def begin(self) -> None:
        begun = await run_gslb("identity", "init", "--policy", str(self.policy), "--name", "m1", "--data",
                               str(self.data), env=self.env)  # fmt: skip
        assert begun.code == 0, begun.err

    async def status(self):
        result = await run_gslb("status", "--json", env=self.env)
        return json.loads(result.out) if result.code == 0 else None

    async def ready(self):
        assert self.process.returncode is None, (self.folder / "log").read_text()
        status = await self.status()
        roles = status["roles"].values() if status and status["snapshot"] else ()
        return roles and all(role["in_sync"] and role["state"] == "ready" for role in roles) and status

    async def renew(self, process: str) -> None:
        """As the role does it when half of the certificate's life is over."""
        identity = Identity(self.data, process, read_machine(self.data / "trust"))

        async def ask(wanted):
            client = NodeClient("control", self.folder / "run" / "control.sock", process)
            try:
                status, body = await client.call("POST", "/v1/certificates", json.dumps(dict(wanted)), 10)
            finally:
                await client.close()
            assert status == 200, body
            return json.loads(body)

        await identity.renew(ask)


@pytest.fixture
async def machine(tmp_path):
    made = OneMachine(tmp_path)
    made.policy.mkdir()
    (made.policy / "policy.yaml").write_text(POLICY)
    backend = await asyncio.create_subprocess_exec(
        GSLB[0].removesuffix("gslb") + "python", "-m", "gslb.demo.backend",
        "--service", "page", "--site", "aws", "--listen", f"{AWS}:{BACKEND}", stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    await backend.stdout.readline()
    try:
        yield made
    finally:
        for process in (made.process, backend):
            with contextlib.suppress(ProcessLookupError, AttributeError):
                process.send_signal(signal.SIGINT)
                await process.wait()


async def shown_serial(machine) -> int:
    """The serial number of what the edge of aws shows now to that of dc."""
    identity = Identity(machine.data, "edge-dc", read_machine(machine.data / "trust"))
    _, writer = await asyncio.open_connection(AWS, PEER, ssl=identity.tls(), server_hostname="page.web.gslb-hop")
    try:
        return int(writer.get_extra_info("ssl_object").getpeercert()["serialNumber"], 16)
    finally:
        writer.close()


def serial_on_disk(machine, process: str) -> int:
    return IdentityFolder(machine.data / "trust", process).read().chain[0].serial_number


async def peer_requests(machine) -> int:
    status = await machine.status()
    return sum(status["edges"]["aws"]["peer_requests"].values())


async def test_the_edges_of_one_machine_reach_each_other_and_take_renewed_certificates(machine):
    await machine.begin()
    await machine.start()
    await eventually(machine.ready, 60)
    seen = json.loads((await run_gslb("identity", "status", "--json", env=machine.env)).out)
    told = {one["name"]: bool(one["ends"]) for one in seen["machines"][0]["certificates"]}
    assert told == {"m1/dns": True, "m1/edge-dc": True, "m1/edge-aws": True, "m1/control": True}

    outcomes, stop = [], asyncio.Event()

    async def load() -> None:
        async with aiohttp.ClientSession() as session:
            while not stop.is_set():
                async with session.get(f"http://{DC}:{HTTP}/x", headers={"host": "web.run.test"}) as response:
                    body = await response.json(content_type=None)
                    outcomes.append((response.status, body["site"] if response.status == 200 else None))
                await asyncio.sleep(0.01)

    envoys = {name: edge["pid"] for name, edge in (await machine.status())["edges"].items()}
    async with asyncio.TaskGroup() as group:
        group.create_task(load())
        before = await shown_serial(machine)
        for process in ("edge-aws", "edge-dc"):
            await machine.renew(process)

        async def taken():
            return await shown_serial(machine) == serial_on_disk(machine, "edge-aws") != before

        await eventually(taken, 20)
        more = len(outcomes) + 50

        async def grown():
            return len(outcomes) >= more

        await eventually(grown, 20)
        stop.set()
    assert set(outcomes) == {(200, "aws")}
    assert await peer_requests(machine) >= len(outcomes), "every one of them came through the other edge"
    assert {name: edge["pid"] for name, edge in (await machine.status())["edges"].items()} == envoys


async def test_without_an_identity_it_is_said_what_to_type(machine):
    await machine.start()
    assert await asyncio.wait_for(machine.process.wait(), 60) == 1
    said = (machine.folder / "log").read_text()
    assert "no-identity" in said
    assert "gslb identity init --policy" in said


async def test_an_identity_counts_from_the_next_start_on_which_renews_it(machine):
    file = machine.policy / "policy.yaml"
    file.write_text(POLICY.replace("via: edge", "via: direct"))
    await machine.start("--watch")
    await eventually(machine.ready, 60)
    await machine.begin()
    file.write_text(POLICY)

    async def refused():
        return "no-identity" in (machine.folder / "log").read_text()

    await eventually(refused, 20)
    assert (await machine.status())["snapshot"]["revision"] == 1


def _through_peers(policy: str) -> str:
    for address in ("127.0.1.1", "127.0.2.1"):
        policy = policy.replace(f"[{{public: [{address}]}}]", f'[{{public: [{address}], peer: "{address}:{PEER}"}}]')
    return policy.replace('aws: ["127.0.2.1:9002"]', 'via: edge\n        aws: ["127.0.2.1:9002"]')


async def test_the_demo_makes_itself_an_identity(tmp_path):
    async with running_demo(tmp_path, edit=_through_peers) as demo:
        seen = (await demo.gslb("identity", "status", "--json")).json
        told = {one["name"] for one in seen["machines"][0]["certificates"] if one["ends"]}
        assert told == {"demo/dns", "demo/edge-dc", "demo/edge-aws", "demo/control"}

        async def no_front_door_is_out():
            """An edge that started before the one beside it finds it dead at first, and so does DNS."""
            sites = (await demo.status())["sites"]
            return all(site["verdict"] == "up" for site in sites.values())

        async def crossed():
            """`checkout` runs at aws alone, and gets every tenth request of dc's clients."""
            answered = await demo.services("/checkout", 50)
            assert not {status for status in answered if isinstance(status, int)}, answered
            return answered[("checkout", "aws")]

        await eventually(no_front_door_is_out, 40)
        await eventually(crossed)
        assert sum((await demo.status())["edges"]["aws"]["peer_requests"].values()) > 0
