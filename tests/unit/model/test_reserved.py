"""Words that this version does not have: refused by name, or dropped where they say what holds anyway."""

import pytest

from tests.unit.model.good_policy import GOOD, load, places_of, problems_of, spoiled


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("percent: 10", "percent: 10, compare: true", (29, 41)),
        ("environment: test", "rollouts: {x: {route: shop/pay}}", (1, 1)),
    ],
)
def test_what_is_not_available_says_so(old, new, expected):
    assert places_of(spoiled(old, new)) == [(*expected, "not-available")]


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("percent: 10", "percent: 10, compare: false"),
    ],
)
def test_what_says_how_it_is_anyway_changes_nothing(old, new):
    assert load(spoiled(old, new)).policy == load(GOOD).policy


def test_zero_is_not_false():
    assert places_of(spoiled("percent: 10", "percent: 10, compare: 0")) == [(29, 41, "not-available")]


def test_the_field_is_named_and_the_remedy_is_another_way_to_write_it():
    (problem,) = problems_of(spoiled("percent: 10", "percent: 10, compare: true"))
    assert problem.message == "compare is not available in this version"
    assert "compare: false" in problem.remedy


def test_an_alias_shares_its_place_with_the_anchor():
    text = (
        GOOD
        + "      - name: more\n        split: &s {old: 100}\n      - name: again\n        split: *s\n        mirror: []\n"
    )
    assert {rule for _, _, rule in places_of(text)} == {"unreachable"}
