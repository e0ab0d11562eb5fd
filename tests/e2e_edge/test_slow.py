"""Slow and silent clients: whatever they leave unfinished, they are closed, and others are served meanwhile."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Callable

import pytest
from hyperframe.frame import HeadersFrame, SettingsFrame

from gslb.model.policy import Policy
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.e2e_edge.conftest import DC, HOST
from tests.support.certificates import Authority, put
from tests.support.http1 import load
from tests.support.http2 import PREFACE
from tests.support.ports import free_port

EACH = 20
LIMIT_S = 100.0
"""By then all must have been closed; the longest that the edge waits for is a minute."""
PAUSE_S = 12.0
Slow = Callable[[], AsyncIterator[bytes]]


async def at_once(octets: bytes) -> AsyncIterator[bytes]:
    yield octets


async def octet_by_octet(head: bytes) -> AsyncIterator[bytes]:
    """Each in time for a limit on silence."""
    yield head
    while True:
        await asyncio.sleep(1)
        yield b"a"


def client_hello() -> bytes:
    outgoing = ssl.MemoryBIO()
    context = ssl.create_default_context()
    shaking = context.wrap_bio(ssl.MemoryBIO(), outgoing, server_hostname=HOST)
    with contextlib.suppress(ssl.SSLWantReadError):
        shaking.do_handshake()
    return outgoing.read()


HALF_A_BLOCK = HeadersFrame(1, b"\x82\x86", flags=["END_STREAM"])
SETTINGS = SettingsFrame(0).serialize()
HEAD = f"GET / HTTP/1.1\r\nhost: {HOST}\r\n".encode()
IN_THE_CLEAR: dict[str, Slow] = {
    "nothing at all": lambda: at_once(b""),
    "half a first line": lambda: at_once(b"GET /"),
    "a head without an end": lambda: at_once(HEAD),
    "a head octet by octet": lambda: octet_by_octet(HEAD + b"x: "),
    "a request, then nothing": lambda: at_once(HEAD + b"\r\n"),
    "HTTP/2, half a preface": lambda: at_once(PREFACE[:10]),
    "HTTP/2, preface and settings": lambda: at_once(PREFACE + SETTINGS),
    "HTTP/2, half a block of fields": lambda: at_once(PREFACE + SETTINGS + HALF_A_BLOCK.serialize()),
}
OVER_TLS: dict[str, Slow] = {
    "TLS, nothing at all": lambda: at_once(b""),
    "TLS, half a hello": lambda: at_once(client_hello()[:100]),
    "TLS, a hello, then nothing": lambda: at_once(client_hello()),
}


async def closed(port: int, slow: Slow) -> None:
    """When the edge has closed a connection that is as slow as this."""
    reader, writer = await asyncio.open_connection(DC, port)

    async def send() -> None:
        with contextlib.suppress(ConnectionError):
            async for octets in slow():
                writer.write(octets)
                await writer.drain()

    async def receive() -> None:
        with contextlib.suppress(ConnectionError):
            while await reader.read(65_536):
                pass

    async with asyncio.TaskGroup() as tasks:
        sending = tasks.create_task(send())
        await receive()
        sending.cancel()
    writer.close()


def policy(stage, https: int, endpoint: str) -> Policy:
    tls = {"cert": "shop.crt", "key": "shop.key"}
    app = {
        "hosts": ["shop"],
        "backends": {"web": {"dc": [endpoint]}},
        "routes": [{"name": "all", "split": {"web": 100}}],
    }
    return Policy.model_validate(
        {
            "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.7.53"]}},
            "sites": {"dc": {"edges": [{"public": [DC]}], "listen": {"http": stage.port, "https": https}}},
            "apps": {"shop": {**app, "tls": tls}},
        }
    )


@pytest.mark.timeout(2 * LIMIT_S)
async def test_whoever_does_not_finish_is_closed(stage):
    https = free_port(DC)
    folder = stage.folder / "dc" / "certificates"
    folder.parent.mkdir()
    put(folder, "shop", Authority().leaf(HOST, "shop--dc.gslb.test"))
    snapshot = compile_snapshot(Intent(revision=1, policy=policy(stage, https, stage.backend("web").endpoint)), 0.0)
    async with stage.edge() as runner:
        await runner.publish(snapshot)
        waiting = {name: [closed(stage.port, slow) for _ in range(EACH)] for name, slow in IN_THE_CLEAR.items()}
        waiting |= {name: [closed(https, slow) for _ in range(EACH)] for name, slow in OVER_TLS.items()}
        left = set(waiting)

        async def ended(name: str) -> None:
            await asyncio.gather(*waiting[name])
            left.discard(name)

        async with load(DC, stage.port, HOST, "/", workers=2, pause_s=0.05) as others:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(LIMIT_S), asyncio.TaskGroup() as tasks:
                    for name in waiting:
                        tasks.create_task(ended(name))
            assert not left, "these hold their connections"
        assert others.total
        assert not others.failures


async def test_a_body_or_an_answer_may_be_silent_for_longer_than_a_head(stage):
    """The limit on heads is over when they are complete."""
    head = f"POST /?delay={{delay}} HTTP/1.1\r\nhost: {HOST}\r\ncontent-length: 4\r\nconnection: close\r\n\r\n"

    async def ask(delay: int, pause_s: float) -> bytes:
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(head.format(delay=delay).encode() + b"ab")
        await asyncio.sleep(pause_s)
        writer.write(b"cd")
        answer = await asyncio.wait_for(reader.read(), 60)
        writer.close()
        return answer.partition(b"\r\n")[0]

    backend = stage.backend("web")
    async with stage.edge() as runner:
        routes = [{"name": "all", "split": {"web": 100}, "timeout": "30s"}]
        await runner.publish(stage.snapshot({"web": {"dc": [backend.endpoint]}}, routes))
        found = await asyncio.gather(ask(0, PAUSE_S), ask(int(PAUSE_S), 0.0))
    assert found == [b"HTTP/1.1 200 OK"] * 2
