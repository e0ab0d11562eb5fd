"""pebble, the authority for tests of Let's Encrypt (RFC 8555), as a process that asks one name server."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import shutil
import ssl
from pathlib import Path

import aiohttp
import pytest

from tests.support.authority import Authority
from tests.support.running_demo import eventually

needs_acme = pytest.mark.skipif(
    not all(map(shutil.which, ("pebble", "certbot", "lego"))),
    reason="needs pebble, certbot and lego: sh .ci/debian-packages",
)
AT_FULL_SPEED = {"PEBBLE_VA_NOSLEEP": "1", "PEBBLE_WFE_NONCEREJECT": "0"}
ANEW_EACH_TIME = {"PEBBLE_AUTHZREUSE": "0"}


class Pebble:
    """`directory` is its URL; `ca`, a file, vouches for its API, and `roots` for what it issues."""

    def __init__(self, host: str, port: int, ca: Path) -> None:
        self.directory, self._root = f"https://{host}:{port}/dir", f"https://{host}:{port + 1}/roots/0"
        self.ca = ca

    async def roots(self) -> str | None:
        """PEM, others at each start; None while it does not answer."""
        trusting = ssl.create_default_context(cafile=str(self.ca))
        with contextlib.suppress(aiohttp.ClientError):
            async with aiohttp.ClientSession() as session, session.get(self._root, ssl=trusting) as response:
                return await response.text()
        return None


@contextlib.asynccontextmanager
async def running_pebble(folder: Path, host: str, port: int, nameserver: str):
    """At `port` and the one above. It validates by asking `nameserver` (ADDRESS:PORT) and nobody else."""
    authority = Authority(folder)
    certificate, key = authority.issue("pebble", host)
    config = {
        "listenAddress": f"{host}:{port}", "managementListenAddress": f"{host}:{port + 1}",
        "certificate": str(certificate), "privateKey": str(key), "httpPort": 5002, "tlsPort": 5001,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps({"pebble": config}))
    with (folder / "log").open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            "pebble", "-strict", "-config", str(folder / "config.json"), "-dnsserver", nameserver,
            env={**os.environ, **AT_FULL_SPEED, **ANEW_EACH_TIME}, stdin=asyncio.subprocess.DEVNULL,
            stdout=log, stderr=log,
        )  # fmt: skip
    try:
        pebble = Pebble(host, port, authority.ca)
        await eventually(pebble.roots, what="pebble answers")
        yield pebble
    finally:
        process.kill()
        await process.wait()
