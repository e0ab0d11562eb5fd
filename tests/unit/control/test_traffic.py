"""SMI's traffic metrics: an app is a namespace, a route a split, a backend a service."""

from collections import Counter

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gslb.control.http.api import build_app
from gslb.control.protocol import Outcomes, SideOutcome
from gslb.control.traffic import quantile_ms
from tests.unit.control.world import MemoryPublisher, intent

SMI = "/apis/metrics.smi-spec.io/v1alpha1"


def side(route, backend, answered, failed=0, bins=()):
    return SideOutcome(route=route, backend=backend, answered=answered, failed=failed, bins=bins)


@pytest.fixture
async def api():
    publisher = MemoryPublisher(intent())
    publisher.told = [
        Outcomes(window_s=30.4, sides=(
            side("pay", "monolith", 90, 10, [(10.0, 1.0, 90)]), side("pay", "checkout", 10, 0, [(2.0, 0.1, 10)]))),
        Outcomes(window_s=12.0, sides=(
            side("pay", "monolith", 10, 0, [(20.0, 1.0, 10)]), side("find", "monolith", 7, 0, [(20.0, 1.0, 7)]))),
    ]  # fmt: skip
    async with TestClient(TestServer(build_app(publisher, "local"))) as client:
        client.publisher = publisher
        yield client


async def ask(api, path):
    answer = await api.get(SMI + path)
    return answer.status, await answer.json()


async def test_a_split_is_told_side_by_side_over_all_edges(api):
    status, told = await ask(api, "/namespaces/shop/trafficsplits/pay")
    assert status == 200
    assert told["kind"] == "TrafficMetricsList"
    assert told["resource"] == {"kind": "TrafficSplit", "namespace": "shop", "name": "pay"}
    new, old = told["items"]
    assert old["backend"] == {"apex": "shop.gslb.example.com", "name": "monolith", "weight": 95}
    assert old["edge"] == {"direction": "from", "side": "client", "resource": {}}
    assert old["window"] == "30s"
    metrics = {item["name"]: item["value"] for item in old["metrics"]}
    assert metrics["success_count"] == "90"
    assert metrics["failure_count"] == "10"
    assert metrics["p50_response_latency"] == "10556u"
    assert metrics["p99_response_latency"] == "20900u"
    assert new["backend"]["name"] == "checkout"


async def test_all_splits_of_an_app_and_all_its_services(api):
    _, told = await ask(api, "/namespaces/shop/trafficsplits")
    assert {item["resource"]["name"] for item in told["items"]} >= {"pay", "find"}
    _, told = await ask(api, "/namespaces/shop/services")
    counts = {item["resource"]["name"]: item["metrics"][-2]["value"] for item in told["items"]}
    assert counts == {"monolith": "97", "checkout": "10", "search": "0", "paper": "0"}
    _, told = await ask(api, "/namespaces/shop/services/search")
    assert [item["name"] for item in told["items"][0]["metrics"]] == ["success_count", "failure_count"]


async def test_what_there_is_can_be_discovered(api):
    _, told = await ask(api, "")
    assert [item["name"] for item in told["resources"]] == ["services", "trafficsplits"]


@pytest.mark.parametrize(("path", "rule", "remedy"), [
    ("/namespaces/none/trafficsplits", "unknown-app", "there are: shop"),
    ("/namespaces/shop/trafficsplits/none", "unknown-route", "it has: pay"),
    ("/namespaces/shop/services/none", "unknown-backend", "it has: monolith"),
])  # fmt: skip
async def test_what_there_is_not_is_said(api, path, rule, remedy):
    status, told = await ask(api, path)
    assert (status, told["rule"]) == (409, rule)
    assert remedy in told["remedy"]


async def test_no_edge_is_no_zero(api):
    api.publisher.told = []
    status, told = await ask(api, "/namespaces/shop/services")
    assert (status, told["detail"]) == (503, "no edge answers")


@pytest.mark.parametrize(("quantile", "ms"), [(0.0, 1.0), (0.5, 2.0), (0.75, 15.0), (1.0, 20.0)])
def test_a_quantile_lies_within_its_bin(quantile, ms):
    assert quantile_ms(Counter({(10.0, 10.0): 2, (1.0, 1.0): 2}), quantile) == ms


def test_nothing_has_no_quantile():
    assert quantile_ms(Counter(), 0.5) is None
