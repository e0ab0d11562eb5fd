"""Words that this version does not have: refused by name."""

from tests.unit.model.good_policy import GOOD, places_of, problems_of, spoiled

ROLLOUTS = spoiled("environment: test", "rollouts: {x: {route: shop/pay}}")


def test_what_is_not_available_says_so():
    assert places_of(ROLLOUTS) == [(1, 1, "not-available")]


def test_the_word_is_named_and_the_remedy_is_another_way():
    (problem,) = problems_of(ROLLOUTS)
    assert problem.message == "rollouts is not available in this version"
    assert "gslb shift" in problem.remedy


def test_an_alias_shares_its_place_with_the_anchor():
    text = (
        GOOD
        + "      - name: more\n        split: &s {old: 100}\n      - name: again\n        split: *s\n        mirror: []\n"
    )
    assert {rule for _, _, rule in places_of(text)} == {"unreachable"}
