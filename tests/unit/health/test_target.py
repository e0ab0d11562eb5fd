"""One target's machine with the counter of failures that lie apart. Rise and fall alone stand in test_verdict."""

import pytest

from gslb.health.target import Health, Result, lasts_s, step, untried
from gslb.snapshot.checks import HealthCheck

PHASES = {"up": "U", "down": "D", "unknown": "?"}


def flaky(number, rise=2, fall=3, interval_s=1.0):
    return HealthCheck("/", interval_s, 1.0, rise, fall, number)


def walk(results, check):
    health, seen = untried("x"), []
    for mark in results:
        health = step(health, Result(mark == "+", f"x: {mark}"), check)
        seen.append(health)
    return seen


def phases(results, check):
    return "".join(PHASES[health.phase] for health in walk(results, check))


@pytest.mark.parametrize(
    ("results", "expected"),
    [
        ("+-+-+-+-", "UUUUUUUD"),  # the fourth failure, never two in a row
        ("+-+-+-++++-", "UUUUUUUUUUU"),  # four successes in a row have cleared the three
        ("+-+-+-+++-", "UUUUUUUUUD"),  # three have not
        ("+-+-+-+-+++", "UUUUUUUDDDD"),  # rise is not enough to come back
        ("+-+-+-+-++++", "UUUUUUUDDDDU"),
        ("+-+-+-+-+++-++++", "UUUUUUUDDDDDDDDU"),
        ("+---++", "UUUDDU"),  # dead at once, and back after rise
        ("+" + "-" * 50 + "++", "UUU" + "D" * 49 + "U"),  # dead for long is not flaky
        ("+---++-+", "UUUDDUDD"),  # three and one make four
        ("-" * 50 + "++", "D" * 51 + "U"),
        ("-+-+-+-+-+++", "DDDDDDDDDDDD"),
        ("-+-+-+-+-++++", "DDDDDDDDDDDDU"),
    ],
)
def test_failures_that_lie_apart_add_up_until_as_many_successes_clear_them(results, expected):
    assert phases(results, flaky(4)) == expected


def test_without_the_counter_nothing_is_counted():
    assert {(health.failures, health.passes) for health in walk("+-+-+-+--+---+-", flaky(0))} == {(0, 0)}


def test_the_reason_says_that_it_is_flaky():
    *_, down, still = walk("+-+-+", flaky(2))
    assert (down.phase, down.reason) == ("down", "x: - (flaky: 2 failures)")
    assert (still.phase, still.reason) == ("down", down.reason)


def test_a_rise_above_the_counter_is_waited_for():
    assert phases("+-+-" + "+" * 6, flaky(2, rise=5)) == "UUUD" + "DDDDUU"


@pytest.mark.parametrize(
    ("health", "expected_s"),
    [
        (Health("up", "", failures=0), 3),
        (Health("up", "", failures=8), 2),
        (Health("up", "", against=2, failures=5), 1),
        (Health("up", "", failures=9), 1),
        (Health("down", "", failures=3), 2),
        (Health("down", "", failures=10), 10),
        (Health("down", "", against=4, failures=10, passes=4), 6),
        (Health("unknown", ""), 1),
    ],
)
def test_how_long_it_lasts_at_least(health, expected_s):
    assert lasts_s(health, flaky(10)) == expected_s
