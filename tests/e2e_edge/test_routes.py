"""What a route can say, at the real Envoy: each word does what the policy's page says of it."""

from __future__ import annotations

import asyncio
import gzip

from tests.e2e_edge.conftest import DC

ROUTES = [
    {"name": "redirect", "match": {"path": "/old"}, "redirect": {"prefix": "/new", "status": 301}},
    {"name": "to-https", "match": {"exact": "/s"}, "redirect": {"scheme": "https", "host": "secure.example"}},
    {"name": "to-port", "match": {"exact": "/port"}, "redirect": {"port": 8083}},
    {"name": "own", "match": {"exact": "/own"}, "respond": {"status": 418, "body": "100% tea"},
     "response": {"set": {"x-why": "50%"}}},
    {"name": "full", "match": {"path": "/full"}, "rewrite": {"path": "/index.html"}, "split": {"web": 100}},
    {"name": "prefix", "match": [{"path": "/a/b"}, {"path": "/c"}], "rewrite": {"prefix": "/x"}, "split": {"web": 100}},
    {"name": "root", "match": {"path": "/strip"}, "rewrite": {"prefix": "/", "host": "inner.example"},
     "split": {"web": 100}},
    {"name": "edits", "match": {"path": "/edits"}, "split": {"web": 100},
     "request": {"set": {"x-set": "new 100%"}, "add": {"x-add": "two"}, "remove": ["x-gone"]},
     "response": {"set": {"x-set": "s"}, "add": {"x-more": "m"}, "remove": ["content-type"]}},
    {"name": "sides", "match": {"path": "/sides"}, "split": {"web": 50, "new": 50}, "variants": True, "sides":
     {"new": {"request": {"set": {"x-side": "new"}}, "response": {"set": {"x-from": "new"}}, "host": "new.example"}}},
    {"name": "any", "match": [{"headers": {"x-a": {"regex": "[0-9]+"}}}, {"query": {"v": {"present": True}}}],
     "split": {"new": 100}},
    {"name": "absent", "match": {"path": "/absent", "headers": {"x-b": {"present": False}}}, "split": {"new": 100}},
    {"name": "limited", "match": {"path": "/limited"}, "split": {"web": 100}, "max_body": 1000},
    {"name": "rate", "match": {"path": "/rate"}, "split": {"web": 100}, "rate": {"requests": 1, "per": "1h", "burst": 3}},
    {"name": "compressed", "match": {"path": "/zip"}, "split": {"web": 100}, "compress": True},
    {"name": "aborted", "match": {"path": "/abort"}, "split": {"web": 100}, "fault": {"abort": {"percent": 100, "status": 507}}},
    {"name": "cors", "match": {"path": "/cors"}, "split": {"web": 100}, "cors":
     {"origins": ["https://*.bar.com"], "methods": ["GET"], "headers": ["x-1"], "credentials": True, "max_age": "1h"}},
    {"name": "cors-post", "match": {"path": "/cors-post", "method": ["POST", "DELETE"]}, "split": {"new": 100},
     "cors": {"origins": ["https://a.example"], "methods": ["POST"]}, "rate": {"requests": 1, "per": "1h"}},
    {"name": "guarded", "match": {"path": "/guarded"}, "split": {"web": 100},
     "auth": {"backend": "guard", "path": "/check/", "send": ["authorization"], "take": ["x-user"]}},
    {"name": "once", "match": {"path": "/slow"}, "split": {"web": 100}, "try_timeout": "200ms", "retries": 0},
    {"name": "rest", "split": {"web": 100}},
]  # fmt: skip


async def running(stage, routes=ROUTES):
    backends = {name: {"dc": [stage.backend(name).endpoint]} for name in ("web", "new")}
    backends["guard"] = {"dc": [stage.backend("guard", guard="1").endpoint]}
    return stage.snapshot(backends, routes)


async def test_every_word_of_a_route(stage):
    snapshot = await running(stage)
    async with stage.edge() as runner:
        await runner.prepare(snapshot)
        await runner.publish(snapshot)
        await redirects(stage)
        await rewrites(stage)
        await edits_and_sides(stage)
        await matches(stage)
        await limits(stage)
        await cors(stage)
        await asks_first(stage)


