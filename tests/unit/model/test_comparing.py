"""What may be written about comparisons, and what is refused."""

import pytest

from gslb.model.comparing import Compare, Normalise, comparing
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.routing import Comparison, Normal
from tests.unit.model.good_policy import GOOD, load, places_of, spoiled

MIRROR = "percent: 10"


def compiled(text):
    snapshot = compile_snapshot(Intent(revision=1, policy=load(text).policy), 0.0)
    return snapshot.apps["shop"].routes[0].mirrors[0].compare


@pytest.mark.parametrize("word", ["", ", compare: false"])
def test_nothing_is_compared_unless_it_is_asked_for(word):
    assert compiled(spoiled(MIRROR, MIRROR + word)) is None
    assert load(spoiled(MIRROR, MIRROR + word)).policy == load(GOOD).policy


def test_true_is_the_long_form_with_its_defaults():
    assert comparing(given=True) == Compare()
    assert compiled(spoiled(MIRROR, MIRROR + ", compare: true")) == Comparison("old", 1000, True, 65_536)


def test_the_long_form():
    text = spoiled(
        MIRROR,
        "percent: 10, compare: {sample: 1%, noise: false, body: 1000, ignore: body.meta, redact: [body.iban],"
        " normalise: [timestamps, ids, {path: body.tags, sorted: true}, {regex: 'build-[0-9]+'}]}",
    )
    normal = (Normal("timestamps"), Normal("ids"), Normal("sorted", "body.tags"), Normal("regex", "**", "build-[0-9]+"))
    assert compiled(text) == Comparison("old", 100, False, 1000, ("body.meta",), normal, ("body.iban",))


@pytest.mark.parametrize(
    ("written", "rule"),
    [
        ("compare: 0", "type"),
        ("compare: {sample: 101}", "value"),
        ("compare: {body: 70000}", "range"),
        ("compare: {ignore: [price]}", "value"),
        ("compare: {normalise: [dates]}", "value"),
        ("compare: {normalise: [{path: body}]}", "value"),
        ("compare: {normalise: [{regex: '(?<=x)y'}]}", "regex"),
        ("compare: {samples: 1}", "unknown-key"),
    ],
)
def test_what_cannot_be_is_refused_where_it_stands(written, rule):
    assert [(line, found) for line, _, found in places_of(spoiled(MIRROR, f"{MIRROR}, {written}"))] == [(29, rule)]


def test_two_comparisons_on_a_route_and_one_with_itself_are_refused():
    twice = "mirror: [{to: new, percent: 10, compare: true}, {to: old, percent: 1, compare: true}]"
    assert [rule for _, _, rule in places_of(spoiled("mirror: [{to: new, percent: 10}]", twice))] == ["second-compare"]
    alone = spoiled("split: {old: 95, new: 5}\n        mirror: [{to: new, percent: 10}]",
                    "split: {new: 100}\n        mirror: [{to: new, percent: 10, compare: true}]")  # fmt: skip
    assert "compare-nobody" in [rule for _, _, rule in places_of(alone)]


def test_a_rule_says_one_thing():
    with pytest.raises(ValueError, match="write one of them"):
        Normalise(sorted=True, regex="x")
