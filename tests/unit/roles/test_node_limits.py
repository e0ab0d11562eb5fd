"""What nobody may take from a node over the network: memory, connections, time. Raw sockets, because no client is that
rude."""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path

import pytest

from gslb.roles import api_listener
from gslb.roles.endpoint import taking
from gslb.trust import tls
from gslb.trust.permits import NODE_PERMITS
from tests.unit.roles.test_identity_tls import node, shown, world

GROWTH_BYTES = 48 * 1024 * 1024
PART = b"100000\r\n" + b" " * 1024 * 1024 + b"\r\n"
OFFERS = {"POST /prepare", "POST /publish"}
SENT_BY_CONTROL = [
    line for line, kinds in NODE_PERMITS.items() if kinds and "control" in kinds and not line.startswith("GET")
]


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


async def talk(url, context, *parts):
    """Sends the parts until the other side has enough, and returns what it said until it closed."""
    host, port = url.removeprefix("https://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="x")
    said = bytearray()

    async def listen():
        with contextlib.suppress(OSError):
            while octets := await reader.read(65536):
                said.extend(octets)

    answer = asyncio.get_running_loop().create_task(listen())
    with contextlib.suppress(OSError):
        for part in parts:
            if answer.done():
                break
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(0)
    async with asyncio.timeout(20):
        await answer
    writer.close()
    return bytes(said)


def head(line, *more):
    return "\r\n".join([f"{line} HTTP/1.1", "Host: x", *more, "", ""]).encode()


def status(said):
    return int(said.split()[1]) if said else None


@pytest.fixture
async def door(tmp_path, monkeypatch):
    """(url, who asks as control, who shows no certificate)."""
    monkeypatch.setattr(api_listener, "LINGER_S", 0.1)
    async with world(tmp_path) as it:
        settings = await it.join()
        async with node(settings) as made:
            control = shown(tmp_path / "c", "m1/control", data=it.data)
            yield made.url, control, tls.only_trusting(settings.data / "trust" / "ca.pem")


async def test_no_body_is_larger_than_what_is_asked_may_be_whoever_sends_it(door):
    url, control, nobody = door
    for who, lines in ((control, SENT_BY_CONTROL), (nobody, ["POST /v1/override", "PUT /signers", "POST /publish"])):
        for line in lines:
            before = resident_bytes()
            parts = 80 if line in OFFERS else 16
            said = await talk(url, who, head(line, "Transfer-Encoding: chunked"), *[PART] * parts)
            expected = 413 if who is control or line == "POST /v1/override" else 401
            assert status(said) == expected, line
            if line not in OFFERS or who is nobody:
                assert resident_bytes() - before < GROWTH_BYTES, line


async def test_a_body_that_never_ends_is_given_up(door, monkeypatch):
    monkeypatch.setattr(taking, "BODY_TIMEOUT_S", 0.1)
    url, control, nobody = door
    for who, lines in ((control, SENT_BY_CONTROL), (nobody, ["POST /v1/override"])):
        for line in lines:
            assert status(await talk(url, who, head(line, "Content-Length: 1000"), b"{")) == 408, line


@pytest.mark.parametrize(
    "rude",
    [
        [head("GET /state", *[f"X-{number}: x" for number in range(100_000)])],
        [b"GET /state HTTP/1.1\r\nHost: x\r\nX: " + b"x" * 10_000_000],
        [b"x" * 65536] * 200,
    ],
    ids=["100k headers", "long header", "garbage"],
)
async def test_heads_without_end_are_refused(door, rude):
    url, control, _ = door
    before = resident_bytes()
    said = await talk(url, control, *rude)
    assert status(said) == 400
    assert resident_bytes() - before < GROWTH_BYTES


async def test_who_shows_nothing_leaves_room_for_control(door, monkeypatch):
    """Whoever fills the door from one address, others get in."""
    monkeypatch.setattr(api_listener, "IDLE_S", 0.3)
    url, control, nobody = door
    host, port = url.removeprefix("https://").split(":")
    monkeypatch.setattr(api_listener, "LIMIT_PER_ADDRESS", 3)
    held = [await asyncio.open_connection(host, int(port), ssl=nobody, server_hostname="x") for _ in range(5)]

    async def asked():
        with contextlib.suppress(OSError):
            return status(await talk(url, control, head("GET /state", "Connection: close")))
        return None

    async with asyncio.timeout(20):
        while await asked() != 200:
            await asyncio.sleep(0.1)
    for _, writer in held:
        writer.close()
