"""Shares, stickiness and mirror shares, counted on the real Envoy."""

from __future__ import annotations

import asyncio
import uuid

import pytest
import xxhash

from gslb.edge.render.weights import TOTAL_WEIGHT, to_weights
from tests.e2e_edge.conftest import AWS, CHECK, DC, counted, seen
from tests.support.binomial import assert_share


async def ask_many(stage, n, path, workers=16, **headers):
    """(answering backend, request id) of `n` requests."""
    answers, left = [], iter(range(n))

    async def work():
        connection = stage.connection()
        for _ in left:
            reply = (await connection.ask(path, **headers)).json()
            answers.append((reply["name"], reply["headers"]["x-request-id"]))

    await asyncio.gather(*(work() for _ in range(workers)))
    return answers


async def test_a_share_and_a_mirror_of_the_same_percentage_are_independent_draws(stage):
    old, new, copy = stage.backend("old"), stage.backend("new"), stage.backend("copy")
    backends = {
        "old": {"check": CHECK, "dc": [old.endpoint]},
        "new": {"dc": [new.endpoint]},
        "copy": {"dc": [copy.endpoint]},
    }
    route = {"name": "pay", "split": {"old": 80, "new": 20}, "mirror": [{"to": "copy", "percent": 20}]}
    snapshot = stage.snapshot(backends, [route])
    n = 3000
    async with stage.edge() as runner:
        await runner.publish(snapshot)
        answers = await ask_many(stage, n, "/")
        got = await counted(runner, "pay", n)
        mirrored = {item["headers"]["x-request-id"] for item in await seen(copy)}
    by_new = {request_id for name, request_id in answers if name == "new"}
    assert got.requests == {"new": len(by_new), "old": n - len(by_new)}
    assert got.mirrored == len(mirrored)
    assert_share(len(by_new), n, 0.2)
    assert_share(len(mirrored), n, 0.2)
    assert_share(len(mirrored & by_new), n, 0.04)


async def test_a_canary_grows_from_one_percent_and_nothing_goes_to_a_share_of_zero(stage):
    old, new = stage.backend("old"), stage.backend("new")
    backends = {"old": {"dc": [old.endpoint]}, "new": {"dc": [new.endpoint]}}
    n = 1000
    async with stage.edge() as runner:
        for percent in (0, 1.5, 100):
            split = {"old": 100 - percent, "new": percent}
            await runner.publish(stage.snapshot(backends, [{"name": "pay", "split": split}]))
            names = [name for name, _ in await ask_many(stage, n, "/")]
            assert_share(names.count("new"), n, percent / 100)
            got = await counted(runner, "pay", n)
            assert got.requests == {"old": names.count("old"), "new": names.count("new")}


async def test_sticky_users_never_go_back_agree_on_all_edges_and_can_be_foretold(stage):
    old, new = stage.backend("old"), stage.backend("new")
    backends = {"old": {"check": CHECK, "dc": [old.endpoint], "aws": [old.endpoint]}, "new": {"aws": [new.endpoint]}}

    def sides(value, percent):
        point = xxhash.xxh64(value.encode(), seed=0).intdigest() % TOTAL_WEIGHT
        return "new" if point < to_weights([round(percent * 100), 10000 - round(percent * 100)])[0] else "old"

    async def first_visit(connection):
        reply = await connection.ask("/account")
        cookie = reply.get("set-cookie")
        assert cookie.endswith("; Max-Age=2592000; Path=/; HttpOnly; SameSite=Lax")
        value = cookie.partition(";")[0].removeprefix("gslb_shop=")
        assert str(uuid.UUID(value)) == value
        return value, reply.json()["name"]

    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        users = {}
        before = set()
        for percent in (10, 25, 50):
            routes = [{"name": "account", "split": {"old": 100 - percent, "new": percent}, "sticky": "cookie"}]
            snapshot = stage.snapshot(backends, routes)
            await asyncio.gather(dc.publish(snapshot), aws.publish(snapshot))
            at_dc, at_aws = stage.connection(DC), stage.connection(AWS)
            if not users:
                users = dict([await first_visit(at_dc) for _ in range(200)])
                assert users == {value: sides(value, percent) for value in users}
            now = set()
            for value in users:
                for connection in (at_dc, at_aws):
                    reply = await connection.ask("/account", cookie=f"a=b; gslb_shop={value}; c=d")
                    assert reply.get("set-cookie") is None
                    assert reply.json()["name"] == sides(value, percent)
                    if reply.json()["name"] == "new":
                        now.add(value)
            assert before <= now
            assert_share(len(now), len(users), percent / 100)
            before = now


@pytest.mark.parametrize("cookie", ["gslb_shop=", "gslb_shop=; a=b", "a=b", "xgslb_shop=1", "gslb_shop= ;"])
async def test_an_empty_cookie_is_none_and_is_replaced(stage, cookie):
    old = stage.backend("old")
    routes = [{"name": "account", "split": {"old": 100}, "sticky": "cookie"}]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot({"old": {"dc": [old.endpoint]}}, routes))
        reply = await stage.connection().ask("/", cookie=cookie)
    assert (reply.status, reply.get("set-cookie").startswith("gslb_shop=")) == (200, True)
