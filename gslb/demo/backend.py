"""A tiny real HTTP service for the demo and the tests: it answers who it is and counts what it got.

`python -m gslb.demo.backend --service monolith --site dc --listen 127.0.1.1:9001`
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import signal
import sys
from collections import Counter

from aiohttp import web

from gslb.model.words import parse_endpoint
from gslb.roles.process import end_with_parent

__all__ = ["build_app", "main"]

CHECK_PATH = "/healthz"
CHUNK_BYTES = 64 * 1024


def build_app(service: str, site: str) -> web.Application:
    """Answers every request with `{service, site, method, path, headers}`; `GET /__hits` with `{live, shadow}`."""
    hits: Counter[str] = Counter(live=0, shadow=0)

    async def answer(request: web.Request) -> web.Response:
        if request.path == "/__hits":
            return web.json_response(dict(hits))
        async for _chunk in request.content.iter_chunked(CHUNK_BYTES):
            pass
        if request.path != CHECK_PATH:
            hits["shadow" if "x-gslb-shadow" in request.headers else "live"] += 1
        return web.json_response(
            {
                "service": service,
                "site": site,
                "method": request.method,
                "path": request.path,
                "headers": {name.lower(): value for name, value in request.headers.items()},
            }
        )

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", answer)
    return app


async def _serve(service: str, site: str, host: str, port: int) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopped.set)
    runner = web.AppRunner(build_app(service, site), access_log=None, keepalive_timeout=3600)
    await runner.setup()
    await web.TCPSite(runner, host, port, shutdown_timeout=1).start()
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    await stopped.wait()
    await runner.cleanup()


def main() -> None:
    """Serve until SIGTERM or SIGINT. Prints `ready` once it listens."""
    parser = argparse.ArgumentParser(prog="gslb.demo.backend", description=__doc__)
    parser.add_argument("--service", required=True)
    parser.add_argument("--site", required=True)
    parser.add_argument("--listen", required=True, type=parse_endpoint)
    options = parser.parse_args()
    end_with_parent()
    with contextlib.suppress(ImportError):
        import uvloop

        asyncio.set_event_loop_policy(uvloop.EventLoopPolicy())
    try:
        asyncio.run(_serve(options.service, options.site, *options.listen))
    except OSError as error:
        sys.stderr.write(f"{options.service} in {options.site}: {error.strerror or error}\n")
        sys.exit(2)


if __name__ == "__main__":
    main()
