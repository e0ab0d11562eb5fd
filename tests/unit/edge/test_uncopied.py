from __future__ import annotations

from dataclasses import replace

from gslb.edge.render import StatsIndex
from gslb.edge.stats import take_waiting
from gslb.edge.uncopied import NOT_DRAWN, STOPPED, Uncopied
from gslb.snapshot.types import BackendName, RouteCounts, RouteId

PAY, REST = RouteId("shop", "pay"), RouteId("shop", "rest")
INDEX = StatsIndex(
    aliases={"shop/pay/old": (PAY, BackendName("old")), "shop/rest/old": (REST, BackendName("old"))},
    shadows={"shop/pay/new~mirror0": (PAY, 0), "shop/pay/copy~mirror1": (PAY, 1)},
    skips={},
)
HELD = replace(INDEX, stopped=frozenset({PAY}))


def counts(requests, mirrored=0, **skipped):
    return {PAY: RouteCounts({BackendName("old"): requests}, mirrored, skipped), REST: RouteCounts({}, 0, {})}


def test_what_is_left_is_told_by_what_was_in_force_when_it_came():
    uncopied = Uncopied()
    uncopied.begin(INDEX, counts(100, 5))
    assert uncopied.reasons(PAY) == {}
    uncopied.look(INDEX, counts(110, 15, target_busy=4), {})
    assert uncopied.reasons(PAY) == {NOT_DRAWN: 6}
    uncopied.begin(HELD, counts(110, 15, target_busy=4))
    uncopied.look(HELD, counts(130, 15, target_busy=4), {})
    assert uncopied.reasons(PAY) == {NOT_DRAWN: 6, STOPPED: 40}
    assert uncopied.reasons(REST) == {}


def test_copies_that_wait_are_not_lost_yet_and_ones_that_came_first_are_not_less_than_none():
    uncopied = Uncopied()
    uncopied.begin(INDEX, counts(0))
    uncopied.look(INDEX, counts(10, 12), {PAY: 8})
    assert uncopied.reasons(PAY) == {}
    uncopied.look(INDEX, counts(10, 21), {})
    assert uncopied.reasons(PAY) == {}
    uncopied.look(INDEX, counts(11, 21), {})
    assert uncopied.reasons(PAY) == {NOT_DRAWN: 1}


def test_a_route_that_goes_is_forgotten():
    uncopied = Uncopied()
    uncopied.begin(INDEX, counts(0))
    uncopied.look(INDEX, counts(3), {})
    uncopied.begin(replace(INDEX, shadows={}), counts(3))
    uncopied.begin(INDEX, counts(3))
    assert uncopied.reasons(PAY) == {}


def test_copies_that_wait_are_no_counters():
    numbers = {
        "cluster.shop/pay/new~mirror0.upstream_rq_pending_active": 3,
        "cluster.shop/pay/copy~mirror1.upstream_rq_pending_active": 4,
        "cluster.gone~mirror1.upstream_rq_pending_active": 5,
        "cluster.shop/pay/old.upstream_rq_completed": 6,
    }
    assert take_waiting(INDEX, numbers) == {PAY: 7}
    assert numbers == {"cluster.shop/pay/old.upstream_rq_completed": 6}
