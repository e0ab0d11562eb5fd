"""Checks that add up: the table, what every possible outcome of the unknown ones says about it, and the board."""

import ipaddress
import itertools

import pytest

from gslb.health.calculated import add_up
from gslb.health.target import Health, Result
from gslb.health.verdict import Board
from gslb.snapshot.checks import CalculatedAsk, HealthCheck, NamedCheck, PushedAsk, TcpAsk
from gslb.snapshot.targets import CheckKey, CheckTarget, ProbeTarget

MARKS = {"+": "up", "-": "down", "?": "unknown"}
DC, DC6, AWS = map(ipaddress.ip_address, ("192.0.2.10", "2001:db8::10", "198.51.100.20"))


def healths(marks):
    return {f"c{n}": Health(MARKS[mark], f"c{n}: said {mark}") for n, mark in enumerate(marks)}


def summed(marks, at_least, critical=(), invert=False):
    of = tuple(f"c{n}" for n in range(len(marks)))
    ask = CalculatedAsk(of, at_least, tuple(f"c{n}" for n in critical))
    return add_up(NamedCheck("sum", "calculated", ask, 1, 1, 1, 1, invert=invert), healths(marks))


@pytest.mark.parametrize(
    ("marks", "at_least", "critical", "phase"),
    [
        ("+++", 3, (), "up"),
        ("++-", 3, (), "down"),
        ("++-", 2, (), "up"),
        ("+--", 1, (), "up"),
        ("---", 1, (), "down"),
        ("++?", 3, (), "unknown"),
        ("+-?", 3, (), "down"),
        ("+-?", 2, (), "unknown"),
        ("++?", 2, (), "up"),
        ("-++", 2, (0,), "down"),
        ("?++", 2, (0,), "unknown"),
        ("+--", 1, (0,), "up"),
    ],
)
def test_k_of_n(marks, at_least, critical, phase):
    assert summed(marks, at_least, critical).phase == phase
    opposite = {"up": "down", "down": "up", "unknown": "unknown"}[phase]
    assert summed(marks, at_least, critical, invert=True).phase == opposite


def test_what_nobody_knows_is_unknown_exactly_when_it_could_turn_out_both_ways():
    for count in range(1, 5):
        for marks, at_least, critical in itertools.product(
            itertools.product("+-?", repeat=count), range(1, count + 1), [(), (0,), tuple(range(count))]
        ):
            worlds = itertools.product(*[("+-" if mark == "?" else mark) for mark in marks])
            possible = {summed("".join(world), at_least, critical).phase for world in worlds}
            assert possible <= {"up", "down"}
            expected = possible.pop() if len(possible) == 1 else "unknown"
            assert summed("".join(marks), at_least, critical).phase == expected


def test_reasons_name_what_lacks():
    assert summed("+-+", 3).reason == "sum: 2 of 3 up, 3 needed (c1: said -)"
    assert summed("-+", 1, (0,)).reason == "sum: 1 of 2 up, 1 needed (critical c0: said -)"
    assert summed("-----", 1).reason == "sum: 0 of 5 up, 1 needed (c0: said -; c1: said -; c2: said -; 2 more)"
    assert summed("+-", 1).reason == "sum: 1 of 2 up, 1 needed"
    assert summed("+", 1, invert=True).reason == "sum: 1 of 1 up, 1 needed, inverted"


def asked(name, places=(), **options):
    check = NamedCheck(name, "tcp", TcpAsk("192.0.2.1", 1, None, None), 2.0, 1.0, 1, 2, **options)
    return CheckTarget(check, tuple(places))


def sum_of(name, of, at_least, places=()):
    return CheckTarget(
        NamedCheck(name, "calculated", CalculatedAsk(tuple(of), at_least, ()), 1, 1, 1, 1), tuple(places)
    )


def front(address):
    return ProbeTarget("shop", "dc", address, 80, "shop.gslb.test", None, HealthCheck("/", 1.0, 1.0, 1, 1))


def states(board):
    return {str(address): verdict.state for (_app, address), verdict in board.live.verdicts.items()}


def test_a_named_check_takes_every_address_of_its_place_down_like_a_dead_backend():
    ready = asked("db", [("shop", DC), ("shop", DC6)])
    board = Board()
    board.watch([front(DC), front(DC6), front(AWS), ready])
    for target in (front(DC), front(DC6), front(AWS), ready):
        board.record(target.key, Result(True, "edge: 200"))
    board.settle(1.0)
    assert set(states(board).values()) == {"up"}
    for _ in range(2):
        board.record(CheckKey("db"), Result(False, "db: connect refused"))
    assert board.settle(2.0)
    assert states(board) == {"192.0.2.10": "down", "2001:db8::10": "down", "198.51.100.20": "up"}
    assert board.live.verdicts["shop", DC].reason == "db: connect refused"


def test_sums_of_sums_follow_in_the_same_settling():
    board = Board()
    targets = [asked("a"), asked("b"), sum_of("any", ["a", "b"], 1), sum_of("both", ["any", "a"], 2, [("shop", DC)])]
    board.watch(targets)
    assert not board.first_round_done
    board.record(CheckKey("a"), Result(True, "a: connected"))
    board.record(CheckKey("b"), Result(False, "b: connect refused"))
    assert board.first_round_done, "what is calculated is not waited for"
    board.settle(1.0)
    assert states(board) == {"192.0.2.10": "up"}
    for _ in range(2):
        board.record(CheckKey("a"), Result(False, "a: connect refused"))
    assert board.settle(2.0)
    assert states(board) == {"192.0.2.10": "down"}
    assert board.health(CheckKey("any")).phase == "down"


def test_what_nobody_knows_any_more_is_unknown_and_takes_nobody_out():
    board = Board()
    told = asked("told", [("shop", DC)])
    board.watch([told])
    board.record(told.key, Result(False, "told: maintenance"))
    board.settle(1.0)
    board.forget(told.key, "told: nothing was pushed for 60 s")
    assert board.settle(2.0)
    assert states(board) == {"192.0.2.10": "unknown"}
    assert board.first_round_done


def test_a_check_that_changes_keeps_its_health():
    board = Board()
    board.watch([asked("a", [("shop", DC)])])
    board.record(CheckKey("a"), Result(False, "a: connect refused"))
    board.watch([asked("a", [("shop", DC)], flaky=5)])
    board.settle(1.0)
    assert states(board) == {"192.0.2.10": "down"}
    assert board.first_round_done


def test_a_state_that_nobody_pushed_makes_nothing_unknown_that_others_know():
    hand = CheckTarget(NamedCheck("hand", "pushed", PushedAsk(60, "unknown"), 1, 1, 1, 1), (("shop", DC),))
    board = Board()
    board.watch([front(DC), hand])
    board.record(front(DC).key, Result(True, "edge: 200"))
    board.forget(hand.key, "hand: nothing was pushed for 60 s")
    board.settle(1.0)
    assert states(board) == {"192.0.2.10": "up"}
    board.record(hand.key, Result(False, "hand: nightly load"))
    board.settle(2.0)
    assert states(board) == {"192.0.2.10": "down"}
    board.forget(hand.key, "hand: nothing was pushed for 60 s")
    board.settle(3.0)
    assert states(board) == {"192.0.2.10": "up"}
