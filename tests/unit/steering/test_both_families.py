"""What is told of both address families at once, as an HTTPS record does."""

from gslb.snapshot.types import LiveState
from gslb.steering import decide
from tests.unit.steering.world import app, dead, policy, seeing, snapshot

ALL = ["healthy", {"weighted": {"dc": 1, "aws": 1, "gcp": 2}}]
MIXED = {
    "dc": {"edges": [{"public": ["192.0.2.10"]}]},
    "aws": {"edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}]},
    "gcp": {"edges": [{"public": ["2001:db8:3::30"]}]},
}


def told(live, family=None, **more):
    """Site to its addresses, in the order of the outcomes."""
    world = snapshot(policy(MIXED if more else None, shop=app(ALL, **more)))
    decided = decide(world, live, world.apps["shop"], None, family)
    assert abs(sum(outcome.weight for outcome in decided.outcomes) - 1) < 1e-9
    return {" ".join(outcome.sites): [str(a) for a in outcome.addresses] for outcome in decided.outcomes}, decided


def test_the_addresses_of_both_families_are_told_together():
    assert told(LiveState())[0] == {
        "dc": ["192.0.2.10", "2001:db8:1::10"],
        "aws": ["198.51.100.20", "2001:db8:2::20"],
        "gcp": ["203.0.113.30", "2001:db8:3::30"],
    }


def test_the_sites_are_those_that_each_family_is_told():
    for live in (LiveState(), dead("dc"), seeing(down=["192.0.2.10"]), dead("dc", "aws", "gcp")):
        both, decided = told(live)
        for family in (4, 6):
            alone, other = told(live, family)
            assert list(alone) == list(both)
            assert [o.weight for o in other.outcomes] == [o.weight for o in decided.outcomes]


def test_a_dead_family_is_not_told_where_its_site_stays_for_the_other():
    live = seeing(down=["192.0.2.10", "198.51.100.20", "203.0.113.30"])
    assert told(live)[0] == {"dc": ["2001:db8:1::10"], "aws": ["2001:db8:2::20"], "gcp": ["2001:db8:3::30"]}


def test_where_sites_differ_in_families_every_site_with_an_address_is_a_candidate():
    sites, decided = told(LiveState(), families="mixed")
    assert list(sites) == ["dc", "aws", "gcp"]
    assert decided.steps[0].reason == "sites with an address of either family"


def test_where_sites_differ_in_families_one_living_address_is_enough():
    """It is so for those who ask for that family, and who asks for both must not be told another site than they."""
    sites, _ = told(seeing(down=["198.51.100.20"]), families="mixed")
    assert sites == {"dc": ["192.0.2.10"], "aws": ["2001:db8:2::20"], "gcp": ["2001:db8:3::30"]}
