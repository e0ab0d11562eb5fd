"""A state that is told by what has changed is the state that was told whole."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.control.protocol import CheckState, EdgeState, EnvoyState, RoleState, RouteState, VerdictState
from gslb.control.telling import Teller, joined, later, mark_text

NAMES = st.lists(st.sampled_from("abcd"), unique=True, max_size=4)


def state(routes=(), verdicts=(), checks=(), *, edge=True, pid=1):
    made = EdgeState(
        envoy=EnvoyState(state="live"),
        routes=tuple(RouteState(app="shop", route=name, mirrored=count) for name, count in routes),
    )
    return RoleState(
        name="edge-dc", role="edge", pid=pid, started_wall_s=1.0,
        edge=made if edge else None,
        verdicts=tuple(
            VerdictState(app=name, site="dc", address="192.0.2.1", state="up", reason=str(count), since_wall_s=1.0)
            for name, count in verdicts
        ),
        checks=tuple(
            CheckState(name=name, kind="tcp", state="up", reason=str(count)) for name, count in checks
        ),
    )  # fmt: skip


@st.composite
def states(draw):
    def entries():
        return [(name, draw(st.integers(0, 2))) for name in draw(NAMES)]

    return state(entries(), entries(), entries(), edge=draw(st.booleans()), pid=draw(st.integers(1, 9)))


def over_the_wire(told):
    return RoleState.model_validate_json(told.model_dump_json())


@given(st.lists(st.tuples(st.sampled_from("xy"), states()), min_size=1, max_size=8))
def test_every_listener_knows_the_whole_state_after_each_telling(steps):
    teller, known = Teller("life"), {}
    for who, now in steps:
        before = known.get(who)
        told = over_the_wire(teller.tell(now, mark_text(before.mark) if before else ""))
        known[who] = joined(before, told)
        assert known[who].model_copy(update={"mark": None}) == now


def test_what_stays_is_told_once():
    teller, many = Teller("life"), [("a", 1), ("b", 1), ("c", 1)]
    first = joined(None, over_the_wire(teller.tell(state(many, many, many))))
    told = teller.tell(state([("a", 1), ("b", 2), ("c", 1)], many, many), mark_text(first.mark))
    assert [route.route for route in told.edge.routes] == ["b"]
    assert (told.verdicts, told.checks) == ((), ())
    second = joined(first, over_the_wire(told))
    assert second.verdicts is first.verdicts
    assert [route.mirrored for route in second.edge.routes] == [1, 2, 1]


@pytest.mark.parametrize("since", ["", "other-1", "life-9", "life--1", "life-x", "life", "-1"])
def test_whoever_knows_nothing_of_this_process_gets_everything(since):
    teller = Teller("life")
    teller.tell(state([("a", 1)]))
    told = teller.tell(state([("a", 1)]), since)
    assert told.mark.since is None
    assert told.edge.routes


def test_answers_that_overtake_each_other_lead_to_no_older_state():
    teller = Teller("life")
    first = joined(None, teller.tell(state([("a", 1)])))
    earlier = teller.tell(state([("a", 2)]), mark_text(first.mark))
    later = teller.tell(state([("a", 3)]), mark_text(first.mark))
    newest = joined(first, later)
    assert joined(newest, earlier) is newest
    assert [route.mirrored for route in joined(joined(first, earlier), later).edge.routes] == [3]


def test_what_fits_nothing_that_is_known_is_not_believed():
    teller = Teller("life")
    first = joined(None, teller.tell(state([("a", 1)])))
    told = teller.tell(state([("a", 2)]), mark_text(first.mark))
    assert joined(None, told) is None
    assert joined(Teller("other").tell(state()), told) is None


def test_an_edge_that_was_silent_in_between_tells_its_routes_again():
    teller, known = Teller("life"), None
    for now in (state([("a", 1)]), state(edge=False), state([("a", 1)])):
        known = joined(known, teller.tell(now, mark_text(known and known.mark)))
    assert [route.route for route in known.edge.routes] == ["a"]


def test_a_node_of_an_older_gslb_tells_all_of_it_each_time():
    old = state([("a", 1)])
    assert mark_text(old.mark) == ""
    assert joined(state([("b", 1)]), old) is old


def test_that_time_has_passed_is_no_news_and_all_else_is():
    teller, now = Teller("life"), state([("a", 1)], [("a", 1)])
    first = teller.tell(now)
    assert teller.is_news(first)
    since = mark_text(first.mark)
    older = now.model_copy(update={"snapshot_age_s": 9.0, "control_silence_s": 2.0})
    assert not teller.is_news(teller.tell(older, since))
    for other in (state([("a", 2)], [("a", 1)]), state([("a", 1)], [("a", 2)]), state([("a", 1)], pid=2), state()):
        assert teller.is_news(teller.tell(other, since))
    assert teller.is_news(teller.tell(now, since)), "it was another one in between"


def test_ages_count_on_while_nothing_is_told():
    known = state().model_copy(update={"snapshot_age_s": 5.0, "control_silence_s": 30.0})
    assert (later(known, 2.0).snapshot_age_s, later(known, 2.0).control_silence_s) == (7.0, 2.0)
    assert later(state(), 2.0).snapshot_age_s is None
