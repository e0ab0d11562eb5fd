"""Certificates by ACME, with the commands of the recipe: certbot and lego, pebble as the authority, `gslb run`."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import re
import signal
import ssl
from pathlib import Path

import aiohttp
import dns.asyncquery
import dns.message
import dns.rcode
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.support.pebble import needs_acme, running_pebble
from tests.support.running_demo import GSLB, ROOT, eventually, run_gslb

ADDRESS, PEBBLE = "127.0.9.41", "127.0.9.42"
HTTP, HTTPS, DNS, API, BACKEND, ACME = 18080, 18443, 15383, 18083, 19041, 14000
RECIPE = (ROOT / "docs" / "recipes" / "acme.md").read_text()
ZONE = "gslb.example.com"
SHOP = f"_acme-challenge.shop.{ZONE}"

pytestmark = needs_acme


def shown(word: str, language: str = "sh") -> str:
    """The block of the recipe that has `word`."""
    (found,) = (
        text for text in re.findall(rf"^```{language}\n(.*?)^```", RECIPE, re.DOTALL | re.MULTILINE) if word in text
    )
    return found


def policy() -> str:
    """The recipe's, on this machine, signed."""
    text = shown("environment:", "yaml")
    for old, new in {
        "nameservers: {ns1: [198.51.100.53], ns2: [203.0.113.53]}": f"nameservers: {{ns1: {ADDRESS}}}\n  dnssec: true",
        "192.0.2.10": ADDRESS, "http: 80, https: 443": f"http: {HTTP}, https: {HTTPS}",
        "10.1.0.11:8080": f"{ADDRESS}:{BACKEND}", "10.1.0.12:8080": f"{ADDRESS}:{BACKEND}",
    }.items():  # fmt: skip
        assert old in text
        text = text.replace(old, new)
    return text


class Installation:
    def __init__(self, folder: Path) -> None:
        self.folder, self.data = folder, folder / "data"
        self.env = {**os.environ, "GSLB_RUNTIME": str(folder / "run")}

    async def status(self):
        result = await run_gslb("status", "--json", env=self.env)
        return result.json if result.code == 0 else {}

    async def certificates(self) -> dict[str, str | None]:
        """What is wrong with each."""
        edges = (await self.status()).get("edges", {})
        return {name: seen["problem"] for edge in edges.values() for name, seen in edge["certificates"].items()}

    async def told(self) -> list[str]:
        """The values of SHOP, as the name server answers them."""
        asked = dns.message.make_query(SHOP, "TXT")
        reply = await dns.asyncquery.udp(asked, ADDRESS, port=DNS, timeout=3)
        return [text.decode() for rrset in reply.answer for item in rrset for text in item.strings]


@contextlib.asynccontextmanager
async def running(*command: str, **given):
    process = await asyncio.create_subprocess_exec(*command, stdin=asyncio.subprocess.DEVNULL, **given)
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
        await asyncio.wait_for(process.wait(), 20)


@pytest.fixture
async def installation(tmp_path):
    """Serving, without a certificate yet."""
    made = Installation(tmp_path)
    (tmp_path / "policy").mkdir()
    (tmp_path / "policy" / "policy.yaml").write_text(policy())
    backend = [GSLB[0].removesuffix("gslb") + "python", "-m", "gslb.demo.backend",
               "--service", "web", "--site", "dc", "--listen", f"{ADDRESS}:{BACKEND}"]  # fmt: skip
    run = [*GSLB, "run", str(tmp_path / "policy"), "--data", str(made.data), "--dns", f"{ADDRESS}:{DNS}",
           "--api", f"{ADDRESS}:{API}", "--concurrency", "1"]  # fmt: skip
    with (tmp_path / "log").open("wb") as log:
        async with running(*backend, stdout=log), running(*run, env=made.env, stderr=log):

            async def serves():
                roles = (await made.status()).get("roles", {}).values()
                return roles and all(role["in_sync"] and role["state"] == "ready" for role in roles)

            await eventually(serves, 40)
            assert all((await made.certificates()).values())
            yield made


class Machine:
    """That of the edge, where an operator types what the recipe shows."""

    def __init__(self, installation: Installation, pebble) -> None:
        self.data, self.folder = installation.data, installation.folder
        self._settings = shown("ACME=")
        path = f"{Path(GSLB[0]).parent}:{os.environ['PATH']}"
        self._env = {**os.environ, "PATH": path, "HOME": str(self.folder), "GSLB_RUNTIME": str(self.folder / "nowhere"),
                     "REQUESTS_CA_BUNDLE": str(pebble.ca), "LEGO_CA_CERTIFICATES": str(pebble.ca)}  # fmt: skip
        self._instead = {
            "https://control.internal:8053": f"http://{ADDRESS}:{API}",
            "https://acme-staging-v02.api.letsencrypt.org/directory": pebble.directory,
            "/var/lib/gslb": str(self.data),
            "198.51.100.53:53": f"{ADDRESS}:{DNS}",
        }

    async def types(self, text: str) -> str:
        script = f"set -eu\n{self._settings}\n{text}"
        for old, new in self._instead.items():
            script = script.replace(old, new)
        process = await asyncio.create_subprocess_exec(
            "sh", "-c", script, env=self._env, stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            said = (await asyncio.wait_for(process.communicate(), 120))[0].decode()
        finally:
            if process.returncode is None:
                process.kill()
                await process.communicate()
        assert process.returncode == 0, said
        return said

    def certificate(self, name: str) -> bytes:
        """DER, of what lies where the policy says."""
        chain = x509.load_pem_x509_certificates((self.data / "certificates" / f"{name}.crt").read_bytes())
        assert len(chain) > 1, "with its chain"
        return chain[0].public_bytes(Encoding.DER)


async def shown_to_clients(host: str, trusting: ssl.SSLContext) -> bytes | None:
    """The certificate (DER) that a client sees who trusts the authority alone; None: it does not take it."""
    try:
        _, writer = await asyncio.open_connection(ADDRESS, HTTPS, ssl=trusting, server_hostname=host)
    except (ssl.SSLError, OSError):
        return None
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return der


@contextlib.asynccontextmanager
async def load(host: str, trusting: ssl.SSLContext):
    """Requests meanwhile, every second one on a connection of its own; yields what became of them."""
    outcomes, stop = [], asyncio.Event()
    url, named = f"https://{ADDRESS}:{HTTPS}/x", {"ssl": trusting, "server_hostname": host}

    async def one(session) -> None:
        try:
            async with session.get(url, headers={"host": host}, **named) as response:
                outcomes.append(response.status)
        except Exception as error:
            outcomes.append(repr(error))

    async def drive() -> None:
        async with (
            aiohttp.ClientSession() as kept,
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(force_close=True)) as fresh,
        ):
            while not stop.is_set():
                await one(kept)
                await one(fresh)
                await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        group.create_task(drive())
        yield outcomes
        stop.set()


