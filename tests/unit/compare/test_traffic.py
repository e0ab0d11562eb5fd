import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.compare.access_log import Line
from gslb.compare.tally import SPAN_S
from gslb.compare.traffic import MAX_WAITING, WAIT_S, Traffic, add_up, bucket_of, seconds_of


def answer(number=1, status=200, side="old", **more):
    return Line("shop/pay~copied", f"shop/pay/{side}", str(number), status, more.get("s", 0.01), more.get("size", 10))


def copy(number=1, status=200, **more):
    return Line("", "shop/pay/new~mirror0", str(number), status, more.get("s", 0.02), more.get("size", 20))


def taken(*lines, mono_s=0.0, wall_s=0.0, traffic=None):
    traffic = traffic or Traffic("new", 0.0)
    for line in lines:
        traffic.take(line, mono_s, wall_s)
    return traffic


@given(st.permutations([answer(1), copy(1, 500), answer(2), copy(2)]))
def test_both_sides_are_counted_from_the_same_requests(lines):
    (span,) = taken(*lines).spans()
    assert (span.pairs, span.old.statuses, span.new.statuses) == (2, {200: 2}, {500: 1, 200: 1})
    assert (span.old.size_bytes, span.new.size_bytes, span.changes) == (20, 40, {(200, 500): 1})


def test_what_only_one_side_got_counts_for_none():
    traffic = taken(answer(1), copy(2))
    assert traffic.spans()[0].pairs == 0
    taken(answer(3), mono_s=WAIT_S + 1, traffic=traffic)
    assert traffic.alone == 2


def test_what_waits_is_bounded():
    traffic = taken(*(answer(number) for number in range(MAX_WAITING + 7)))
    assert traffic.alone == 7


def test_what_the_target_answered_itself_is_apart():
    (span,) = taken(answer(1, side="new"), copy(1)).spans()
    assert (span.pairs, span.by_target) == (0, 1)


def test_a_side_that_tells_twice_does_not_meet_itself():
    (span,) = taken(answer(1, 500), answer(1, 200), copy(1)).spans()
    assert (span.pairs, span.old.statuses) == (1, {200: 1})


def test_old_spans_are_forgotten_and_the_others_added_up():
    traffic = taken(answer(1), copy(1))
    taken(answer(2, 404), copy(2), wall_s=SPAN_S + 1, traffic=traffic)
    whole = add_up(traffic.spans())
    assert (whole.pairs, whole.old.statuses, whole.since_wall_s) == (2, {200: 1, 404: 1}, 0.0)
    taken(answer(3), copy(3), wall_s=2 * SPAN_S + 2, traffic=traffic)
    assert add_up(traffic.spans()).pairs == 2


def test_statuses_are_bounded():
    lines = [line for number in range(200) for line in (answer(number, 200 + number), copy(number, 100))]
    (span,) = taken(*lines).spans()
    assert (len(span.old.statuses), span.old.statuses[-1], len(span.changes)) == (65, 136, 100)


@given(st.floats(1e-5, 1e5))
def test_a_bucket_holds_its_times_to_nine_percent(duration_s):
    upper = seconds_of(bucket_of(duration_s))
    assert duration_s <= upper * (1 + 1e-9)
    assert upper <= duration_s * 1.0906


def test_what_is_shorter_than_the_first_bucket_is_in_it():
    assert bucket_of(0.0) == 0
    assert seconds_of(0) == pytest.approx(1.0905e-5, rel=1e-3)
