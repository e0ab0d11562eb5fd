"""What holds for every history of what is seen: few changes under flapping, nobody out without a reason."""

from hypothesis import given, settings
from hypothesis import strategies as st

from gslb.health.quorum import Seen
from gslb.health.standings import Standings
from tests.support.examples import examples
from tests.unit.steering.world import NOW_S, app, ip, policy, snapshot

SITES = {"dc": {"edges": [{"public": ["192.0.2.10"]}]}, "aws": {"edges": [{"public": ["198.51.100.20"]}]}}
DC, AWS = ("shop", ip("192.0.2.10")), ("shop", ip("198.51.100.20"))
SEEN = {state: Seen(state, state, 1.0) for state in ("up", "down", "disputed", "unknown")}


def node(**failback):
    of = policy(SITES, shop=app(["healthy", {"weighted": {"dc": 1, "aws": 1}}], failback=failback))
    standings = Standings()
    standings.follow(snapshot(of))
    standings.look({DC: SEEN["up"], AWS: SEEN["up"]}, 0.0, NOW_S)
    return standings


def changes(standings, history, tick_s):
    """How often dc left or came back over a history of what is seen of it, and the states on the way."""
    count, states, mono_s = 0, [], 0.0
    for state in history:
        mono_s += tick_s
        standings.look({DC: SEEN[state], AWS: SEEN["up"]}, mono_s, NOW_S + mono_s)
        count += sum(change.action in ("left", "returned") for change in standings.changes)
        states.append(standings.verdicts[DC].state)
    return count, states


@settings(deadline=None, max_examples=examples(30))
@given(up_s=st.floats(0.2, 29), down_s=st.floats(1.0, 60), tick_s=st.sampled_from([0.5, 1.0]))
def test_a_site_that_flaps_for_ten_minutes_changes_the_answer_at_most_twice(up_s, down_s, tick_s):
    """Every second, or with any up-time below the hold-down. A down-time between two looks is not seen at all."""
    ticks = (tick * tick_s for tick in range(int(600 / tick_s)))
    history = ["up" if now_s % (up_s + down_s) < up_s else "down" for now_s in ticks]
    count, _ = changes(node(), history, tick_s)
    assert count <= 2


@settings(deadline=None, max_examples=examples(15))
@given(st.floats(31, 200), st.floats(1, 60))
def test_slower_flaps_are_damped_to_fewer_and_fewer_changes(up_s, down_s):
    """Nothing can tell at once a slow flap from two outages: but each return costs twice the wait."""
    history = ["up" if second % (up_s + down_s) < up_s else "down" for second in range(7200)]
    count, _ = changes(node(), history, 1.0)
    assert count <= 14


@settings(deadline=None)
@given(st.lists(st.sampled_from(list(SEEN)), max_size=120))
def test_nobody_leaves_but_for_a_death_that_is_seen_and_returns_but_well_for_its_time(history):
    standings, before, well_s = node(after="10s"), "up", 0.0
    for tick, state in enumerate(history, 1):
        standings.look({DC: SEEN[state], AWS: SEEN["up"]}, float(tick), NOW_S + tick)
        now = standings.verdicts[DC].state
        well_s = well_s + 1 if state == "up" else 0.0
        if (before, now) == ("up", "down") or (before, now) == ("held", "down"):
            assert state == "down"
        if (before, now) == ("down", "up"):
            assert well_s >= 10
        before = now
