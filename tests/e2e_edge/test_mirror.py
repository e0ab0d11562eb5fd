"""A mirror must never hurt the primary, carries no secrets, and what is not mirrored is counted by reason."""

from __future__ import annotations

import asyncio

from gslb.snapshot.intent import MirrorStop, Overrides, Provenance
from tests.e2e_edge.conftest import CHECK, counted, counts, eventually, seen


def mirrored_route(**mirror):
    return {"name": "pay", "split": {"old": 100}, "mirror": [{"to": "copy", "percent": 100, **mirror}], "timeout": "5s"}


async def test_a_copy_is_what_its_target_would_get_as_a_side(stage):
    old, new = stage.backend("old"), stage.backend("new")
    backends = {"old": {"dc": [old.endpoint]}, "new": {"dc": [new.endpoint], "host": "new.example"}}
    sides = {
        "old": {"request": {"set": {"x-legacy": "1", "x-side": "old"}}, "host": "old.example"},
        "new": {"request": {"set": {"x-side": "new 100%"}, "remove": ["x-gone"]}, "host": "side.example"},
    }
    mirror = [{"to": "new", "percent": 100, "remove": ["x-secret"], "compare": {"sample": 100}}]
    routes = [{"name": "all", "split": {"old": 100, "new": 0}, "sides": sides, "mirror": mirror,
               "request": {"set": {"x-route": "1", "x-secret": "s"}}}]  # fmt: skip
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        await stage.connection().ask("/", x_gone="1")

        async def copied():
            saw = [*await seen(old), *await seen(new)]
            return saw if len(saw) == 3 else None

        saw = await eventually(copied)
    names = ("host", "x-side", "x-legacy", "x-gone", "x-route", "x-secret", "x-gslb-shadow")
    told = {(item["name"], *(item["headers"].get(name) for name in names)) for item in saw}
    assert told == {
        ("old", "old.example", "old", "1", "1", "1", "s", None),
        ("old", "old.example", "old", "1", "1", "1", None, "1"),
        ("new", "side.example", "new 100%", None, None, "1", None, "1"),
    }


async def test_a_stalled_target_does_not_hold_back_uploads(stage):
    old, stalled = stage.backend("old"), stage.backend("stalled", stall="yes")
    backends = {"old": {"dc": [old.endpoint]}, "copy": {"dc": [stalled.endpoint]}}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [mirrored_route(methods=["GET", "POST"])]))
        async with asyncio.timeout(20):  # a stalled body would hang until the route's timeout and fail
            for body in (b"x" * 5_000_000, b"x" * 16_384, b""):
                for _ in range(3):
                    reply = await stage.connection().ask("/", "POST", body)
                    assert (reply.status, reply.json()["body"]) == (200, len(body))
            chunked = await stage.connection().ask("/", "POST", b"x" * 50_000, chunked=True)
            assert (chunked.status, chunked.json()["body"]) == (200, 50_000)
            results = await asyncio.gather(*(stage.connection().ask("/") for _ in range(400)))
        assert {reply.status for reply in results} == {200}
        got = await counted(runner, "pay", 410)
    assert got.skipped.pop("target_busy") > 0
    assert got.skipped == {"body_too_large": 3, "body_unknown_length": 1}


async def test_copies_are_marked_and_hold_no_secrets_and_the_mark_cannot_be_forged(stage):
    old, copy = stage.backend("old"), stage.backend("copy")
    backends = {"old": {"dc": [old.endpoint]}, "copy": {"check": CHECK, "dc": [copy.endpoint]}}
    secrets = {"authorization": "Bearer x", "cookie": "session=1", "proxy_authorization": "Basic y"}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [mirrored_route()]))
        await stage.connection().ask("/a?b=c", x_gslb_shadow="forged", x_gslb_probe="old", **secrets)
        shadows = await eventually(lambda: seen(copy))
        (primary,) = await seen(old)
    (shadow,) = shadows
    assert primary["headers"].items() >= {"authorization": "Bearer x", "cookie": "session=1"}.items()
    assert not primary["headers"].keys() & {"x-gslb-shadow", "x-gslb-probe", "x-envoy-retry-on"}
    assert shadow["headers"]["x-gslb-shadow"] == "1"
    assert not shadow["headers"].keys() & {"authorization", "cookie", "proxy-authorization"}
    same = ("host", "x-request-id")
    assert [shadow["headers"][name] for name in same] == [primary["headers"][name] for name in same]
    assert shadow["path"] == primary["path"]


