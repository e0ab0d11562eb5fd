"""What became of an app's requests, counted by a real Envoy."""

from tests.e2e_edge.conftest import eventually


async def test_answers_failures_and_times_are_told_by_side(stage):
    old, new = stage.backend("old"), stage.backend("new", status="500")
    backends = {"old": {"dc": [old.endpoint]}, "new": {"dc": [new.endpoint]}}
    routes = [{"name": "some", "split": {"old": 50, "new": 50}, "retries": 0}]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, routes))
        connection = stage.connection()
        codes = [(await connection.ask("/")).status for _ in range(60)]

        async def counted():
            """Envoy adds its histograms up every five seconds."""
            sides = (await runner.outcomes("shop")).sides.values()
            return sum(side.answered for side in sides) == sum(sum(side.bins.values()) for side in sides) == 60

        await eventually(counted)
        seen = {backend: side for (_, backend), side in (await runner.outcomes("shop")).sides.items()}
        assert (seen["old"].answered, seen["old"].failed) == (codes.count(200), 0)
        assert (seen["new"].answered, seen["new"].failed) == (codes.count(500), codes.count(500))
        assert sum(seen["old"].bins.values()) == codes.count(200)
        assert (await runner.outcomes("wiki")).sides == {}
