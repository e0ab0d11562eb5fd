"""SMI's traffic metrics of the running demo, over both edges."""

from tests.support.running_demo import eventually

URL = "http://127.0.0.1:8053/apis/metrics.smi-spec.io/v1alpha1/namespaces/shop"


async def test_what_clients_got_is_told_over_both_edges(demo):
    for site in ("dc", "aws"):
        await demo.services("/account", 40, site)

    async def told():
        async with demo.session.get(f"{URL}/trafficsplits/account") as answer:
            assert answer.status == 200
            items = (await answer.json())["items"]
        metrics = [{item["name"]: item["value"] for item in side["metrics"]} for side in items]
        return metrics if sum(int(side["success_count"]) for side in metrics) == 80 else None

    assert {side["failure_count"] for side in await eventually(told)} == {"0"}

    async def timed():
        return all("p99_response_latency" in side for side in await told() or [{}])

    await eventually(timed)
