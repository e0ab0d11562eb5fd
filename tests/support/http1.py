"""A plain HTTP/1.1 client that never retries, so that a lost request shows, and a steady load made of it."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Reply:
    status: int
    headers: list[tuple[str, str]]
    body: bytes

    def get(self, name: str) -> str | None:
        return next((value for key, value in self.headers if key == name), None)

    def json(self) -> Any:
        return json.loads(self.body)


class Connection:
    """Reconnects where the server said `connection: close`; anything else that breaks is an error."""

    def __init__(self, address: str, port: int, host: str) -> None:
        self.address, self.port, self.host = address, port, host
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self.closes = 0

    async def ask(
        self, path: str, method: str = "GET", body: bytes | None = None, chunked: bool = False, **headers: str
    ) -> Reply:
        if self._streams is None:
            self._streams = await asyncio.open_connection(self.address, self.port)
        reader, writer = self._streams
        lines = [f"{method} {path} HTTP/1.1", f"host: {self.host}"]
        lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
        if chunked:
            lines.append("transfer-encoding: chunked")
            body = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body or b""), body or b"")
        elif body is not None:
            lines.append(f"content-length: {len(body)}")
        writer.write("\r\n".join([*lines, "", ""]).encode() + (body or b""))
        await writer.drain()
        reply = await _read(reader, bodiless=method == "HEAD")
        if (reply.get("connection") or "").lower() == "close":
            self.closes += 1
            await self.close()
        return reply

    async def close(self) -> None:
        if self._streams is not None:
            _, writer = self._streams
            self._streams = None
            writer.close()
            with suppress(OSError):
                await writer.wait_closed()


async def _read(reader: asyncio.StreamReader, *, bodiless: bool) -> Reply:
    head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    status = int(head[0].split()[1])
    headers = [(name.lower(), value.strip()) for name, _, value in (line.partition(":") for line in head[1:] if line)]
    reply = Reply(status, headers, b"")
    if reply.get("transfer-encoding") == "chunked":
        reply.body = await _chunks(reader)
    elif not bodiless:
        reply.body = await reader.readexactly(int(reply.get("content-length") or 0))
    return reply


async def _chunks(reader: asyncio.StreamReader) -> bytes:
    body = b""
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        body += await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")
    return body


@dataclass
class Load:
    """What became of a load: `failures` are statuses other than 200 and broken connections."""

    answered: Counter[str] = field(default_factory=Counter)
    failures: Counter[str] = field(default_factory=Counter)
    closes: int = 0

    @property
    def total(self) -> int:
        return sum(self.answered.values()) + sum(self.failures.values())


@asynccontextmanager
async def load(address: str, port: int, host: str, path: str, workers: int = 8, pause_s: float = 0.004):
    """Requests without end from `workers` connections while the block runs; the last ones are waited for."""
    result, stop = Load(), asyncio.Event()

    async def work() -> None:
        connection = Connection(address, port, host)
        while not stop.is_set():
            try:
                reply = await connection.ask(path)
            except (OSError, asyncio.IncompleteReadError) as error:
                result.failures[type(error).__name__] += 1
                await connection.close()
                continue
            if reply.status == 200:
                result.answered[reply.json()["name"]] += 1
            else:
                result.failures[f"{reply.status} {reply.body[:80]!r}"] += 1
            await asyncio.sleep(pause_s)
        result.closes += connection.closes
        await connection.close()

    async with asyncio.TaskGroup() as tasks:
        for _ in range(workers):
            tasks.create_task(work())
        try:
            yield result
        finally:
            stop.set()
