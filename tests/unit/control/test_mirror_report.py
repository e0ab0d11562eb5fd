"""What comparers told, as the report of all of them."""

from __future__ import annotations

import pytest
from aiohttp.test_utils import TestClient, TestServer

from gslb.control.alarms import alarms
from gslb.control.bodies.mirror_report_messages import MirrorReport
from gslb.control.compared import (
    Compared,
    ComparedCounts,
    ComparedField,
    ComparerLife,
    ComparerState,
    SideTraffic,
    TrafficCounts,
)
from gslb.control.http.api import build_app
from gslb.control.mirror_report import mirror_report
from gslb.control.mirror_traffic import quantile_s, traffic_seen
from gslb.control.protocol import EdgeState, EnvoyState
from gslb.control.scrape.metrics import exposition
from gslb.errors import RefusedError
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.unit.control.world import NOW_S, POLICY, MemoryPublisher, edge_state, policy


@pytest.fixture
async def aiohttp_api():
    clients = []

    async def serve(publisher):
        clients.append(TestClient(TestServer(build_app(publisher, "local"))))
        await clients[-1].start_server()
        return clients[-1]

    yield serve
    for client in clients:
        await client.close()


def compared_policy(**compare):
    routes = [dict(item) for item in POLICY["apps"]["shop"]["routes"]]
    routes[0]["mirror"] = [{"to": "checkout", "percent": 10, "compare": compare or True}]
    shop = {**POLICY["apps"]["shop"], "routes": routes}
    return policy(apps={**POLICY["apps"], "shop": shop})


INTENT = Intent(revision=1, policy=compared_policy())
SNAPSHOT = compile_snapshot(INTENT, NOW_S)


def compared(site="dc", *fields, **more):
    given = {"app": "shop", "route": "pay", "site": site, "target": "checkout", "reference": "monolith", "noise": True}
    return Compared(
        **{**given, "since_wall_s": NOW_S, "pairs": 100, "measured": 100, "different": 50, "fields": fields, **more}
    )


def field(path="body.a", only_new=0, both=0, only_old=0, **more):
    seen = more.pop("seen", only_new + both)
    return ComparedField(path=path, kind="value", seen=seen, both=both, only_new=only_new, only_old=only_old, **more)


def report(told, edges=(), snapshot=SNAPSHOT):
    found = mirror_report(snapshot, "shop", "pay", told, edges)
    return MirrorReport.model_validate(found)


def test_what_edges_found_is_added_up_and_judged_together():
    found = report({
        "edge-dc": compared("dc", field(only_new=7, old="1", new="2", last_wall_s=NOW_S), field("body.id", both=90)),
        "edge-aws": compared("aws", field(only_new=8, last_wall_s=NOW_S + 1), pairs=50, since_wall_s=NOW_S - 60),
    })  # fmt: skip
    assert (found.pairs, found.since, found.edges) == (150, "2023-11-14T22:12:20Z", {"edge-dc": 100, "edge-aws": 50})
    assert [(item.path, item.verdict, item.seen) for item in found.fields] == [
        ("body.a", "difference", 15), ("body.id", "noise", 90),
    ]  # fmt: skip
    assert (found.fields[0].old, found.fields[0].new, found.fields[0].percent) == ("1", "2", 10.0)
    assert found.hints == []


def test_the_surest_stand_first_and_noise_last():
    fields = (
        field("n", both=9),
        field("s", only_new=3),
        field("u", seen=2),
        field("d2", only_new=20),
        field("d1", only_new=30),
    )
    found = report({"edge-dc": compared("dc", *fields)})
    assert [item.path for item in found.fields] == ["d1", "d2", "u", "s", "n"]
    assert [item.needed for item in found.fields] == [0, 0, 0, 9, 0]


@pytest.mark.parametrize(
    ("told", "word"),
    [
        ({}, "nothing was compared yet"),
        ({"edge-dc": None}, "nothing was heard from the comparer of edge-dc"),
        ({"edge-dc": compared(pairs=0)}, "nothing was compared yet"),
        (
            {"edge-dc": compared(pairs=0, traffic=TrafficCounts(pairs=9, new=SideTraffic(statuses={0: 7, 200: 2})))},
            "no answer to 7 of 9 requests",
        ),
        ({"edge-dc": compared(refused=11)}, "401 or 403"),
        ({"edge-dc": compared(measured=0)}, "only safe methods"),
        ({"edge-dc": compared(more_fields=3)}, "more fields than are counted"),
    ],
)
def test_hints(told, word):
    assert any(word in hint for hint in report(told).hints)


