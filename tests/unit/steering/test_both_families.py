"""What is told of both address families at once, as an HTTPS record does."""

from ipaddress import ip_address as ip

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


def in_mixed(family, live, *steer, sites):
    world = snapshot(policy(sites, shop=app(["healthy", *steer], families="mixed")))
    decided = decide(world, live, world.apps["shop"], None, family)
    return {" ".join(o.sites): round(o.weight, 6) for o in decided.outcomes}, decided


def site(number, families, edges=1, **more):
    """Addresses 192.0.2.10, .11 and 2001:db8::10, ::11 for the site number 1."""
    texts = {4: "192.0.2.{}", 6: "2001:db8::{}"}
    made = [{"public": [texts[family].format(number * 10 + n)]} for family in families for n in range(edges)]
    return {"edges": made, **more}


def test_a_threshold_counts_the_addresses_of_both_families():
    sites = {"dc": site(1, [4, 6], edges=2), "aws": site(2, [4])}
    sixes_dead = seeing(down=["2001:db8::10", "2001:db8::11", "192.0.2.10"])
    steer = [{"priority": ["dc", "aws"]}, {"first": 1}]
    world = snapshot(policy(sites, shop=app([{"healthy": {"threshold": 50}}, *steer], families="mixed")))
    for family, told_site in ((None, "aws"), (4, "aws")):
        decided = decide(world, sixes_dead, world.apps["shop"], None, family)
        assert [o.sites for o in decided.outcomes] == [(told_site,)]


def test_what_a_dead_site_had_is_spread_by_room_over_both_families():
    sites = {
        "dc": site(1, [4, 6], capacity=1000),
        "aws": site(2, [4], capacity=3000),
        "gcp": site(3, [6], capacity=1000),
        "ovh": site(4, [4], capacity=1000),
    }
    steer = {"weighted": {"dc": 70, "aws": 10, "gcp": 10, "ovh": 10}}
    gone = seeing(down=["192.0.2.10", "2001:db8::10"])
    assert in_mixed(None, gone, steer, sites=sites)[0] == {"aws": 0.52, "gcp": 0.24, "ovh": 0.24}
    assert in_mixed(4, gone, steer, sites=sites)[0] == {"aws": round(0.52 / 0.76, 6), "ovh": round(0.24 / 0.76, 6)}
    assert in_mixed(6, gone, steer, sites=sites)[0] == {"gcp": 1.0}


def test_as_many_sites_are_told_as_the_policy_says_where_some_have_not_the_family():
    sites = {"dc": site(1, [4, 6]), "aws": site(2, [6]), "gcp": site(3, [4])}
    steer = [{"priority": ["dc", "aws", "gcp"]}, {"first": 2}]
    assert in_mixed(None, LiveState(), *steer, sites=sites)[0] == {"dc aws": 1.0}
    assert in_mixed(4, LiveState(), *steer, sites=sites)[0] == {"dc gcp": 1.0}
    assert in_mixed(6, LiveState(), *steer, sites=sites)[0] == {"dc aws": 1.0}


def test_the_next_of_the_order_is_told_where_the_first_has_not_the_family():
    sites = {"dc": site(1, [6]), "aws": site(2, [4, 6]), "gcp": site(3, [4])}
    steer = [{"priority": ["dc", "gcp", "aws"]}, {"first": 1}]
    assert in_mixed(None, LiveState(), *steer, sites=sites)[0] == {"dc": 1.0}
    assert in_mixed(4, LiveState(), *steer, sites=sites)[0] == {"gcp": 1.0}


def test_where_none_that_is_chosen_has_the_family_the_choice_is_within_it():
    sites = {"dc": site(1, [6]), "aws": site(2, [4, 6]), "gcp": site(3, [4])}
    standby = {"weighted": {"dc": 1, "aws": 0, "gcp": 0}}
    assert in_mixed(None, LiveState(), standby, sites=sites)[0] == {"dc": 1.0}
    told_four, decided = in_mixed(4, LiveState(), standby, sites=sites)
    assert told_four == {"aws": 0.5, "gcp": 0.5}
    assert decided.steps[0].reason == "sites with an IPv4 address, as none that would be chosen has a living one"


def test_a_family_that_is_dead_everywhere_is_answered_whole():
    sites = {"dc": site(1, [4, 6]), "aws": site(2, [4])}
    fours_dead = seeing(down=["192.0.2.10", "192.0.2.20"])
    steer = {"weighted": {"dc": 1, "aws": 1}}
    assert in_mixed(None, fours_dead, steer, sites=sites)[1].outcomes[0].addresses == (ip("2001:db8::10"),)
    assert in_mixed(4, fours_dead, steer, sites=sites)[0] == {"dc aws": 1.0}
