import dataclasses
import itertools
import random

from gslb.compare.noise import judge
from gslb.compare.tally import MAX_FIELDS, MAX_SAMPLES, SAMPLE_AGE_S, SPAN_S, Tally, together
from tests.unit.compare.captures import RULES, captured, triple


def verdicts(tally):
    span = together(tally.spans())
    return {path: judge(item.seen, item.both, item.only_new, item.only_old) for (path, _), item in span.fields.items()}


def run(answers, times=60, rules=RULES, **more):
    """`answers` makes the bodies of answer, copy and second copy."""
    tally = Tally(rules, 0.0)
    for _ in range(times):
        tally.take(triple(*answers(), **more), 1.0)
    return tally


def test_identical_answers_leave_nothing():
    tally = run(lambda: [{"a": 1}] * 3)
    (span,) = tally.spans()
    assert (span.pairs, span.measured, span.different, span.fields) == (60, 60, 0, {})
    assert tally.samples(1.0) == []


def test_what_differs_is_found_in_the_midst_of_noise():
    ids = itertools.count()

    def answers():
        return [{"id": next(ids), "price": 1}, {"id": next(ids), "price": 2}, {"id": next(ids), "price": 1}]

    assert verdicts(run(answers)) == {"body.id": "noise", "body.price": "difference"}


def test_symmetric_noise_that_is_seldom_is_removed():
    draw = random.Random(3)

    def answers():
        return [{"a": draw.random() < 0.3} for _ in range(3)]

    assert verdicts(run(answers, 2000)) == {"body.a": "noise"}


def test_what_the_new_side_does_more_often_is_a_difference():
    draw = random.Random(3)

    def answers():
        return [{"a": draw.random() < share} for share in (0.1, 0.5, 0.1)]

    assert verdicts(run(answers, 500)) == {"body.a": "difference"}


def test_where_the_target_itself_answered_its_own_noise_is_no_difference():
    """The client's answer came from the target: the old side is the second copy alone."""
    ids = itertools.count()
    tally = run(lambda: [{"id": next(ids)}, {"id": next(ids)}, {"id": -1}], side="new")
    (span,) = tally.spans()
    assert (span.pairs, span.measured, span.by_target) == (60, 60, 60)
    assert verdicts(tally) == {"body.id": "noise"}
    assert verdicts(run(lambda: [{"a": 2}, {"a": 2}, {"a": 1}], side="new")) == {"body.a": "difference"}


def test_a_third_backend_is_neither_old_nor_new():
    tally = run(lambda: [{"a": 9}, {"a": 1}, {"a": 1}], side="third")
    (span,) = tally.spans()
    assert (span.pairs, span.measured, span.fields) == (60, 0, {})
    assert run(lambda: [{"a": 9}, {"a": 1}], side="third").spans()[0].pairs == 0


def test_without_a_second_answer_what_is_seen_is_told_as_such():
    assert verdicts(run(lambda: [{"a": 1}, {"a": 2}])) == {"body.a": "unmeasured"}


def test_copies_that_were_not_let_in_are_counted():
    tally = Tally(RULES, 0.0)
    joined = triple({"a": 1}, {"a": 1}, {"a": 1})
    refused = {
        role: one if role == "answer" else dataclasses.replace(one, status=401) for role, one in joined.captures.items()
    }
    tally.take(dataclasses.replace(joined, captures=refused), 0.0)
    (span,) = tally.spans()
    assert span.refused == 1
    assert verdicts(tally) == {"status": "noise"}


def test_fields_are_bounded():
    tally = Tally(RULES, 0.0)
    for start in range(0, 700, 50):
        body = {f"k{start + place}": 1 for place in range(50)}
        tally.take(triple(body, {}, body), 0.0)
    (span,) = tally.spans()
    assert (len(span.fields), span.more_fields) == (MAX_FIELDS, 200)


def test_samples_are_few_redacted_and_forgotten():
    tally = Tally(RULES, 0.0)
    for number in range(100):
        body = {f"k{number}": 1, "token": "abc", "big": "x" * 20_000}
        tally.take(triple(body, {"token": "abc"}, body), float(number))
    samples = tally.samples(100.0)
    assert len(samples) == MAX_SAMPLES
    assert samples[0]["at_wall_s"] == 99.0
    assert all(len(answer["body"]) <= 8193 for sample in samples for answer in sample["answers"])
    assert "abc" not in str(samples)
    assert len(tally.samples(SAMPLE_AGE_S + 90.0)) == 10
    assert tally.samples(SAMPLE_AGE_S + 200.0) == []


def test_a_field_has_three_samples_and_noise_none():
    ids = itertools.count()
    tally = run(lambda: [{"a": 1, "i": next(ids)}, {"a": 2, "i": next(ids)}, {"a": 1, "i": next(ids)}])
    assert [[item["path"] for item in sample["differences"]] for sample in tally.samples(2.0)] == [["body.a"]] * 3
    assert run(lambda: [{"i": next(ids)}, {"i": next(ids)}, {"i": next(ids)}]).samples(2.0) == []


def test_what_was_a_day_ago_is_forgotten():
    tally = Tally(RULES, 0.0)
    tally.take(triple({"a": 1}, {"a": 2}, {"a": 1}), 0.0)
    tally.take(triple({"b": 1}, {"b": 2}, {"b": 1}), SPAN_S + 1)
    assert set(verdicts(tally)) == {"body.a", "body.b"}
    tally.take(triple({"b": 1}, {"b": 3}, {"b": 1}), 2 * SPAN_S + 2)
    assert set(verdicts(tally)) == {"body.b"}
    whole = together(tally.spans())
    assert (whole.pairs, whole.since_wall_s, whole.fields["body.b", "value"].new) == (2, SPAN_S + 1, "3")


def test_values_of_secrets_are_not_told():
    tally = run(lambda: [{"token": "one"}, {"token": "two"}, {"token": "one"}])
    (item,) = tally.spans()[0].fields.values()
    assert (item.old, item.new) == ("[redacted]", "[redacted]")
    assert captured().whole
