"""Two services that should be one: `old` and `new` answer alike but for what is planted here. aiohttp, one process.

Noise: `at` and `request_id` in the body, the header `x-trace`. Planted: `price` of every fourth item is a number in
`new`, `currency` is missing there, `beta` is extra, the header `x-cache` is lost, /broken is 500. Both hold secrets.
"""

from __future__ import annotations

import asyncio
import json
import sys
import uuid
from datetime import UTC, datetime

from aiohttp import web

PLANTED = {
    ("body.name", "value"),
    ("body.currency", "missing"),
    ("body.beta", "extra"),
    ("body.items[].price", "type"),
    ("header.x-cache", "missing"),
}
SECRET = "tok-8f3a91b2c4d5"


def item(index: int, is_new: bool) -> dict:
    price = f"{index}.50"
    return {"id": index, "price": float(price) if is_new and index % 4 == 0 else price, "tags": ["a", "b"]}


def answer(service: str, request: web.Request) -> web.Response:
    is_new = service == "new"
    if request.path == "/healthz":
        return web.Response()
    if request.path == "/broken" and is_new:
        return web.json_response({"error": "no such table"}, status=500)
    if request.path == "/text":
        return web.Response(text=f"hello\nfrom {service}\n", content_type="text/plain")
    if request.path == "/private" and "authorization" not in request.headers:
        return web.json_response({"error": "who are you?"}, status=401)
    if request.path == "/big":
        return web.Response(body=(b"old " if service == "old" else b"new ") * 40_000, content_type="application/pdf")
    body = {
        "items": [item(index, is_new) for index in range(6)],
        "at": datetime.now(UTC).isoformat(),
        "request_id": str(uuid.uuid4()),
        "name": service,
        "user": {"name": "Ann", "session_token": SECRET, "email": "ann@example.com"},
        "path": request.path,
    }
    body |= {"beta": True} if is_new else {"currency": "EUR"}
    headers = {"x-trace": uuid.uuid4().hex, "set-cookie": f"sid={SECRET}"}
    return web.json_response(body, headers=headers if is_new else headers | {"x-cache": "hit"})


async def main(service: str, address: str, port: int) -> None:
    async def serve(request: web.Request) -> web.Response:
        await request.read()
        return answer(service, request)

    app = web.Application()
    app.router.add_route("*", "/{tail:.*}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, address, port).start()
    print(json.dumps({"port": runner.addresses[0][1]}), flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], int(sys.argv[3])))
