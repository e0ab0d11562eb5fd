"""The machine, row by row, and what several targets of one edge address add up to."""

import ipaddress

import pytest

from gslb.health.target import Health, Result, step, untried
from gslb.health.verdict import Board, flip_s, judge
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.targets import ProbeTarget
from gslb.snapshot.types import LiveState, Verdict

CHECK = HealthCheck("/healthz", interval_s=1.0, timeout_s=0.5, rise=2, fall=3)
DC, AWS = ipaddress.ip_address("192.0.2.10"), ipaddress.ip_address("198.51.100.20")
GOOD, BAD = Result(True, "monolith: 200"), Result(False, "monolith: 503 from the edge")


def target(backend="monolith", address=DC, app="shop", check=CHECK, port=80):
    return ProbeTarget(app, "dc", address, port, "shop.gslb.test", backend, check)


def feed(results, check=CHECK):
    """The phases after each result: `+` is a success, `-` a failure."""
    health, phases = untried("monolith"), []
    for mark in results:
        health = step(health, GOOD if mark == "+" else BAD, check)
        phases.append({"up": "U", "down": "D", "unknown": "?"}[health.phase])
    return "".join(phases)


@pytest.mark.parametrize(
    ("results", "phases"),
    [
        ("+", "U"),
        ("-", "D"),
        ("+--", "UUU"),
        ("+---", "UUUD"),
        ("+--+--+--", "UUUUUUUUU"),
        ("+--+---", "UUUUUUD"),
        ("-+", "DD"),
        ("-++", "DDU"),
        ("-+-+-+", "DDDDDD"),
        ("+---++---", "UUUDDUUUD"),
        ("----", "DDDD"),
        ("++++", "UUUU"),
    ],
)
def test_first_result_decides_then_fall_and_rise_in_a_row(results, phases):
    assert feed(results) == phases


def test_rise_and_fall_of_one_follow_every_result():
    assert feed("+-+--++", HealthCheck("/", 1, 1, rise=1, fall=1)) == "UDUDDUU"


def test_the_reason_is_the_last_result_that_agrees_with_the_phase():
    down = step(untried("monolith"), BAD, CHECK)
    assert down.reason == BAD.reason
    assert step(down, Result(False, "edge: connect refused"), CHECK).reason == "edge: connect refused"
    assert step(down, GOOD, CHECK) == Health("down", BAD.reason, against=1)
    assert step(step(down, GOOD, CHECK), GOOD, CHECK) == Health("up", GOOD.reason)


def test_untried_names_what_nobody_looked_at():
    assert untried("monolith").reason == "monolith: no result yet"
    assert untried("edge") == Health("unknown", "edge: no result yet")


UP, DOWN, UNKNOWN = (
    Health("up", "a: 200"),
    Health("down", "b: 503 from the edge"),
    Health("unknown", "c: no result yet"),
)


@pytest.mark.parametrize(
    ("healths", "state", "reason"),
    [
        ([UP], "up", "a: 200"),
        ([UP, UP], "up", "a: 200"),
        ([UP, UNKNOWN], "unknown", "c: no result yet"),
        ([UNKNOWN, DOWN], "down", "b: 503 from the edge"),
        ([UP, DOWN], "down", "b: 503 from the edge"),
        ([DOWN, Health("down", "d: timeout after 1 s")], "down", "b: 503 from the edge; d: timeout after 1 s"),
    ],
)
def test_a_verdict_is_its_worst_target_with_the_reasons_that_decided(healths, state, reason):
    got = judge([(health, CHECK) for health in healths], None, 50.0)
    assert (got.state, got.reason, got.since_wall_s) == (state, reason, 50.0)


def test_since_moves_with_the_state_only():
    before = Verdict("down", "edge: connect refused", 10.0)
    still = judge([(DOWN, CHECK)], before, 50.0)
    assert (still.state, still.reason, still.since_wall_s) == ("down", DOWN.reason, 10.0)
    assert judge([(UP, CHECK)], before, 50.0).since_wall_s == 50.0


def slow(interval_s, rise=2, fall=3):
    return HealthCheck("/", interval_s, 1, rise, fall)


@pytest.mark.parametrize(
    ("watched", "expected_s"),
    [
        ([(Health("up", ""), slow(10))], 30),
        ([(Health("up", "", against=1), slow(10))], 20),
        ([(Health("up", "", against=2), slow(10))], 10),
        ([(Health("down", ""), slow(10))], 20),
        ([(Health("down", "", against=1), slow(10))], 10),
        ([(Health("unknown", ""), slow(10))], 10),
        ([(Health("up", ""), slow(10)), (Health("up", "", against=2), slow(2))], 2),
        ([(Health("up", ""), slow(1)), (Health("unknown", ""), slow(5))], 3),
        ([(Health("down", ""), slow(2)), (Health("down", ""), slow(30)), (Health("up", ""), slow(1))], 60),
        ([(Health("up", "", against=5), slow(10))], 10),
    ],
)
def test_a_verdict_lasts_for_the_checks_that_must_still_contradict_it(watched, expected_s):
    """The last one: its check asks for fewer than it used to."""
    assert flip_s(watched) == judge(watched, None, 0.0).flip_s == expected_s


