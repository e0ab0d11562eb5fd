"""Control's API on a real unix socket and a real TCP port, in a thread, for what calls it synchronously."""

from __future__ import annotations

import asyncio
import threading
from contextlib import contextmanager

from aiohttp import web

from gslb.control.http.api import build_app
from gslb.roles.api_listener import serve_tcp


@contextmanager
def served(publisher, folder):
    """Yields (socket path, http URL on loopback)."""
    started, ended = threading.Event(), []

    async def serve():
        stop = asyncio.Event()
        full = web.AppRunner(build_app(publisher, "local"), access_log=None)
        await full.setup()
        await web.UnixSite(full, str(folder / "control.sock")).start()
        reading = await serve_tcp(build_app(publisher, "loopback"), "127.0.7.1", 0)
        host, port = reading.address
        ended.extend([f"http://{host}:{port}", asyncio.get_running_loop(), stop])
        started.set()
        await stop.wait()
        await full.cleanup()
        await reading.cleanup()

    thread = threading.Thread(target=asyncio.run, args=(serve(),))
    thread.start()
    assert started.wait(10)
    url, loop, stop = ended
    try:
        yield folder / "control.sock", url
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
