"""A dns role that starts: what it loads before it answers, and what it needs for that."""

import asyncio
import contextlib
import json
import signal
import socket
import sys

import dns.asyncquery
import dns.exception
import dns.message

from gslb.control.protocol import Applied, Offer
from gslb.model.policy import Policy
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.keeping.generation_files import GenerationFiles
from gslb.roles.process import read_last_words
from gslb.roles.settings import Settings
from gslb.snapshot.intent import Intent
from tests.support.ports import free_port
from tests.support.trust import bundle, trust_in
from tests.unit.dns.policies import APEX, app

HOST, DEAD, ALIVE = "127.0.7.84", "127.0.7.85", "127.0.7.86"
QUERY = dns.message.make_query(f"shop.{APEX}", "A")

LATER = {
    "aiohttp", "rich", "h2", "sqlite3", "dns.message", "cryptography.x509", "yaml", "prometheus_client",
    "gslb.edge", "gslb.plan", "gslb.simulate", "gslb.outside", "gslb.control.bodies.messages", "gslb.control.publishing",
    "gslb.control.status", "gslb.control.bodies.join_messages", "gslb.store.etcd", "gslb.store.embedded",
    "gslb.health.checks.ask", "gslb.roles.endpoint.node", "gslb.roles.identities.identity", "gslb.trust.authority",
}  # fmt: skip
"""What no answer needs."""


async def test_what_no_answer_needs_is_not_imported_before_it():
    told = "import sys, json, gslb.roles.__main__, gslb.roles.dns; print(json.dumps(sorted(sys.modules)))"
    process = await asyncio.create_subprocess_exec(sys.executable, "-c", told, stdout=asyncio.subprocess.PIPE)
    loaded = set(json.loads((await process.communicate())[0]))
    assert not LATER & loaded
    assert "gslb.dns.responder" in loaded


class Machine:
    """A dns role process and two edges: one that takes connections and never answers, one that answers 200."""

    def __init__(self, folder):
        self.folder, self.port = folder, free_port(HOST)
        self.settings = Settings(runtime=folder, data=folder, roles=("dns",), dns=((HOST, self.port),))
        trust_in(folder)
        self.node = NodeClient("dns", self.settings.socket("dns"))
        self.frozen = socket.create_server((DEAD, self.port))
        self.process = None

    async def start(self):
        command = (sys.executable, "-m", "gslb.roles", "dns", "--settings", str(self.settings.save()))
        self.process = await asyncio.create_subprocess_exec(*command, stderr=asyncio.subprocess.DEVNULL)

    async def kill(self):
        self.process.send_signal(signal.SIGKILL)
        await self.process.wait()

    def offer(self):
        sites = {
            name: {"edges": [{"public": edge}], "listen": {"http": self.port}}
            for name, edge in (("dc", DEAD), ("aws", ALIVE))
        }
        shop = app("healthy", {"first": 1}, ttl="1s")
        shop["backends"] = {"main": {name: ["10.0.0.1:80"] for name in sites}}
        zone = {"name": APEX, "nameservers": {"ns1": ["198.51.100.53"]}}
        policy = Policy.model_validate({"zone": zone, "sites": sites, "apps": {"shop": shop}})
        return Offer(bundle=bundle(Intent(revision=1, policy=policy)), wall_s=1.0)

    async def publish(self):
        async with asyncio.timeout(30):
            while await self.node.offer("/publish", self.offer(), 20) is None:
                await asyncio.sleep(0.05)

    async def addresses(self):
        """Of the first answer."""
        async with asyncio.timeout(30):
            while True:
                with contextlib.suppress(OSError, dns.exception.Timeout):
                    reply = await dns.asyncquery.udp(QUERY, HOST, 0.05, self.port)
                    return [str(item) for rrset in reply.answer for item in rrset]
                await asyncio.sleep(0.002)

    async def state(self):
        await self.node.read()
        return self.node.state if self.node.reachable else None


@contextlib.asynccontextmanager
async def machine(folder):
    it = Machine(folder)

    async def good(reader, writer):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\nconnection: close\r\n\r\n")
        writer.close()

    server = await asyncio.start_server(good, ALIVE, it.port)
    try:
        yield it
    finally:
        await it.node.close()
        if it.process is not None and it.process.returncode is None:
            await it.kill()
        server.close()
        it.frozen.close()


async def eventually(look, limit_s=30):
    async with asyncio.timeout(limit_s):
        while not (found := await look()):
            await asyncio.sleep(0.05)
    return found


async def test_it_answers_from_disk_before_anybody_can_ask_it_anything_else_and_is_whole_soon_after(tmp_path):
    async with machine(tmp_path) as it:
        await it.start()
        await it.publish()
        assert await it.addresses() == [ALIVE], "it looked at both before the first answer"
        remembers = it.folder / "dns" / "last-seen.json"

        async def kept():
            return remembers.exists() and "down" in remembers.read_text()

        await eventually(kept)
        await it.kill()
        it.settings.socket("dns").unlink()
        await it.start()
        assert await it.addresses() == [ALIVE]

        async def whole():
            state = await it.state()
            return state and state.ready and state.probing.running and state.probing.counts["failed"] and state

        state = await eventually(whole)
        assert (state.applied.revision, state.good_generations) == (1, 0)
        assert {verdict.address: verdict.state for verdict in state.verdicts} == {DEAD: "down", ALIVE: "up"}


async def test_without_a_memory_it_looks_before_it_answers_after_a_restart_too(tmp_path):
    async with machine(tmp_path) as it:
        await it.start()
        await it.publish()
        await it.kill()
        (it.folder / "dns" / "last-seen.json").unlink(missing_ok=True)
        await it.start()
        assert await it.addresses() == [ALIVE]


async def test_what_the_machine_lacks_is_no_crash_of_what_is_served(tmp_path):
    """An identity that does not read ends the role, with the reason, and counts against no generation."""
    async with machine(tmp_path) as it:
        await it.start()
        await it.publish()
        it.process.terminate()
        await it.process.wait()
        (it.folder / "trust" / "machine.json").write_text("{")
        await it.start()
        assert await it.process.wait() == 2
        assert "machine.json" in read_last_words(it.folder, "dns").message
        record = GenerationFiles(it.folder / "dns").load()
        assert (record.running, record.crashes) == (False, 0)
        assert isinstance(record.generations[0].applied, Applied)
