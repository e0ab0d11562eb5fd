"""The machine of an address, row by row, and its hold-down."""

from math import inf

import pytest

from gslb.health.standing import CALM_S, LONGEST_HOLD_S, Rules, Standing, hold_s, left_s, step, word
from gslb.snapshot.types import Failback

AUTO = Rules(Failback(after_s=30))
MANUAL_BACK = Rules(Failback(after_s=30, manual=True))
ASK = Rules(Failback(after_s=30), ask=True)
RAIL = Rules(Failback(after_s=30), may_fall=False)


@pytest.mark.parametrize(
    ("phase", "event", "rules", "after", "actions"),
    [
        ("unknown", "alive", AUTO, "up", ()),
        ("unknown", "dead", AUTO, "down", ("left",)),
        ("unknown", "dead", ASK, "held", ("held",)),
        ("unknown", "doubt", AUTO, "unknown", ()),
        ("unknown", "silence", AUTO, "unknown", ()),
        ("up", "alive", AUTO, "up", ()),
        ("up", "silence", AUTO, "up", ()),
        ("up", "dead", AUTO, "down", ("left",)),
        ("up", "dead", ASK, "held", ("held",)),
        ("up", "dead", RAIL, "held", ("held",)),
        ("up", "doubt", AUTO, "doubted", ()),
        ("up", "elapsed", AUTO, "up", ()),
        ("up", "approved", AUTO, "down", ("left",)),
        ("doubted", "alive", AUTO, "up", ()),
        ("doubted", "silence", AUTO, "up", ()),
        ("doubted", "dead", AUTO, "down", ("left",)),
        ("doubted", "dead", ASK, "held", ("held",)),
        ("held", "alive", ASK, "up", ()),
        ("held", "dead", ASK, "held", ()),
        ("held", "silence", ASK, "held", ()),
        ("held", "doubt", ASK, "doubted", ()),
        ("held", "approved", ASK, "down", ("left",)),
        ("held", "freed", AUTO, "down", ("left",)),
        ("down", "dead", AUTO, "down", ()),
        ("down", "doubt", AUTO, "down", ()),
        ("down", "silence", AUTO, "down", ()),
        ("down", "elapsed", AUTO, "down", ()),
        ("down", "resumed", AUTO, "down", ()),
        ("down", "alive", AUTO, "returning", ()),
        ("returning", "alive", AUTO, "returning", ()),
        ("returning", "silence", AUTO, "down", ()),
        ("returning", "dead", AUTO, "down", ()),
        ("returning", "doubt", AUTO, "down", ()),
        ("returning", "elapsed", AUTO, "up", ("returned",)),
        ("returning", "elapsed", MANUAL_BACK, "waiting", ("waits",)),
        ("returning", "resumed", MANUAL_BACK, "up", ("returned",)),
        ("waiting", "elapsed", MANUAL_BACK, "waiting", ()),
        ("waiting", "dead", MANUAL_BACK, "down", ()),
        ("waiting", "resumed", MANUAL_BACK, "up", ("returned",)),
    ],
)
def test_every_row_of_the_table(phase, event, rules, after, actions):
    standing, did = step(Standing(phase, 100.0), event, rules, 130.0)
    assert (standing.phase, did) == (after, actions)
    assert standing.since_s == (100.0 if after == phase else 130.0)


def test_what_a_phase_is_called():
    names = {"unknown": "unknown", "up": "up", "doubted": "held", "held": "held"}
    assert {phase: word(phase) for phase in names} == names
    assert {word(phase) for phase in ("down", "returning", "waiting")} == {"down"}


def test_it_must_be_well_for_the_whole_hold_down():
    standing = Standing("returning", 100.0)
    assert step(standing, "elapsed", AUTO, 129.9)[0].phase == "returning"
    assert step(standing, "elapsed", AUTO, 130.0)[0].phase == "up"


def test_who_falls_soon_after_coming_back_waits_twice_as_long_up_to_an_hour():
    standing, now, holds = Standing("up", 0.0), 0.0, []
    for _ in range(10):
        standing, _ = step(standing, "dead", AUTO, now)
        standing, _ = step(standing, "alive", AUTO, now + 1)
        holds.append(hold_s(standing, AUTO.failback))
        now += 1 + holds[-1]
        standing, _ = step(standing, "elapsed", AUTO, now)
        assert standing.phase == "up"
        now += 10
    assert holds[:4] == [30, 60, 120, 240]
    assert holds[-1] == LONGEST_HOLD_S


def test_who_was_well_for_long_is_forgiven():
    standing = Standing("up", 0.0, back_s=0.0, falls=5)
    assert step(standing, "dead", AUTO, CALM_S - 1)[0].falls == 6
    assert step(standing, "dead", AUTO, CALM_S)[0].falls == 0
    assert step(Standing("up"), "dead", AUTO, 5.0)[0].falls == 0, "it has never been away"


def test_a_hold_down_of_nothing_lets_back_at_once_and_damps_from_the_second_time():
    at_once = Failback(after_s=0)
    assert hold_s(Standing("down"), at_once) == 0
    assert hold_s(Standing("down", falls=1), at_once) == 20


def test_what_is_left_of_a_hold_down():
    assert left_s(Standing("down", 100.0), AUTO.failback, 110.0) == 30
    assert left_s(Standing("returning", 100.0), AUTO.failback, 110.0) == 20
    assert left_s(Standing("returning", 100.0), AUTO.failback, 200.0) == 0
    assert left_s(Standing("up", 100.0, back_s=-inf), AUTO.failback, 110.0) == 0
