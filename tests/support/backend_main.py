"""The program behind `support.backend`: aiohttp, one process, no access log."""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import socket
import ssl
import struct
from collections import Counter

from aiohttp import web


class App:
    def __init__(self, options: argparse.Namespace) -> None:
        self.options, self.seen = options, []
        self.failures: Counter[str] = Counter()
        self.slow_s = 0.0

    async def answer(self, request: web.Request) -> web.StreamResponse:
        if request.path == "/~seen":
            return web.json_response(self.seen)
        if request.path == "/~reset":
            self.seen.clear()
            return web.json_response(None)
        if request.path == "/~slow":
            self.slow_s = float(request.query["s"])
            return web.json_response(None)
        await asyncio.sleep(self.slow_s)
        if request.path == self.options.check_path:
            return web.Response(status=self.options.check_status)
        if self.options.guard:
            return self.judge(request)
        if request.path == "/~stream":
            return await self.stream(request)
        body = await request.read()
        saw = {
            "name": self.options.name,
            "method": request.method,
            "path": request.path_qs,
            "headers": {key.lower(): ",".join(request.headers.getall(key)) for key in request.headers},
            "body": len(body),
        }
        self.seen.append(saw)
        await asyncio.sleep(float(request.query.get("delay", 0)) or self.options.delay)
        status = int(request.query.get("status", self.options.status))
        if self.failures[request.path] < int(request.query.get("fail", 0)):
            self.failures[request.path] += 1
            status = int(request.query.get("with", 500))
        saw["pad"] = "x" * int(request.query.get("size", 0))
        return web.json_response(saw, status=status, headers={"server": "test-backend"})

    def judge(self, request: web.Request) -> web.Response:
        """`Bearer NAME` is let in under that name, `Bearer nameless` without one."""
        name = request.headers.get("authorization", "").removeprefix("Bearer ")
        if not name or not request.path.startswith("/check/guarded") or "cookie" in request.headers:
            return web.Response(status=403)
        return web.Response(headers={"x-user": name} if name != "nameless" else {})

    async def stream(self, request: web.Request) -> web.StreamResponse:
        """An answer that never ends."""
        response = web.StreamResponse()
        await response.prepare(request)
        with contextlib.suppress(ConnectionResetError):
            while True:
                await response.write(b"more\n")
                await asyncio.sleep(0.1)
        return response


def stalled(options: argparse.Namespace) -> None:
    """Accepts and never reads."""
    held = []
    with socket.create_server((options.address, options.port), backlog=1024) as server:
        print(json.dumps({"port": server.getsockname()[1]}), flush=True)
        while True:
            held.append(server.accept())


async def resetting(options: argparse.Namespace) -> None:
    """Accepts, reads the head of a request, and hangs up without an answer: with a reset, not with an end. Where only
    `requests` are meant, checks are answered."""

    async def reset(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            check = f"GET {options.check_path} ".encode()
            while (await reader.readuntil(b"\r\n\r\n")).startswith(check) and options.reset == "requests":
                writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
        at_once = struct.pack("ii", 1, 0)
        writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        writer.transport.abort()

    server = await asyncio.start_server(reset, options.address, options.port, backlog=1024)
    print(json.dumps({"port": server.sockets[0].getsockname()[1]}), flush=True)
    await server.serve_forever()


async def serve(options: argparse.Namespace) -> None:
    web_app = web.Application(client_max_size=1 << 30)
    web_app.router.add_route("*", "/{tail:.*}", App(options).answer)
    runner = web.AppRunner(web_app, access_log=None)
    await runner.setup()
    tls = None
    if options.tls_cert:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(options.tls_cert, options.tls_key)
    site = web.TCPSite(runner, options.address, options.port, ssl_context=tls)
    await site.start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("name")
    parser.add_argument("address")
    parser.add_argument("port", type=int)
    parser.add_argument("--check-path", default="/healthz")
    parser.add_argument("--check-status", type=int, default=200)
    parser.add_argument("--status", type=int, default=200)
    parser.add_argument("--delay", type=float, default=0.0)
    parser.add_argument("--stall", default="")
    parser.add_argument("--reset", default="")
    parser.add_argument("--guard", default="")
    parser.add_argument("--tls-cert", default="")
    parser.add_argument("--tls-key", default="")
    options = parser.parse_args()
    if options.stall:
        stalled(options)
    if options.reset:
        asyncio.run(resetting(options))
    asyncio.run(serve(options))


if __name__ == "__main__":
    main()
