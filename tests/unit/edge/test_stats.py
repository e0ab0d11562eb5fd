from __future__ import annotations

import json
import re

import pytest

from gslb.edge.render import Skip, StatsIndex
from gslb.edge.stats import COUNTERS_FILTER, Tally, counting_apps, parse_stats, route_counts
from gslb.errors import HostError
from gslb.snapshot.types import BackendName, RouteCounts, RouteId

PAY, REST = RouteId("shop", "pay"), RouteId("shop", "rest")
INDEX = StatsIndex(
    aliases={"shop/pay/old": (PAY, BackendName("old")), "shop/pay/new": (PAY, BackendName("new")), "shop/rest/old": (REST, BackendName("old"))},
    shadows={"shop/pay/new~mirror0": (PAY, 0), "shop/pay/copy~mirror1": (PAY, 1)},
    skips={
        "vhost.shop.route.pay~method~2": Skip(PAY, "method", 2),
        "vhost.shop.route.pay~method~1": Skip(PAY, "method", 1),
        "vhost.shop.route.pay~body_too_large~2": Skip(PAY, "body_too_large", 2),
    },
)  # fmt: skip


def test_counters_become_counts():
    counters = {
        "cluster.shop/pay/old.upstream_rq_completed": 90,
        "cluster.shop/pay/new.upstream_rq_completed": 10,
        "cluster.shop/pay/new~mirror0.upstream_rq_completed": 5,
        "cluster.shop/pay/new~mirror0.upstream_rq_total": 6,
        "cluster.shop/pay/copy~mirror1.upstream_rq_total": 3,
        "cluster.shop/pay/new~mirror0.upstream_cx_none_healthy": 2,
        "cluster.shop/pay/copy~mirror1.upstream_cx_none_healthy": 1,
        "cluster.shop/pay/copy~mirror1.upstream_rq_pending_overflow": 4,
        "cluster.shop/pay/copy~mirror1.upstream_rq_pending_failure_eject": 50,
        "cluster.shop/pay/copy~mirror1.upstream_rq_cancelled": 60,
        "vhost.shop.route.pay~method~2.upstream_rq_completed": 7,
        "vhost.shop.route.pay~method~1.upstream_rq_completed": 1,
        "cluster.other.upstream_rq_completed": 1000,
    }
    assert all(re.search(COUNTERS_FILTER, name) for name in counters)
    assert route_counts(INDEX, counters) == {
        PAY: RouteCounts({"old": 90, "new": 10}, 9, {"method": 15, "target_down": 53, "target_busy": 64}),
        REST: RouteCounts({"old": 0}, 0, {}),
    }


def test_only_apps_that_counted_something_are_looked_at_again():
    tally, name = Tally(), "cluster.shop/pay/old.upstream_rq_completed"
    assert tally.observe({name: 1, "other": 1}) == {name, "other"}
    assert tally.observe({name: 2, "other": 1}) == {name}
    assert tally.observe({name: 2}) == {"other"}
    assert counting_apps(INDEX, [name]) == {"shop"}
    assert counting_apps(INDEX, ["vhost.shop.route.pay~method~2.upstream_rq_completed"]) == {"shop"}
    assert counting_apps(INDEX, ["other", "vhost.shop.route.probe.upstream_rq_completed"]) == set()


def test_pools_of_endpoints_are_not_asked_for():
    assert not re.search(COUNTERS_FILTER, "cluster.shop/old@dc.upstream_rq_completed")
    assert not re.search(COUNTERS_FILTER, "cluster.shop/pay/old.upstream_rq_cancelled")


def test_numbers_and_texts_are_read_and_histograms_are_not():
    body = {"stats": [{"name": "a", "value": 1}, {"name": "b.version_text", "value": "1.0"}, {"histograms": {}}]}
    assert parse_stats(json.dumps(body).encode()) == {"a": 1, "b.version_text": "1.0"}


@pytest.mark.parametrize(
    "body", [b"", b"{}", b"[]", b'{"stats": [1]}', b'{"stats": [{"name": "a"}]}', b'{"stats": null}']
)
def test_what_is_no_statistics_is_an_error_for_the_operator(body):
    with pytest.raises(HostError, match="statistics cannot be read"):
        parse_stats(body)


def test_a_tally_goes_on_after_a_process_has_ended_and_begins_again_where_a_split_has_changed():
    name, other = "cluster.shop/pay/old.upstream_rq_completed", "cluster.shop/rest/old.upstream_rq_completed"
    tally = Tally()
    assert tally.totals() == {}
    tally.observe({name: 5, other: 7})
    tally.rebase(["shop/pay/old", "shop/pay/new"])
    tally.observe({name: 8, other: 8})
    assert tally.totals() == {name: 3, other: 8}
    tally.process_ended()
    assert tally.totals() == {name: 3, other: 8}
    tally.observe({name: 2})
    assert tally.totals() == {name: 5, other: 8}
    tally.process_ended()
    tally.rebase(["shop/rest/old"])
    tally.observe({other: 1})
    assert tally.totals() == {name: 5, other: 1}
