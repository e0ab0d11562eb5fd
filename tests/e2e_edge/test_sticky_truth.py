"""What `gslb explain --user` says is what the edges do, for hundreds of users, whatever has happened to the shares."""

from __future__ import annotations

import asyncio
import random

from gslb.control.request import explain_request
from gslb.snapshot.intent import Drain, Overrides, Provenance, Shift
from tests.e2e_edge.conftest import AWS, CHECK, DC, eventually, seen

USERS = 220
BY = Provenance(at_s=0.0, author="ann")
ROUTES = [
    {
        "name": "one",
        "match": {"path": "/one"},
        "split": {"a": 20, "b": 29.99, "c": 50.01},
        "sticky": "cookie",
        "mirror": [{"to": "copy", "percent": 30, "by": "user"}, {"to": "other", "percent": 60, "by": "user"}],
    },
    {"name": "two", "match": {"path": "/two"}, "split": {"a": 0, "b": 60, "c": 40}, "sticky": "cookie"},
]
SHIFTS = (
    Shift(app="shop", route="one", split={"a": 45, "b": 0, "c": 55}, by=BY),
    Shift(app="shop", route="two", split={"a": 33.33, "b": 33.33, "c": 33.34}, by=BY),
)
STEPS = {
    "policy": Overrides(),
    "shifts": Overrides(version=1, shifts=SHIFTS),
    "drained": Overrides(version=2, shifts=SHIFTS, drains=(Drain(site="dc", by=BY),)),
}


def names(draw):
    """What edges give, what people log in as, and what nobody expects."""
    odd = ["a", "0", "~", "a" * 200, "ü", "%22", "x=y", "gslb_shop"]
    return [*odd, *(f"user-{number}" for number in range(60)), *(f"{draw.getrandbits(128):032x}" for _ in range(152))]


def foretold(snapshot, user, path):
    return explain_request(snapshot.apps["shop"], "GET", path, {}, user)


async def check_all(stage, snapshot, users):
    async def check(address, path):
        connection = stage.connection(address)
        for user in users:
            reply = await connection.ask(path, cookie=f"x=y; gslb_shop={user}", x_who=user)
            assert reply.json()["name"] == foretold(snapshot, user, path)["side"], (user, path, address)

    await asyncio.gather(*(check(address, path) for address in (DC, AWS) for path in ("/one", "/two")))


async def test_every_user_gets_the_backend_and_the_copies_that_are_foretold(stage):
    made = {name: stage.backend(name) for name in ("a", "b", "c", "copy", "other")}
    backends = {name: {"check": CHECK, "dc": [it.endpoint], "aws": [it.endpoint]} for name, it in made.items()}
    users = names(random.Random(4))
    assert len(set(users)) == USERS
    copied = {"copy": 0, "other": 0}
    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        for overrides in STEPS.values():
            snapshot = stage.snapshot(backends, ROUTES, overrides)
            await asyncio.gather(dc.publish(snapshot), aws.publish(snapshot))
            await check_all(stage, snapshot, users)
            for name in ("copy", "other"):
                due = {user for user in users if foretold(snapshot, user, "/one")["copies"][name].startswith("yes")}
                copied[name] += 2 * len(due)

                async def all_in(name=name):
                    got = await seen(made[name])
                    return got if len(got) == copied[name] else None

                got = await eventually(all_in)
                assert {item["headers"]["x-who"] for item in got} == due


async def test_users_of_a_dead_canary_get_the_one_that_is_named_instead(stage):
    made = {name: stage.backend(name) for name in ("a", "b", "c")}
    backends = {name: {"check": CHECK, "dc": [it.endpoint]} for name, it in made.items()}
    routes = [{"name": "one", "split": {"a": 20, "b": 55, "c": 25}, "sticky": "cookie"}]
    snapshot = stage.snapshot(backends, routes)
    users = names(random.Random(5))
    async with stage.edge() as runner:
        await runner.publish(snapshot)
        made["a"].kill()
        connection = stage.connection()

        async def noticed():
            return (await connection.ask("/", cookie="gslb_shop=a")).status == 200

        await eventually(noticed)
        for user in users:
            said = foretold(snapshot, user, "/")
            answered = (await connection.ask("/", cookie=f"gslb_shop={user}")).json()["name"]
            if said["side"] == "a":
                assert said["side_why"].endswith("; while a is dead: b, then c")
            assert answered == ("b" if said["side"] == "a" else said["side"])
