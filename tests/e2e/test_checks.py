"""A named check that fails takes its site out of the answers of a real name server, and out of no other's."""

import asyncio
import contextlib
import json
import os
import signal
import sys
from pathlib import Path

import dns.asyncquery
import dns.message
import pytest

from tests.support.ports import free_port

pytestmark = pytest.mark.e2e

SITES = {"dc": "127.0.7.20", "aws": "127.0.7.21"}
DNS = "127.0.7.22"
POLICY = """\
zone: {{name: gslb.example.com, nameservers: {{ns1: [192.0.2.53]}}}}
sites:
  dc: {{edges: [{{public: [127.0.7.20]}}], listen: {{http: {http}}}}}
  aws: {{edges: [{{public: [127.0.7.21]}}], listen: {{http: {http}}}}}
checks:
  hand: {{pushed: {{expires: 1h}}}}
  program: {{command: {{run: [check_it]}}, interval: 1s, timeout: 5s, fall: 2}}
apps:
  shop:
    hosts: [shop]
    ready: {{dc: [hand, program]}}
    backends: {{web: {{dc: ["127.0.7.30:80"], aws: ["127.0.7.30:80"]}}}}
    routes: [{{name: all, split: {{web: 100}}}}]
"""


async def ok(reader, writer):
    with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        await writer.drain()
    writer.close()


class Installation:
    def __init__(self, folder, port):
        self.folder, self.port = folder, port
        self.env = {**os.environ, "GSLB_RUNTIME": str(folder / "run")}

    async def gslb(self, *words):
        command = Path(sys.executable).parent / "gslb"
        process = await asyncio.create_subprocess_exec(
            command, *words, env=self.env, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
        )
        out, _ = await process.communicate()
        return process.returncode, out.decode()

    async def answers(self):
        """The sites of many answers."""
        message = dns.message.make_query("shop.gslb.example.com", "A")
        found = set()
        for number in range(20):
            source = f"127.0.{number + 30}.1"  # clients are drawn by their network
            answer = await dns.asyncquery.udp(message, DNS, port=self.port, timeout=2, source=source)
            found |= {str(record) for rrset in answer.answer for record in rrset}
        return found

    async def shows(self, check, state):
        async with asyncio.timeout(60):
            while json.loads((await self.gslb("checks", "show", check, "--json"))[1])["state"] != state:
                await asyncio.sleep(0.2)

    async def until(self, wanted):
        async with asyncio.timeout(60):
            while True:
                with contextlib.suppress(OSError, dns.exception.DNSException):
                    if await self.answers() == wanted:
                        return
                await asyncio.sleep(0.2)


async def test_a_site_that_is_not_ready_leaves_the_answers_and_comes_back(tmp_path):
    http, port, api = free_port(*SITES.values()), free_port(DNS), free_port("127.0.0.1")
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(POLICY.format(http=http))
    commands = tmp_path / "commands"
    commands.mkdir()
    (commands / "check_it").write_text(f"#!/bin/sh\ntest ! -e {tmp_path}/broken || exit 2\n")
    (commands / "check_it").chmod(0o755)
    made = Installation(tmp_path, port)
    async with contextlib.AsyncExitStack() as stack:
        for address in SITES.values():
            await stack.enter_async_context(await asyncio.start_server(ok, address, http))
        with (tmp_path / "log").open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                Path(sys.executable).parent / "gslb", "run", tmp_path / "policy", "--roles", "control,dns",
                "--dns", f"{DNS}:{port}", "--api", f"127.0.0.1:{api}", "--data", tmp_path / "data",
                "--runtime", tmp_path / "run", "--check-commands", commands, env=made.env, stderr=log,
            )  # fmt: skip
        try:
            everybody, others = set(SITES.values()), {SITES["aws"]}
            await made.until(everybody)
            code, out = await made.gslb("checks", "push", "hand", "down", "--reason", "nightly load")
            assert (code, out.splitlines()[-1]) == (0, "told: dns")
            await made.until(others)
            _, out = await made.gslb("status", "--json")
            seen = json.loads(out)
            assert seen["sites"]["dc"]["apps"]["shop"]["verdict"] == "down"
            assert "nightly load" in seen["sites"]["dc"]["apps"]["shop"]["reason"]
            assert seen["roles"]["dns"]["prober"] == ""
            (tmp_path / "broken").touch()
            await made.shows("program", "down")
            await made.gslb("checks", "push", "hand", "up")
            await made.shows("hand", "up")
            assert await made.answers() == others
            (tmp_path / "broken").unlink()
            await made.until(everybody)
        finally:
            process.send_signal(signal.SIGTERM)
            await process.wait()
