"""An echo service like that of the Gateway API conformance suite, in this process: what came, and who answers."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from contextlib import suppress
from urllib.parse import parse_qs, urlsplit


class Echo:
    """`failing` of a path is set by its query: `fail=N` statuses `code` (or, with `code=0`, closed connections) come
    before the first 200. `seen` counts requests by path."""

    def __init__(self, namespace: str, pod: str) -> None:
        self.namespace, self.pod = namespace, pod
        self.seen: Counter[str] = Counter()
        self._serving: set[asyncio.Task[None]] = set()
        self._failed: Counter[str] = Counter()

    async def start(self, address: str) -> str:
        self._server = await asyncio.start_server(self._serve, address, 0)
        return f"{address}:{self._server.sockets[0].getsockname()[1]}"

    async def close(self) -> None:
        """Not before everybody has been answered: an open connection would outlive the test."""
        self._server.close()
        for task in tuple(self._serving):
            task.cancel()
        await asyncio.gather(*self._serving, return_exceptions=True)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._serving.add(task)
        task.add_done_callback(self._serving.discard)
        with suppress(OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            while await self._answer(reader, writer):
                await writer.drain()
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().rstrip("\r\n").split("\r\n")
        method, target, proto = first.split(" ")
        headers: dict[str, list[str]] = {}
        for line in lines:
            name, _, value = line.partition(":")
            headers.setdefault(name.lower(), []).append(value.strip())
        await reader.readexactly(int(headers.get("content-length", ["0"])[0]))
        parts = urlsplit(target)
        query = {key: values[0] for key, values in parse_qs(parts.query).items()}
        self.seen[parts.path] += 1
        if "websocket" in headers.get("upgrade", ()):
            writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
            return False
        await asyncio.sleep(float(query.get("delay", "0").removesuffix("s")))
        status = 200
        if self._failed[target] < int(query.get("fail", 0)):
            self._failed[target] += 1
            status = int(query["code"])
            if status == 0:
                return False
        said = {
            "path": target, "host": headers["host"][0], "method": method, "proto": proto, "headers": headers,
            "namespace": self.namespace, "pod": self.pod,
        }  # fmt: skip
        body = json.dumps(said).encode()
        wanted = json.loads(headers.get("x-echo-set-header", ["{}"])[0])
        extra = "".join(f"{name}: {value}\r\n" for name, value in wanted.items())
        head = f"HTTP/1.1 {status} Said\r\ncontent-type: application/json\r\n{extra}content-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + (b"" if method == "HEAD" else body))
        return True