def test_hints_about_noise_and_dropped_captures():
    quiet = compile_snapshot(Intent(revision=1, policy=compared_policy(noise=False)), NOW_S)
    assert any("noise: false" in hint for hint in report({"edge-dc": compared(measured=0)}, (), quiet).hints)
    state = edge_state(SNAPSHOT, "dc")
    busy = EdgeState(envoy=EnvoyState(state="live"), comparing=True, captures_dropped=9)
    found = report({"edge-dc": compared()}, [state, state.model_copy(update={"edge": busy})])
    assert [hint for hint in found.hints if hint.startswith("9 captured answers were dropped")]


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ({}, []),
        ({"comparer_silent_s": 9.0}, []),
        ({"comparer_silent_s": 11.0}, [("comparer-silent", "warning", "edge-dc", NOW_S - 11.0)]),
        ({"comparing": False, "comparer_silent_s": 11.0, "captures_dropped_ago_s": 1.0}, []),
        ({"captures_dropped": 9, "captures_dropped_ago_s": 61.0}, []),
        ({"captures_dropped": 9, "captures_dropped_ago_s": 1.0}, [("captures-dropped", "warning", "edge-dc", None)]),
    ],
)
def test_a_comparer_that_is_silent_or_too_slow_is_an_alarm(told, expected):
    state = edge_state(SNAPSHOT, "dc")
    edge = state.edge.model_copy(update={"comparing": True, **told})
    found = alarms(None, {"edge-dc": state.model_copy(update={"edge": edge})}, {"edge-dc": 0.1}, NOW_S)
    assert [(it.rule, it.severity, it.subject, it.since_wall_s) for it in found] == expected


def test_the_alarm_says_how_often_it_was_started_again():
    state = edge_state(SNAPSHOT, "dc")
    life = ComparerLife(restarts=3, last_end="the comparer ended")
    silent = {"comparing": True, "comparer_silent_s": 11.0, "comparer_life": life}
    edge = state.edge.model_copy(update=silent)
    (found,) = alarms(None, {"edge-dc": state.model_copy(update={"edge": edge})}, {"edge-dc": 0.1}, NOW_S)
    assert found.message.endswith("started again 3 times, the last time because the comparer ended")


def test_samples_are_the_newest_of_all_edges():
    def sample(at_s):
        return {"at_wall_s": at_s, "request_id": str(at_s), "method": "GET", "path": "/", "keys": [], "differences": [],
                "answers": [{"role": "copy", "side": "new", "status": 200, "size_bytes": 1, "headers": {}, "body": "x"}]}  # fmt: skip

    told = {
        site: compared(site, samples=tuple(sample(NOW_S + start + 2 * step) for step in range(20)))
        for start, site in enumerate(("dc", "aws"))
    }
    samples = report(told).samples
    assert len(samples) == 20
    assert [one.site for one in samples[:3]] == ["aws", "dc", "aws"]


def test_traffic_is_added_up_and_quantiles_come_of_the_whole():
    one = TrafficCounts(
        pairs=3, alone=1, old=SideTraffic(statuses={200: 3}, times={80: 2, 90: 1}, size_bytes=30),
        new=SideTraffic(statuses={200: 2, 500: 1}, times={100: 3}, size_bytes=60), changes={"200 500": 1},
    )  # fmt: skip
    seen = traffic_seen([one, one])
    assert (seen["pairs"], seen["alone"], seen["changes"]) == (6, 2, [{"old": 200, "new": 500, "count": 2}])
    assert seen["new"]["statuses"] == {"200": 4, "500": 2}
    assert (seen["old"]["mean_bytes"], seen["new"]["mean_bytes"]) == (10.0, 20.0)
    assert seen["old"]["p50_ms"] < seen["old"]["p95_ms"] < seen["new"]["p50_ms"]
    assert traffic_seen([])["old"] == {
        "statuses": {},
        "p50_ms": None,
        "p95_ms": None,
        "p99_ms": None,
        "mean_bytes": None,
    }
    assert quantile_s({}, 0.5) is None


@pytest.mark.parametrize(
    ("app", "route", "rule"),
    [("no", "pay", "unknown-route"), ("shop", "no", "unknown-route"), ("blog", "all", "not-compared")],
)
def test_what_is_not_compared_says_so(app, route, rule):
    with pytest.raises(RefusedError) as refused:
        mirror_report(SNAPSHOT, app, route, {}, [])
    assert refused.value.rule == rule


async def test_the_api_tells_it_and_metrics_count_it(aiohttp_api):
    publisher = MemoryPublisher(INTENT)
    publisher.compared = {"edge-dc": compared("dc", field(only_new=20))}
    counts = ComparedCounts(
        app="shop", route="pay", target="checkout", pairs=7, different=2, verdicts={"difference": 1}
    )
    state = edge_state(publisher.snapshot, "dc")
    told = {"comparing": True, "captures_dropped": 4, "comparer": ComparerState(pid=1, comparisons=(counts,))}
    publisher.hear(state.model_copy(update={"edge": state.edge.model_copy(update=told)}))
    api = await aiohttp_api(publisher)
    answer = await api.get("/v1/mirrors/shop/pay/report")
    assert MirrorReport.model_validate(await answer.json()).fields[0].verdict == "difference"
    assert (await api.get("/v1/mirrors/blog/all/report")).status == 409
    text = exposition(publisher).decode()
    assert 'gslb_comparer_up{role="edge-dc"} 1.0' in text
    assert 'gslb_captures_dropped_total{role="edge-dc"} 4.0' in text
    assert 'gslb_mirror_fields{app="shop",role="edge-dc",route="pay",verdict="difference"} 1.0' in text
    assert 'gslb_mirror_compared{app="shop",role="edge-dc",route="pay"} 7.0' in text
