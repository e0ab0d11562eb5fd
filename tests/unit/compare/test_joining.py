import dataclasses

from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.joining import MAX_WAITING, MAX_WAITING_BYTES, WAIT_S, Joiner
from tests.unit.compare.captures import RULES, captured

QUIET = dataclasses.replace(RULES, noise=False)


def roles(joined):
    return set(joined.captures) if joined else None


@given(st.permutations(["answer", "copy", "noise"]))
def test_captures_meet_in_whatever_order_they_come(order):
    joiner = Joiner()
    last = [joiner.take(captured(role), RULES, 0.0) for role in order]
    assert [roles(joined) for joined in last] == [None, None, {"answer", "copy", "noise"}]
    assert (joiner.waiting, joiner.waiting_bytes, joiner.lost) == (0, 0, {})


def test_requests_and_sites_and_routes_are_apart():
    joiner = Joiner()
    for changed in ({}, {"request_id": "r2"}, {"site": "aws"}, {"key": "shop/rest"}):
        assert joiner.take(captured("answer", **changed), QUIET, 0.0) is None
    assert joiner.waiting == 4
    assert roles(joiner.take(captured("copy", site="aws"), QUIET, 0.0)) == {"answer", "copy"}


def test_unsafe_methods_and_rules_without_noise_wait_for_no_third():
    joiner = Joiner()
    joiner.take(captured("answer", method="POST"), RULES, 0.0)
    assert roles(joiner.take(captured("copy", method="POST"), RULES, 0.0)) == {"answer", "copy"}


def test_a_role_that_comes_twice_counts_once():
    joiner = Joiner()
    joiner.take(captured("answer", body=b"first"), QUIET, 0.0)
    assert joiner.take(captured("answer", body=b"second"), QUIET, 0.0) is None
    joined = joiner.take(captured("copy"), QUIET, 0.0)
    assert joined.captures["answer"].body == b"first"
    assert joiner.waiting_bytes == 0


def test_who_waits_too_long_gives_up_and_two_are_better_than_none():
    joiner = Joiner()
    joiner.take(captured("answer", request_id="alone"), RULES, 0.0)
    joiner.take(captured("answer", request_id="pair"), RULES, 1.0)
    joiner.take(captured("copy", request_id="pair"), RULES, 2.0)
    assert list(joiner.expire(WAIT_S - 0.1)) == []
    (joined,) = joiner.expire(WAIT_S + 1.0)
    assert roles(joined) == {"answer", "copy"}
    assert (joiner.waiting, joiner.waiting_bytes, joiner.lost) == (0, 0, {"only_answer": 1})


def test_what_waits_is_bounded_in_number_and_size():
    joiner = Joiner()
    for number in range(MAX_WAITING + 5):
        joiner.take(captured("answer", request_id=str(number)), RULES, 0.0)
    assert (joiner.waiting, joiner.lost["no_room"]) == (MAX_WAITING, 5)
    body = bytes(65_536)
    for number in range(1000):
        joiner.take(captured("answer", request_id=f"large{number}", body=body), RULES, 0.0)
        assert joiner.waiting_bytes <= MAX_WAITING_BYTES