async def redirects(stage):
    ask = stage.connection().ask
    assert [(await ask(path)).get("location") for path in ("/old", "/old/x?q=1", "/s?q=1", "/port")] == [
        "http://shop.gslb.test/new",
        "http://shop.gslb.test/new/x?q=1",
        "https://secure.example/s?q=1",
        "http://shop.gslb.test:8083/port",
    ]
    assert ((await ask("/old")).status, (await ask("/s")).status) == (301, 302)
    own = await ask("/own")
    assert (own.status, own.body, own.get("x-why"), own.get("content-type")) == (418, b"100% tea", "50%", "text/plain")


async def rewrites(stage):
    ask = stage.connection().ask
    seen = {}
    for path in ("/full/y?q=1", "/a/b", "/a/b/z?q", "/c/d", "/strip", "/strip/", "/strip/k?q", "/stripe"):
        reply = (await ask(path)).json()
        seen[path] = reply["path"]
    assert seen == {
        "/full/y?q=1": "/index.html?q=1", "/a/b": "/x", "/a/b/z?q": "/x/z?q", "/c/d": "/x/d", "/strip": "/",
        "/strip/": "/", "/strip/k?q": "/k?q", "/stripe": "/stripe",
    }  # fmt: skip
    assert (await ask("/strip/k")).json()["headers"]["host"] == "inner.example"


async def edits_and_sides(stage):
    ask = stage.connection().ask
    reply = await ask("/edits", x_set="old", x_add="one", x_gone="1")
    got = reply.json()["headers"]
    assert (got["x-set"], got["x-add"], "x-gone" in got) == ("new 100%", "one,two", False)
    assert (reply.get("x-set"), reply.get("x-more"), reply.get("content-type")) == ("s", "m", None)
    names = {(await ask("/sides")).json()["name"] for _ in range(60)}
    assert names == {"web", "new"}
    for side in ("web", "new"):
        reply = await ask("/sides", x_gslb_variant=side)
        host = {"web": "shop.gslb.test", "new": "new.example"}[side]
        assert (reply.json()["name"], reply.json()["headers"]["host"]) == (side, host)
        assert (reply.get("x-from"), reply.json()["headers"].get("x-side")) == (
            (side, side) if side == "new" else (None, None)
        )


async def matches(stage):
    ask = stage.connection().ask
    assert (await ask("/q", x_a="12")).json()["name"] == "new"
    assert (await ask("/q", x_a="12a")).json()["name"] == "web"
    assert (await ask("/q?v")).json()["name"] == "new"
    assert (await ask("/absent")).json()["name"] == "new"
    assert (await ask("/absent", x_b="1")).json()["name"] == "web"
    assert (await stage.connection().ask("/q", connection="close\r\nx_a: 12")).status == 400, "an underscore"


async def limits(stage):
    ask = stage.connection().ask
    assert (await ask("/limited", "POST", b"x" * 1000)).status == 200
    assert (await stage.connection().ask("/limited", "POST", b"x" * 1001)).status == 413
    assert (await stage.connection().ask("/limited", "POST", b"x" * 1001, chunked=True)).status == 413
    assert [(await ask("/rate")).status for _ in range(5)] == [200, 200, 200, 429, 429]
    assert (await ask("/abort")).status == 507
    assert (await ask("/slow?delay=1")).status == 504
    plain = await ask("/zip?size=5000")
    assert (plain.get("content-encoding"), len(plain.body) >= 5000) == (None, True)
    squeezed = await ask("/zip?size=5000", accept_encoding="gzip", connection="close")
    assert squeezed.get("content-encoding") == "gzip"
    assert len(gzip.decompress(squeezed.body)) >= 5000
    assert (await ask("/other?size=5000", accept_encoding="gzip")).get("content-encoding") is None


