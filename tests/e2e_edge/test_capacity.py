"""Beyond what an edge carries: 503 with retry-after, counted; probes are answered however full it is."""

from __future__ import annotations

from tests.e2e_edge.conftest import CHECK, DC, counted, eventually

CAPACITY = 20


async def test_what_is_beyond_the_capacity_is_refused_and_counted_and_probes_are_not(stage):
    old = stage.backend("old")
    backends = {"old": {"check": CHECK, "dc": [old.endpoint]}}
    routes = [{"name": "all", "split": {"old": 100}}]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes, capacity={"dc": CAPACITY}))
        connection = stage.connection()
        replies = [await connection.ask("/") for _ in range(10 * CAPACITY)]
        refused = [reply for reply in replies if reply.status != 200]
        assert {(reply.status, reply.get("retry-after")) for reply in refused} == {(503, "1")}
        assert len(replies) - len(refused) >= CAPACITY, "a second's worth may come at once"
        for _ in range(5 * CAPACITY):
            assert (await connection.ask("/healthz", x_gslb_probe="old")).status == 200
        await counted(runner, "all", len(replies) - len(refused))

        async def told():
            await runner.state()
            return runner.refused() == len(refused)

        await eventually(told)


async def test_the_capacity_is_one_for_all_listeners_of_a_site(stage):
    old = stage.backend("old")
    routes = [{"name": "all", "split": {"old": 100}}]
    async with stage.edge() as runner:
        await runner.publish(
            stage.snapshot({"old": {"dc": [old.endpoint]}}, routes, dc=[DC, "127.0.7.4"], capacity={"dc": CAPACITY})
        )
        replies = []
        for address in (DC, "127.0.7.4"):
            connection = stage.connection(address)
            replies += [(await connection.ask("/")).status for _ in range(5 * CAPACITY)]
    taken = replies[: 5 * CAPACITY].count(200), replies[5 * CAPACITY :].count(200)
    assert taken[1] < CAPACITY / 2, f"{taken}: the second address had a bucket of its own"


async def test_a_site_without_a_capacity_refuses_nobody(stage):
    old = stage.backend("old")
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot({"old": {"dc": [old.endpoint]}}, [{"name": "all", "split": {"old": 100}}]))
        connection = stage.connection()
        assert {(await connection.ask("/")).status for _ in range(10 * CAPACITY)} == {200}
        assert runner.refused() == 0