async def test_methods_and_dead_targets_are_counted(stage):
    old, copy = stage.backend("old"), stage.backend("copy", check_status="500")
    backends = {"old": {"dc": [old.endpoint]}, "copy": {"check": CHECK, "dc": [copy.endpoint]}}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [mirrored_route()]))
        connection = stage.connection()
        for method in ("GET", "HEAD", "POST", "DELETE", "OPTIONS"):
            assert (await connection.ask("/", method)).status == 200
        got = await counted(runner, "pay", 5)
        assert await seen(copy) == []
    assert (got.mirrored, got.skipped) == (0, {"method": 2, "target_down": 3})


async def test_two_mirrors_with_guards_of_their_own(stage):
    old, small, large = stage.backend("old"), stage.backend("small"), stage.backend("large")
    backends = {name: {"dc": [item.endpoint]} for name, item in (("old", old), ("small", small), ("large", large))}
    mirrors = [
        {"to": "small", "percent": 100, "methods": ["GET", "POST"], "max_body": 10},
        {"to": "large", "percent": 100, "methods": ["POST", "PUT"], "max_body": 1000},
    ]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [{"name": "pay", "split": {"old": 100}, "mirror": mirrors}]))
        connection = stage.connection()
        for method, size in (("GET", 0), ("POST", 10), ("POST", 11), ("POST", 1001), ("PUT", 5), ("PUT", 2000)):
            await connection.ask("/", method, b"x" * size)

        async def both():
            shadows = [
                (item["name"], item["method"], item["body"]) for one in (small, large) for item in await seen(one)
            ]
            return sorted(shadows) if len(shadows) >= 5 else None

        assert await eventually(both) == [
            ("large", "POST", 10), ("large", "POST", 11), ("large", "PUT", 5), ("small", "GET", 0), ("small", "POST", 10),
        ]  # fmt: skip
        got = await counted(runner, "pay", 6)
    assert got.mirrored == 5
    assert got.skipped == {"method": 2, "body_too_large": 5}


async def test_copies_keep_credentials_where_the_policy_says_so(stage):
    old, copy = stage.backend("old"), stage.backend("copy")
    backends = {"old": {"dc": [old.endpoint]}, "copy": {"dc": [copy.endpoint]}}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [mirrored_route(credentials=True, remove="X-Api-Key")]))
        secrets = {"authorization": "Bearer x", "cookie": "session=1", "proxy_authorization": "Basic y"}
        reply = await stage.connection().ask("/", **secrets, x_api_key="z")
        (shadow,) = await eventually(lambda: seen(copy))
    assert shadow["headers"].items() >= {"authorization": "Bearer x", "cookie": "session=1"}.items()
    assert not shadow["headers"].keys() & {"proxy-authorization", "x-api-key"}
    assert reply.json()["headers"]["x-api-key"] == "z"


async def test_a_stopped_mirror_copies_nothing(stage):
    old, copy = stage.backend("old"), stage.backend("copy")
    backends = {"old": {"dc": [old.endpoint]}, "copy": {"dc": [copy.endpoint]}}
    stop = MirrorStop(app="shop", by=Provenance(at_s=0.0, author="ann"))
    stopped = Overrides(version=1, mirror_stops=(stop,))
    async with stage.edge() as runner:
        for overrides, copies in ((None, 20), (stopped, 20), (None, 40)):
            for by in ("request", "user"):
                await runner.publish(stage.snapshot(backends, [mirrored_route(by=by)], overrides))
                connection = stage.connection()
                for _ in range(10):
                    assert (await connection.ask("/", cookie="gslb_shop=u")).status == 200

            async def all_in(expected=copies):
                return (await counts(runner, "pay")).mirrored == expected and len(await seen(copy)) >= expected

            await eventually(all_in)
            assert len(await seen(copy)) == copies
