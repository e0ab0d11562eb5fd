"""The commands of mirrors, over the API that control serves."""

import json

import pytest

from gslb.control.compared import Compared, ComparedField, SideTraffic, TrafficCounts
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.unit.control.world import POLICY, policy


def test_a_stop_says_what_it_did_and_how_to_undo_it(gslb, publisher):
    code, out, err = gslb("mirror", "stop", "shop/pay", "--for", "1h", "--reason", "full")
    assert (code, err) == (0, "")
    assert out.splitlines() == [
        "environment test: mirrors of shop/pay stopped",
        "  shop/pay  checkout 10 % -> checkout stopped",
        "to undo: gslb mirror start shop/pay",
    ]
    made = publisher.intent.overrides.mirror_stops[0]
    assert (made.app, made.route, made.by.author, made.by.expires_s - made.by.at_s) == ("shop", "pay", "ann", 3600)
    assert "stopped by ann full (policy: checkout 10 %)" in " ".join(gslb("status")[1].split())
    code, out, _ = gslb("mirror", "start", "shop/pay")
    assert (code, out.splitlines()[-1]) == (0, "to undo: gslb mirror stop shop/pay")
    assert publisher.intent.overrides.mirror_stops == ()


def test_without_a_scope_every_mirror_is_meant(gslb, publisher):
    assert gslb("mirror", "stop")[1].splitlines()[0] == "environment test: every mirror stopped"
    assert publisher.intent.overrides.mirror_stops[0].app is None
    assert gslb("mirror", "stop")[1].splitlines()[-1] == "nothing had to change"
    code, _, err = gslb("mirror", "start", "shop")
    assert code == 1
    assert "gslb mirror start" in err


@pytest.mark.parametrize("scope", ["shop/", "/pay", "a/b/c"])
def test_what_is_no_scope(gslb, scope):
    code, _, err = gslb("mirror", "stop", scope)
    assert code == 2
    assert "APP/ROUTE" in err


COMPARED = Compared(
    app="shop", route="pay", site="dc", target="checkout", reference="monolith", noise=True, since_wall_s=1.0,
    pairs=50, measured=50, different=50,
    fields=(
        ComparedField(path="body.price", kind="type", seen=20, only_new=20, old="1.50", new="1.5"),
        ComparedField(path="body.at", kind="value", seen=50, both=50, old="a", new="b"),
        ComparedField(path="body.<b>", kind="value", seen=2, only_new=2, old="<script>", new="x"),
    ),
    samples=(
        {
            "at_wall_s": 2.0, "request_id": "r1", "method": "GET", "path": "/pay?a=<i>",
            "differences": [{"path": "body.price", "kind": "type", "old": "1.50", "new": "1.5"}],
            "answers": [
                {"role": role, "side": side, "status": 200, "size_bytes": 9, "headers": {"a": "<u>"}, "body": "<p>"}
                for role, side in (("answer", "monolith"), ("copy", "checkout"))
            ],
        },
    ),
    traffic=TrafficCounts(
        pairs=500, old=SideTraffic(statuses={200: 500}, times={80: 500}, size_bytes=5000),
        new=SideTraffic(statuses={200: 490, 500: 8, 0: 2}, times={90: 500}, size_bytes=4000),
        changes={"200 500": 8, "200 0": 2},
    ),
)  # fmt: skip


@pytest.fixture
def comparing(publisher):
    routes = [dict(item) for item in POLICY["apps"]["shop"]["routes"]]
    routes[0]["mirror"] = [{"to": "checkout", "percent": 10, "compare": True}]
    changed = policy(apps={**POLICY["apps"], "shop": {**POLICY["apps"]["shop"], "routes": routes}})
    publisher.intent = Intent(revision=2, policy=changed)
    publisher.snapshot = compile_snapshot(publisher.intent, 0.0)
    publisher.compared = {"edge-dc": COMPARED}


def test_the_report_tells_what_differs_and_leaves_noise_out(gslb, comparing):
    code, out, err = gslb("mirror", "report", "shop/pay")
    assert (code, err) == (0, "")
    assert "environment test: shop/pay, monolith (old) beside checkout (new)" in out
    assert "50 pairs compared" in out
    assert "Everything mirrored: 500" in out
    assert "8 x 200 to 500" in out
    assert "2 x 200 to no answer" in out
    assert "2 x no answer, 490 x 200" in out
    assert "body.price" in out
    assert "not settled, 10 more would" in out
    assert "body.at" not in out
    assert "1 more in which one side differs from itself: --noise shows them" in out
    assert "body.at" in gslb("mirror", "report", "shop/pay", "--noise")[1]
    assert "r1" in gslb("mirror", "report", "shop/pay", "--samples")[1]


def test_the_report_as_json_and_as_a_page_that_holds_no_markup_of_others(gslb, comparing, tmp_path):
    assert json.loads(gslb("mirror", "report", "shop/pay", "--json")[1])["fields"][0]["path"] == "body.price"
    page = tmp_path / "report.html"
    assert gslb("mirror", "report", "shop/pay", "--html", str(page))[0] == 0
    text = page.read_text()
    assert not [mark for mark in ("<script", "<i>", "<u>", "body.<b>") if mark in text]
    assert "&lt;script&gt;" in text
    assert "default-src 'none'" in text
    assert "2 × 200 to no answer" in text
    code, _, err = gslb("mirror", "report", "shop/pay", "--html", str(tmp_path / "no" / "report.html"))
    assert (code, "cannot be written" in err) == (2, True)


def test_a_report_of_what_is_not_compared_and_of_nothing(gslb, comparing, publisher):
    assert gslb("mirror", "report", "blog/all")[0] == 1
    assert gslb("mirror", "report", "shop")[0] == 2
    publisher.compared = {"edge-dc": None}
    out = gslb("mirror", "report", "shop/pay")[1]
    assert "nothing was heard from the comparer of edge-dc" in out
    publisher.compared = {"edge-dc": COMPARED.model_copy(update={"fields": ()})}
    assert "no difference that is not noise" in gslb("mirror", "report", "shop/pay")[1]