async def with_lego(machine: Machine, trusting: ssl.SSLContext) -> None:
    """The zone and every name in it."""
    lego = shown(" run\n")
    assert "The server validated our request" in await machine.types(lego)
    await machine.types(shown("zone.crt"))

    async def served():
        return await shown_to_clients(f"docs.{ZONE}", trusting) == machine.certificate("zone")

    await eventually(served)
    assert "no renewal" in await machine.types(f"{lego.splitlines()[0]}\n{shown('renew --days')}")


async def with_certbot(machine: Machine, installation: Installation, trusting: ssl.SSLContext) -> None:
    """A host and every name below it, and a renewal under load."""
    most: list[str] = []

    async def watch() -> None:
        while True:
            most[:] = max(most, await installation.told(), key=len)
            await asyncio.sleep(0.02)

    async with asyncio.TaskGroup() as group:
        watching = group.create_task(watch())
        await machine.types(shown("certonly"))
        watching.cancel()
    assert len(set(most)) == 2, "both were answered at the same time"
    assert await installation.told() == []
    await machine.types(shown("shop.crt\nln"))

    async def served():
        ours = machine.certificate("shop")
        return {await shown_to_clients(f"{name}.{ZONE}", trusting) for name in ("shop", "any.shop")} == {ours}

    await eventually(served)
    before = machine.certificate("shop")
    async with load(f"shop.{ZONE}", trusting) as outcomes:
        await machine.types(shown("certbot renew").rstrip() + " --force-renewal")
        await eventually(served)
        more = len(outcomes) + 50

        async def goes_on():
            return len(outcomes) > more

        await eventually(goes_on)
    assert machine.certificate("shop") != before
    assert set(outcomes) == {200}


async def require_that_no_caa_record_forbids_it(name: str) -> None:
    """Authorities want an answer, and a signed zone a signed one (RFC 8659 section 3)."""
    asked = dns.message.make_query(name, "CAA", want_dnssec=True)
    reply = await dns.asyncquery.udp(asked, ADDRESS, port=DNS, timeout=3)
    assert (reply.rcode(), list(reply.answer)) == (dns.rcode.NOERROR, [])
    assert {rrset.rdtype.name for rrset in reply.authority} == {"SOA", "NSEC", "RRSIG"}


async def test_certbot_and_lego_get_certificates_that_the_edge_shows_and_renews(installation, tmp_path):
    for name in (f"any.shop.{ZONE}", f"shop.{ZONE}", ZONE):
        await require_that_no_caa_record_forbids_it(name)
    token = shown("token create").replace("/var/lib/gslb", str(installation.data))
    shell = await asyncio.create_subprocess_shell(
        token, env={**installation.env, "PATH": f"{Path(GSLB[0]).parent}:{os.environ['PATH']}"}
    )
    assert await shell.wait() == 0
    secret = (installation.data / "acme.token").read_text().strip()
    assert "certificate" in {alarm["rule"] for alarm in (await installation.status())["alarms"]}
    async with running_pebble(tmp_path / "pebble", PEBBLE, ACME, f"{ADDRESS}:{DNS}") as pebble:
        machine, trusting = Machine(installation, pebble), ssl.create_default_context(cadata=await pebble.roots())
        async with asyncio.TaskGroup() as group:
            group.create_task(with_lego(machine, trusting))
            group.create_task(with_certbot(machine, installation, trusting))

    async def well():
        """Sites come back after a while."""
        seen = await installation.status()
        verdicts = [app for site in seen["sites"].values() for app in site["apps"].values()]
        is_well = all(one["verdict"] == "up" or one["reason"].startswith("well again") for one in verdicts)
        return is_well and {alarm["rule"] for alarm in seen["alarms"]} <= {"all-down"}

    await eventually(well)
    history = json.loads((await run_gslb("history", "-n", "100", "--json", env=installation.env)).out)["changes"]
    authors = {change["author"] for change in history if change["action"].startswith("acme-")}
    assert authors == {"token edge-dc"}
    acted = [change["action"] for change in history]
    assert acted.count("acme-present") == acted.count("acme-cleanup") == 6
    for client in ("certbot", "lego"):
        files = [file for file in (installation.data / client).rglob("*") if file.is_file()]
        assert files
        assert not [file for file in files if secret in file.read_text()]
