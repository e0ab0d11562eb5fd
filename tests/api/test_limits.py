"""What nobody may take from control: memory, connections, time. Raw sockets, because no client is that rude."""

from __future__ import annotations

import asyncio
import contextlib
import gzip
import json
import os
import re
from pathlib import Path

import pytest

from gslb.control.http import api as api_module
from gslb.control.http.api import build_app
from gslb.control.http.routes import TABLE
from gslb.roles import api_listener
from gslb.roles.api_listener import serve_tcp
from tests.api.conftest import bearer
from tests.api.test_who_may import problem

GROWTH_BYTES = 48 * 1024 * 1024
MIB = b" " * 1024 * 1024


def resident_bytes():
    return int(Path("/proc/self/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@contextlib.contextmanager
def bounded():
    before = resident_bytes()
    yield
    assert resident_bytes() - before < GROWTH_BYTES


async def talk(address, *parts, pause_s=0.0):
    """Sends the parts until the other side has enough, and returns what it said until it closed."""
    reader, writer = await asyncio.open_connection(*address)
    said = bytearray()

    async def listen():
        with contextlib.suppress(ConnectionError):
            while octets := await reader.read(65536):
                said.extend(octets)

    answer = asyncio.get_running_loop().create_task(listen())
    with contextlib.suppress(ConnectionError):
        for part in parts:
            if answer.done():
                break
            writer.write(part)
            await writer.drain()
            await asyncio.sleep(pause_s)
    async with asyncio.timeout(20):
        await answer
    writer.close()
    return bytes(said)


def head(*lines, path="/v1/shifts", method="POST"):
    return "\r\n".join([f"{method} {path} HTTP/1.1", "Host: 127.0.7.1", *lines, "", ""]).encode()


def told(said):
    """The first answer: (status, problem)."""
    top, _, body = said.partition(b"\r\n\r\n")
    assert b"application/problem+json" in top
    return int(top.split()[1]), json.loads(body)


TOKEN = f"Authorization: {bearer('admin')['Authorization']}"
A_JSON = "Content-Type: application/json"


@pytest.mark.parametrize(("lines", "status"), [((TOKEN, A_JSON), 413), ((TOKEN,), 415), ((A_JSON,), 401)])
@pytest.mark.parametrize("framing", ["Content-Length: 1073741824", "Transfer-Encoding: chunked"])
async def test_a_gigabyte_of_body(address, monkeypatch, lines, status, framing):
    monkeypatch.setattr(api_listener, "LINGER_S", 0.2)
    part = MIB if framing.startswith("Content") else b"100000\r\n" + MIB + b"\r\n"
    with bounded():
        said = await talk(address, head(*lines, framing), *[part] * 1024)
    assert told(said)[0] == status


@pytest.mark.parametrize("line", [line for line in TABLE if line.body is not None], ids=lambda line: line.path)
async def test_no_line_of_the_api_takes_more_than_it_says_nor_waits_for_ever(address, monkeypatch, line):
    """Also those that anybody may ask, such as joining."""
    monkeypatch.setattr(api_listener, "LINGER_S", 0.1)
    path = re.sub(r"\{.*?\}", "x", line.path)
    top = head(TOKEN, A_JSON, "Transfer-Encoding: chunked", path=path, method=line.method)
    with bounded():
        said = await talk(address, top, *[b"100000\r\n" + MIB + b"\r\n"] * 64)
    assert told(said)[0] == 413
    monkeypatch.setattr(api_module, "BODY_TIMEOUT_S", 0.1)
    said = await talk(address, top, b"1\r\n{\r\n")
    assert told(said)[0] == 408


async def test_a_quarter_of_a_gigabyte_in_a_quarter_of_a_megabyte(api):
    packed = gzip.compress(bytes(1 << 28), 6)
    assert len(packed) < 300_000
    headers = {**bearer("admin"), "Content-Type": "application/json", "Content-Encoding": "gzip"}
    with bounded():
        await problem(await api.post("/v1/shifts", data=packed, headers=headers), 413, "http-413")


@pytest.mark.parametrize(("lines", "status"), [((TOKEN, A_JSON), 400), ((A_JSON,), 401)], ids=["known", "stranger"])
async def test_a_body_that_is_not_packed_as_it_says(address, caplog, lines, status):
    """It is answered, and its sender cannot fill the log with our stack."""
    said = await talk(address, head(*lines, "Content-Encoding: gzip", "Content-Length: 2"), b"{}")
    assert told(said)[0] == status
    assert not caplog.records


@pytest.mark.parametrize(
    "rude",
    [
        [head(*[f"X-{number}: x" for number in range(100_000)])],
        [b"x" * 65536] * 200,
        [b"GET / HTTP/1.1\r\nHost: 127.0.7.1\r\nX: " + b"x" * 10_000_000],
        [b"GET /" + b"x" * 10_000_000],
        [b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(500)],
        [head("Content-Length: -1")], [head("Content-Length: 1", "Content-Length: 2")], [b"GET / HTTP/9.9\r\n\r\n"],
        [head("Transfer-Encoding: chunked", "Content-Length: 3"), b"0\r\n\r\n"], [head("Bad Header: x")],
    ],
    ids=[
        "100k headers", "garbage", "long header", "long line", "TLS", "negative", "two lengths", "version", "smuggling",
        "space",
    ],
)  # fmt: skip
async def test_what_does_not_read_as_http_is_answered_and_closed(address, rude):
    with bounded():
        said = await talk(address, *rude)
    status, body = told(said)
    assert (status, body["status"], body["rule"]) == (400, 400, "http-400")
    assert "Traceback" not in body["detail"]


async def test_headers_that_never_end(address, monkeypatch):
    monkeypatch.setattr(api_listener, "IDLE_S", 0.2)
    for first in (b"", b"GET /healthz HTTP/1.1\r\nHost: 127.0.7.1\r\n\r\n"):
        async with asyncio.timeout(10):
            said = await talk(address, first + b"GET / HTTP/1.1\r\n", *[b"X: y\r\n"] * 60, pause_s=0.05)
        assert said.startswith(b"HTTP/1.1 200") if first else said == b""


async def test_a_body_that_never_ends(address, monkeypatch):
    monkeypatch.setattr(api_module, "BODY_TIMEOUT_S", 0.1)
    monkeypatch.setattr(api_listener, "LINGER_S", 0.1)
    said = await talk(address, head(TOKEN, A_JSON, "Content-Length: 1000"), b"{")
    assert told(said)[0] == 408


async def test_an_answer_that_nobody_reads(publisher, monkeypatch):
    monkeypatch.setattr(api_listener, "SLOW_READER_S", 0.1)
    listener = await serve_tcp(build_app(publisher, "loopback"), "127.0.7.1", 0)
    _reader, writer = await asyncio.open_connection(*listener.address, limit=1024)
    ask = head(method="GET", path="/openapi.json")
    closed = False
    for _ in range(500):
        writer.write(ask)
        await asyncio.sleep(0.01)
        closed = not listener.connections
        if closed:
            break
    assert closed
    writer.close()
    await listener.cleanup()


@pytest.mark.parametrize("limit", ["LIMIT", "LIMIT_PER_ADDRESS"])
async def test_so_many_connections(address, monkeypatch, limit):
    monkeypatch.setattr(api_listener, limit, 3)
    ask = head(method="GET", path="/healthz")
    held = [await asyncio.open_connection(*address) for _ in range(3)]
    for reader, writer in held:
        writer.write(ask)
        assert (await reader.readline()).startswith(b"HTTP/1.1 200")
    assert await talk(address, ask) == b""
    held.pop()[1].close()
    for _ in range(200):
        if said := await talk(address, head("Connection: close", method="GET", path="/healthz")):
            break
        await asyncio.sleep(0.01)
    assert said.startswith(b"HTTP/1.1 200")
    for _, writer in held:
        writer.close()


async def test_reading_that_takes_too_long(api, publisher, monkeypatch):
    monkeypatch.setattr(api_module, "READ_TIMEOUT_S", 0.05)
    publisher.refresh = lambda: asyncio.sleep(60)
    await problem(await api.get("/v1/status"), 503, "host")
