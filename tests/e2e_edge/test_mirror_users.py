"""Whole users are mirrored, the same on all edges and routes, and who they are can be foretold."""

from __future__ import annotations

import asyncio

import pytest

from gslb.edge.render.users import user_point
from tests.e2e_edge.conftest import AWS, DC, counted, eventually, seen
from tests.support.binomial import assert_share

USERS = 250


def route(name, percent, by="user", **more):
    mirror = [{"to": "copy", "percent": percent, "by": by}]
    return {"name": name, "match": {"path": f"/{name}"}, "split": {"old": 70, "new": 30}, "mirror": mirror, **more}


def due(users, percent):
    return {user for user in users if user_point("shop", user) < percent * 100}


async def mirrored(copy, total, user_of):
    """Users by the path of the copies that `copy` got, once there are `total`, all in all."""

    async def all_in():
        got = await seen(copy)
        return got if len(got) == total else None

    by_path = {}
    for item in await eventually(all_in):
        by_path.setdefault(item["path"], []).append(user_of(item["headers"]))
    return by_path


async def test_a_user_is_mirrored_everywhere_or_nowhere_and_a_rising_share_only_adds(stage):
    old, new, copy = stage.backend("old"), stage.backend("new"), stage.backend("copy")
    backends = {
        name: {"dc": [one.endpoint], "aws": [one.endpoint]}
        for name, one in (("old", old), ("new", new), ("copy", copy))
    }
    total = 0
    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        users = []
        for few, many in ((20, 50), (35, 100)):
            routes = [route("a", few), route("b", many, sticky="cookie")]
            snapshot = stage.snapshot(backends, routes)
            await asyncio.gather(dc.publish(snapshot), aws.publish(snapshot))
            at_dc, at_aws = stage.connection(DC), stage.connection(AWS)
            if not users:
                for _ in range(USERS):
                    reply = await at_dc.ask("/a/first")
                    users.append(reply.get("set-cookie").partition(";")[0].removeprefix("gslb_shop="))
                total += len(due(users, few))  # the very first request is judged like all that follow
            for user in users:
                for connection in (at_dc, at_aws):
                    for path in ("/a", "/b"):
                        reply = await connection.ask(path, cookie=f"x=y; gslb_shop={user}", x_who=user)
                        assert reply.get("set-cookie") is None
            total += 2 * (len(due(users, few)) + len(due(users, many)))
            got = await mirrored(copy, total, lambda headers: headers.get("x-who"))
            assert set(got["/a"]) == due(users, few)
            assert set(got["/b"]) == due(users, many)
            assert due(users, few) <= due(users, many)
            assert_share(len(due(users, few)), USERS, few / 100)


async def test_users_may_be_told_apart_by_a_header(stage):
    old, new, copy = stage.backend("old"), stage.backend("new"), stage.backend("copy")
    backends = {name: {"dc": [one.endpoint]} for name, one in (("old", old), ("new", new), ("copy", copy))}
    users = [f"user-{number}" for number in range(USERS)]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [route("a", 12.5, by={"header": "X-User"})]))
        connection = stage.connection()
        for user in users:
            for _ in range(2):
                assert (await connection.ask("/a", x_user=user)).get("set-cookie") is None
        await connection.ask("/a")
        got = await mirrored(copy, 2 * len(due(users, 12.5)), lambda headers: headers["x-user"])
        counts = await counted(runner, "a", 2 * USERS + 1)
    assert set(got["/a"]) == due(users, 12.5)
    assert_share(len(due(users, 12.5)), USERS, 0.125)
    assert counts.mirrored == 2 * len(due(users, 12.5))


@pytest.mark.parametrize("value", ["u", "ü" * 40, "x" * 300, "0123456789abcdef" * 16, '"quoted"'])
async def test_any_name_of_a_user_is_hashed_alike_here_and_there(stage, value):
    old, copy = stage.backend("old"), stage.backend("copy")
    backends = {name: {"dc": [one.endpoint]} for name, one in (("old", old), ("copy", copy))}
    point = user_point("shop", value)
    routes = [
        {"name": name, "match": {"path": f"/{name}"}, "split": {"old": 100},
         "mirror": [{"to": "copy", "percent": bp / 100, "by": {"header": "x-user"}}]}
        for name, bp in (("below", point), ("above", point + 1))
    ]  # fmt: skip
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        for path in ("/below", "/above"):
            await stage.connection().ask(path, x_user=value)
        got = await mirrored(copy, 1, lambda headers: headers["x-user"])
    assert set(got) == {"/above"}