async def cors(stage):
    ask = stage.connection().ask
    preflight = {"access_control_request_method": "GET", "access_control_request_headers": "x-1"}
    reply = await ask("/cors", "OPTIONS", origin="https://a.b.bar.com", **preflight)
    allowed = [reply.get(f"access-control-{name}") for name in ("allow-origin", "allow-methods", "max-age")]
    assert allowed == ["https://a.b.bar.com", "GET", "3600"]
    only = await ask("/cors-post", "OPTIONS", origin="https://a.example", access_control_request_method="POST")
    assert (only.status, only.get("access-control-allow-origin")) == (200, "https://a.example"), "OPTIONS is no POST"
    assert (
        await ask("/cors-post", "OPTIONS", origin="https://evil.example", access_control_request_method="POST")
    ).get("access-control-allow-origin") is None
    for others in ({"access_control_request_method": "POST"}, {"access_control_request_method": "PUT", "origin": "x"}):
        assert (await ask("/cors-post", "OPTIONS", **others)).json()["method"] == "OPTIONS", "the last route takes it"
    for foreign in ("https://bar.com.evil.example", "http://a.bar.com", "https://evil.example/.bar.com"):
        assert (await ask("/cors", "GET", origin=foreign)).get("access-control-allow-origin") is None


async def asks_first(stage):
    ask = stage.connection().ask
    assert (await ask("/guarded/x")).status == 403
    reply = await ask("/guarded/x", authorization="Bearer good", x_user="root", cookie="a=b")
    assert (reply.status, reply.json()["headers"].get("x-user")) == (200, "good")
    spoofed = await ask("/guarded/x", authorization="Bearer nameless", x_user="root")
    assert (spoofed.status, spoofed.json()["headers"].get("x-user")) == (200, None)


async def test_a_rate_is_one_for_whatever_a_route_takes(stage):
    """However many routes of Envoy it is: one for each match, for new users and known ones, testers, methods, copies."""
    split = {"split": {"web": 50, "new": 50}}
    rate = {"requests": 1, "per": "1h", "burst": 4}
    other = {"requests": 1, "per": "70ms", "burst": 2}
    routes = [
        {"name": "limited", "match": [{"path": "/a"}, {"path": "/b"}], **split, "sticky": "cookie", "variants": True,
         "mirror": [{"to": "new", "percent": 100}], "rate": rate},
        {"name": "own", "match": {"path": "/own"}, "respond": {"status": 200, "body": "x"}, "rate": rate},
        {"name": "other", "match": {"path": "/other"}, **split, "rate": other},
        {"name": "rest", **split},
    ]  # fmt: skip
    async with stage.edge() as runner:
        await runner.publish(await running(stage, routes))
        ask = stage.connection().ask
        asked = [await ask("/a"), await ask("/b", cookie="gslb_shop=1"), await ask("/a", x_gslb_variant="new")]
        asked += [await ask("/b", "POST", b"x"), await ask("/a", "DELETE"), await ask("/b"), await ask("/a", "HEAD")]
        assert [reply.status for reply in asked] == [200, 200, 200, 200, 429, 429, 429]
        assert [(await ask("/own")).status for _ in range(5)] == [200, 200, 200, 200, 429]
        assert {(await ask("/rest")).status for _ in range(50)} == {200}
        burst = [(await ask("/other")).status for _ in range(30)]
        assert (burst[:2], 429 in burst) == ([200, 200], True)
        await asyncio.sleep(1)
        assert (await ask("/other")).status == 200, "it is filled again"


async def test_a_service_that_is_asked_sees_the_header_that_it_exchanges(stage):
    guard = {"backend": "guard", "path": "/check", "send": ["authorization", "x-user"]}
    both = {"auth": {**guard, "take": ["authorization", "x-user"]}, "split": {"web": 100}}
    login = {"auth": {"backend": "login"}, "split": {"web": 100}}
    routes = [{"name": "exchange", "match": {"path": "/guarded"}, **both}, {"name": "rest", **login}]
    backends = {
        "web": {"dc": [stage.backend("web").endpoint]},
        "guard": {"dc": [stage.backend("guard", guard="1").endpoint]},
        "login": {"dc": [stage.backend("login", status="401").endpoint]},
    }
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        ask = stage.connection().ask
        for name, user in (("joe", "joe"), ("nameless", None)):
            reply = await ask("/guarded", authorization=f"Bearer {name}", x_user="root")
            assert reply.status == 200, "the service saw what it was to see"
            headers = reply.json()["headers"]
            assert (headers.get("x-user"), headers.get("authorization")) == (user, None)
        refused = await ask("/other")
        assert (refused.status, refused.json()["name"]) == (401, "login")
        assert refused.get("content-type") == "application/json; charset=utf-8"