def test_a_verdict_that_wavers_is_told_because_ttls_follow_it():
    board = board_of(target())
    key = target().key
    for result, flip in ((GOOD, CHECK.fall), (BAD, CHECK.fall - 1), (GOOD, CHECK.fall)):
        board.record(key, result)
        assert board.settle(2.0)
        assert board.live.verdicts["shop", DC].state == "up"
        assert board.live.verdicts["shop", DC].flip_s == flip * CHECK.interval_s


def board_of(*targets):
    board = Board()
    board.watch(targets)
    board.settle(1.0)
    return board


def state(board, address=DC, app="shop"):
    return board.live.verdicts[app, address].state


def test_a_new_board_knows_nothing():
    board = Board()
    assert board.live == LiveState()
    assert board.first_round_done
    assert not board.settle(1.0)


def test_settle_says_whether_a_state_moved_and_replaces_live_whole():
    one = target()
    board = board_of(one)
    before = board.live
    assert (before.counter, state(board)) == (1, "unknown")
    board.record(one.key, GOOD)
    assert board.live is before
    assert board.settle(2.0)
    assert board.live.verdicts == {("shop", DC): Verdict("up", "monolith: 200", 2.0, CHECK.fall * CHECK.interval_s)}
    assert board.live.counter == 2
    assert before.verdicts["shop", DC].state == "unknown"


def test_a_result_that_changes_nothing_keeps_the_same_live_state():
    board = board_of(target())
    board.record(target().key, GOOD)
    board.settle(2.0)
    before = board.live
    board.record(target().key, GOOD)
    assert not board.settle(3.0)
    assert board.live is before


def test_a_new_reason_is_shown_but_is_no_move():
    board = board_of(target())
    board.record(target().key, BAD)
    board.settle(2.0)
    board.record(target().key, Result(False, "edge: connect refused"))
    assert not board.settle(3.0)
    assert board.live.verdicts["shop", DC] == Verdict(
        "down", "edge: connect refused", 2.0, CHECK.rise * CHECK.interval_s
    )
    assert board.live.counter == 3


def test_a_flip_that_is_taken_back_before_it_settles_is_no_move():
    quick = HealthCheck("/", 1, 1, rise=1, fall=1)
    board = board_of(target(check=quick))
    board.record(target().key, GOOD)
    board.settle(2.0)
    before = board.live
    for result in (BAD, GOOD):
        board.record(target().key, result)
    assert not board.settle(3.0)
    assert board.live is before


def test_first_round_done_when_every_target_had_a_result():
    one, other = target(), target("checkout")
    board = board_of(one, other)
    assert not board.first_round_done
    board.record(one.key, GOOD)
    board.record(one.key, GOOD)
    assert not board.first_round_done
    board.record(other.key, BAD)
    assert board.first_round_done


def test_a_target_that_remains_keeps_its_health_whatever_its_check_became():
    board = board_of(target(), target(address=AWS))
    board.record(target().key, BAD)
    board.settle(2.0)
    board.watch([target(check=HealthCheck("/new", 9, 9, 9, 9)), target("checkout", address=AWS)])
    assert board.settle(3.0), "how long it lasts has changed"
    assert (state(board), state(board, AWS)) == ("down", "unknown")
    assert board.live.verdicts["shop", DC].since_wall_s == 2.0
    assert not board.first_round_done


@pytest.mark.parametrize(
    "other", [target("checkout"), target(address=AWS), target(app="blog"), target(port=8080)], ids=str
)
def test_a_target_that_differs_in_app_address_port_or_backend_starts_unknown(other):
    board = board_of(target())
    board.record(target().key, BAD)
    board.watch([other])
    assert board.health(other.key).phase == "unknown"


def test_what_is_no_longer_watched_leaves_the_live_state():
    board = board_of(target(), target(address=AWS))
    board.watch([target(address=AWS)])
    assert board.settle(2.0)
    assert set(board.live.verdicts) == {("shop", AWS)}
    with pytest.raises(KeyError):
        board.record(target().key, GOOD)


def test_the_same_target_twice_counts_once():
    board = board_of(target(), target())
    board.record(target().key, BAD)
    board.settle(2.0)
    assert board.first_round_done
    assert board.live.verdicts["shop", DC].reason == BAD.reason