async def test_what_a_side_says_of_a_header_counts_more_than_what_its_route_says(stage):
    said = {"set": {"x-tier": "route"}, "add": {"x-by": "route"}}
    side = {"request": {"set": {"x-tier": "side"}, "remove": ["x-by"]}, "response": {"set": {"x-tier": "side"}}}
    routes = [{"name": "all", "split": {"new": 100}, "request": said, "response": said, "sides": {"new": side}}]
    async with stage.edge() as runner:
        await runner.publish(await running(stage, routes))
        reply = await stage.connection().ask("/")
        got = reply.json()["headers"]
        assert (got["x-tier"], got.get("x-by")) == ("side", None)
        assert (reply.get("x-tier"), reply.get("x-by")) == ("side", "route")


async def test_a_websocket_stays_open_beyond_the_routes_timeout(stage):
    echo = await asyncio.start_server(upgraded, "127.0.7.9", 0)
    port = echo.sockets[0].getsockname()[1]
    routes = [
        {"name": "ws", "match": {"path": "/ws"}, "split": {"ws": 100}, "websocket": True, "timeout": "500ms"},
        {"name": "rest", "split": {"ws": 100}},
    ]
    snapshot = stage.snapshot({"ws": {"dc": [f"127.0.7.9:{port}"]}}, routes)
    async with stage.edge() as runner:
        await runner.publish(snapshot)
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(upgrade("/ws"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        await asyncio.sleep(1)
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.close()
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(upgrade("/other"))
        assert not (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.close()
    echo.close()


async def test_a_websocket_is_no_body(stage):
    echo = await asyncio.start_server(upgraded, "127.0.7.9", 0)
    backends = {
        "ws": {"dc": [f"127.0.7.9:{echo.sockets[0].getsockname()[1]}"]},
        "web": {"dc": [stage.backend("web").endpoint]},
    }
    split = {"split": {"ws": 50, "web": 50}, "variants": True}
    mirror = [{"to": "web", "percent": 100}]
    routes = [{"name": "ws", **split, "websocket": True, "max_body": 1000, "mirror": mirror, "sticky": "cookie"}]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(upgrade("/", "x-gslb-variant: ws\r\n"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(b"hello" * 1000)
        assert await reader.readexactly(5000) == b"HELLO" * 1000
        writer.close()
        refused = await stage.connection().ask("/", "POST", b"x" * 1001, upgrade="websocket", connection="upgrade")
        assert refused.status == 413, "a body stays one whatever it is called"
    echo.close()


def upgrade(path: str, more: str = "") -> bytes:
    return (
        f"GET {path} HTTP/1.1\r\nhost: shop.gslb.test\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
        f"sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{more}\r\n"
    ).encode()


async def upgraded(reader, writer):
    head = await reader.readuntil(b"\r\n\r\n")
    if b"upgrade: websocket" in head.lower():
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n")
        while said := (await reader.read(65_536)).upper():
            writer.write(said)
    else:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n")
    await writer.drain()
    writer.close()


async def test_statuses_that_are_named_are_tried_again(stage):
    flaky = stage.backend("flaky")
    routes = [
        {"name": "any", "match": {"path": "/any"}, "split": {"flaky": 100},
         "retries": {"tries": 3, "on": [500], "backoff": "5ms", "methods": "any"}},
        {"name": "safe", "match": {"path": "/safe"}, "split": {"flaky": 100}, "retries": {"tries": 3, "on": [500]}},
    ]  # fmt: skip
    snapshot = stage.snapshot({"flaky": {"dc": [flaky.endpoint]}}, routes)
    async with stage.edge() as runner:
        await runner.publish(snapshot)
        ask = stage.connection().ask
        assert (await ask("/any/a?fail=3", "POST", b"x")).status == 200
        assert (await ask("/any/b?fail=4")).status == 500
        assert (await ask("/safe/c?fail=3")).status == 200
        assert (await ask("/safe/d?fail=1", "POST", b"x")).status == 500
