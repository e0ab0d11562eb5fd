"""What clients are told: one test per rule of steering."""

import pytest

from gslb.snapshot.types import Filter, LiveState
from gslb.steering import decide
from tests.unit.steering.world import addresses_of, app, dead, drain, force, ip, policy, seeing, snapshot

NOTHING = LiveState()
WEIGHTED = ["healthy", {"weighted": {"dc": 80, "aws": 20}}]


def told(steer, live=NOTHING, client=None, family=4, drains=(), sites=None, **more):
    """The decision for the app `shop` of a policy with this chain."""
    world = snapshot(policy(sites, shop=app(steer, **more)), drains)
    return decide(world, live, world.apps["shop"], ip(client) if client else None, family)


def weights(decision):
    return {" ".join(outcome.sites): round(outcome.weight, 9) for outcome in decision.outcomes}


def addresses(decision):
    return {str(address) for outcome in decision.outcomes for address in outcome.addresses}


def reasons(decision):
    return {step.filter: step.reason for step in decision.steps}


# weighted -------------------------------------------------------------------------------------------------------------


def test_weights_are_proportions():
    decision = told(WEIGHTED)
    assert weights(decision) == {"dc": 0.8, "aws": 0.2}
    assert [[str(a) for a in o.addresses] for o in decision.outcomes] == [["192.0.2.10"], ["198.51.100.20"]]
    assert reasons(decision) == {"healthy": "every site is up", "weighted": "by weight: dc 80, aws 20"}


def test_both_families_choose_among_the_same_sites_with_the_same_weights():
    assert weights(told(WEIGHTED, family=6)) == weights(told(WEIGHTED, family=4))
    assert addresses(told(WEIGHTED, family=6)) == {"2001:db8:1::10", "2001:db8:2::20"}


@pytest.mark.parametrize("draw", ["window", "client", "answer"])
def test_the_draw_is_the_filters(draw):
    assert told(["healthy", {"weighted": {"dc": 1, "aws": 1}, "by": draw}]).draw == draw


def test_without_a_chain_all_sites_are_alike():
    assert weights(told(None)) == pytest.approx({"dc": 1 / 3, "aws": 1 / 3, "gcp": 1 / 3})


def test_sites_that_weighted_does_not_name_are_never_told():
    assert "gcp" not in weights(told(WEIGHTED, dead("dc", "aws")))


def test_weight_zero_is_standby_while_a_site_with_weight_is_up():
    steer = ["healthy", {"weighted": {"dc": 1, "aws": 0, "gcp": 0}}]
    assert weights(told(steer)) == {"dc": 1.0}
    decision = told(steer, dead("dc"))
    assert weights(decision) == {"aws": 0.5, "gcp": 0.5}
    assert reasons(decision)["weighted"] == "no site with weight is left: standby"


# healthy --------------------------------------------------------------------------------------------------------------


def test_a_dead_site_leaves_and_its_share_goes_to_the_others_in_proportion():
    decision = told(["healthy", {"weighted": {"dc": 60, "aws": 30, "gcp": 10}}], dead("dc"))
    assert weights(decision) == {"aws": 0.75, "gcp": 0.25}
    assert reasons(decision)["healthy"] == "down: dc"


def test_unknown_counts_as_up():
    assert weights(told(WEIGHTED, seeing(unknown=["192.0.2.10", "2001:db8:1::10"]))) == {"dc": 0.8, "aws": 0.2}


def test_verdicts_of_another_app_do_not_matter():
    live = seeing(down=["192.0.2.10", "2001:db8:1::10"], app="blog")
    assert weights(told(WEIGHTED, live)) == {"dc": 0.8, "aws": 0.2}


def test_all_down_answers_everyone_at_once_whoever_asks():
    decision = told(["healthy", "networks", {"weighted": {"dc": 80, "aws": 0}}], dead("dc", "aws"))
    assert weights(decision) == {"dc aws": 1.0}
    assert addresses(decision) == {"192.0.2.10", "198.51.100.20"}
    assert decision.draw == "answer"


def test_all_down_does_not_depend_on_the_client_even_after_networks():
    sites = home(dc=["10.0.0.0/8"])
    decision = told(["networks", "healthy", {"first": 1}], dead("dc", "aws", "gcp"), client="10.1.1.1", sites=sites)
    assert weights(decision) == {"dc aws gcp": 1.0}
    assert decision.client_bits == 0


def test_a_chain_without_healthy_ignores_verdicts():
    decision = told([{"weighted": {"dc": 80, "aws": 20}}], dead("dc"))
    assert weights(decision) == {"dc": 0.8, "aws": 0.2}


TWO_EDGES = {
    "dc": {"edges": [{"public": ["192.0.2.10"]}, {"public": ["192.0.2.11"]}]},
    "aws": {"edges": [{"public": ["198.51.100.20"]}]},
}


def test_one_dead_address_of_a_site_leaves_only_that_address():
    decision = told(WEIGHTED, seeing(down=["192.0.2.10"]), sites=TWO_EDGES)
    assert weights(decision) == {"dc": 0.8, "aws": 0.2}
    assert addresses(decision) == {"192.0.2.11", "198.51.100.20"}


def test_a_site_whose_every_address_is_dead_leaves():
    decision = told(WEIGHTED, seeing(down=["192.0.2.10", "192.0.2.11"]), sites=TWO_EDGES)
    assert weights(decision) == {"aws": 1.0}


def test_a_chain_without_healthy_keeps_dead_addresses_too():
    decision = told([{"weighted": {"dc": 1, "aws": 1}}], seeing(down=["192.0.2.10"]), sites=TWO_EDGES)
    assert "192.0.2.10" in addresses(decision)


@pytest.mark.parametrize("family", [4, 6])
def test_a_site_that_lost_a_family_which_another_serves_leaves_for_both(family):
    decision = told(WEIGHTED, seeing(down=["192.0.2.10"]), family=family)
    assert weights(decision) == {"aws": 1.0}
    assert reasons(decision)["healthy"] == "down: dc (IPv4)"


def test_a_family_that_nobody_serves_takes_nobody_out():
    """A node without IPv6 sees every IPv6 address dead."""
    live = seeing(down=["2001:db8:1::10", "2001:db8:2::20"])
    assert weights(told(WEIGHTED, live)) == {"dc": 0.8, "aws": 0.2}
    assert addresses(told(WEIGHTED, live, family=6)) == {"2001:db8:1::10", "2001:db8:2::20"}


def test_when_every_living_site_lost_a_family_all_the_living_stay():
    sites = {name: {"edges": [{"public": [f"192.0.2.{n}", f"2001:db8::{n}"]}]} for n, name in enumerate("abc", 1)}
    steer = ["healthy", {"weighted": {"a": 1, "b": 1, "c": 2}}]
    live = seeing(down=["192.0.2.1", "2001:db8::2", "192.0.2.3", "2001:db8::3"])
    assert weights(told(steer, live, sites=sites)) == {"a": 0.5, "b": 0.5}


# held ---------------------------------------------------------------------------------------------------------------


def test_a_site_that_is_held_stays_with_its_weight_and_all_of_its_addresses():
    decision = told(WEIGHTED, seeing(held=addresses_of("dc")))
    assert weights(decision) == {"dc": 0.8, "aws": 0.2}
    assert addresses(decision) == {"192.0.2.10", "198.51.100.20"}
    assert reasons(decision)["healthy"] == "held: dc (seen)"


def test_held_sites_keep_weights_and_standby_when_all_look_dead():
    steer = ["healthy", {"weighted": {"dc": 1, "aws": 0}}]
    assert weights(told(steer, seeing(held=addresses_of("dc", "aws")))) == {"dc": 1.0}


def test_within_a_living_site_a_held_dead_address_gives_way_and_a_disputed_one_does_not():
    dead_one = told(WEIGHTED, seeing(held=["192.0.2.10"]), sites=TWO_EDGES)
    assert addresses(dead_one) == {"192.0.2.11", "198.51.100.20"}
    disputed = told(WEIGHTED, seeing(disputed=["192.0.2.10"]), sites=TWO_EDGES)
    assert addresses(disputed) == {"192.0.2.10", "192.0.2.11", "198.51.100.20"}


def test_where_all_are_out_those_that_are_well_again_come_first():
    live = seeing(down=addresses_of("aws"), back=addresses_of("dc"))
    decision = told(WEIGHTED, live)
    assert weights(decision) == {"dc": 1.0}
    assert reasons(decision)["healthy"] == "every site is down, and dc is well again: that is answered"


def test_one_that_is_well_again_waits_while_others_live():
    assert weights(told(WEIGHTED, seeing(back=addresses_of("dc")))) == {"aws": 1.0}


# forced -------------------------------------------------------------------------------------------------------------


def forced(*forces, live=NOTHING, steer=WEIGHTED, drains=(), **more):
    world = snapshot(policy(shop=app(steer, **more)), drains, forced=[force(*item) for item in forces])
    return decide(world, live, world.apps["shop"], None, 4)


def test_forced_up_beats_the_verdict_and_its_ttl():
    ttl = {"min": "5s", "max": "60s"}
    decision = forced(("dc", "up"), ("aws", "up"), live=dead("dc", "aws"), ttl=ttl)
    assert weights(decision) == {"dc": 0.8, "aws": 0.2}
    assert decision.ttl_s == 60, "nothing that is observed can change it"
    assert "dc is forced up by unknown" in reasons(decision)["healthy"]


def test_forced_down_beats_the_verdict():
    decision = forced(("dc", "down"), live=seeing(up=addresses_of("dc", "aws")))
    assert weights(decision) == {"aws": 1.0}
    assert reasons(decision)["healthy"] == "down: dc; dc is forced down by unknown"


def test_a_held_site_that_is_forced_down_leaves():
    assert weights(forced(("dc", "down"), live=seeing(held=addresses_of("dc")))) == {"aws": 1.0}


def test_drain_beats_forced():
    assert weights(forced(("dc", "up"), live=NOTHING, drains=[drain("dc")])) == {"aws": 1.0}


def test_everything_forced_down_is_answered_all_the_same():
    assert weights(forced(("dc", "down"), ("aws", "down"))) == {"dc aws": 1.0}


def test_forced_down_counts_where_health_is_not_asked():
    steer = [{"weighted": {"dc": 1, "aws": 1}}]
    decision = forced(("dc", "down"), steer=steer)
    assert weights(decision) == {"aws": 1.0}
    assert reasons(decision)["forced"] == "dc is forced down by unknown"
    assert weights(forced(("dc", "down"), ("aws", "down"), steer=steer)) == {"dc": 0.5, "aws": 0.5}


def test_for_one_app_alone_wins_over_for_all():
    world = snapshot(
        policy(shop=app(WEIGHTED), blog=app(WEIGHTED, hosts=["blog"])),
        forced=[force("dc", "up", app="blog"), force("dc", "down")],
    )
    assert weights(decide(world, NOTHING, world.apps["shop"], None, 4)) == {"aws": 1.0}
    live = seeing(down=addresses_of("dc"), app="blog")
    assert weights(decide(world, live, world.apps["blog"], None, 4)) == {"dc": 0.8, "aws": 0.2}


# thresholds ---------------------------------------------------------------------------------------------------------

FOUR = {
    "dc": {"edges": [{"public": [f"192.0.2.{n}"]} for n in (1, 2, 3, 4)]},
    "aws": {"edges": [{"public": ["198.51.100.20"]}]},
}
ONE_GROUP = {"dc": FOUR["dc"]}
ALL_FOUR = {"192.0.2.1", "192.0.2.2", "192.0.2.3", "192.0.2.4"}


@pytest.mark.parametrize(
    ("dead_ones", "threshold", "expected"),
    [
        ((1, 2, 3, 4), 20, ALL_FOUR),
        ((1, 2, 3), 20, {"192.0.2.4"}),
        ((1, 2, 3), 50, ALL_FOUR),
        ((1, 2), 50, {"192.0.2.3", "192.0.2.4"}),
        ((1, 2, 3), 0, {"192.0.2.4"}),
        ((), 100, ALL_FOUR),
        ((1,), 100, ALL_FOUR),
    ],
)
def test_below_the_threshold_the_whole_group_is_answered(dead_ones, threshold, expected):
    """gdnsd's cases: a group of four, alone."""
    steer = [{"healthy": {"threshold": threshold}}, {"first": 1}]
    live = seeing(down=[f"192.0.2.{n}" for n in dead_ones])
    assert addresses(told(steer, live, sites=ONE_GROUP, backends={"m": {"dc": ["10.0.0.1:80"]}}, routes=M)) == expected


M = [{"name": "all", "split": {"m": 100}}]


def test_below_the_threshold_the_failure_goes_one_level_up():
    steer = [{"healthy": {"threshold": "50%"}}, {"priority": ["dc", "aws"]}, {"first": 1}]
    live = seeing(down=["192.0.2.1", "192.0.2.2", "192.0.2.3"])
    decision = told(steer, live, sites=FOUR)
    assert weights(decision) == {"aws": 1.0}
    assert reasons(decision)["healthy"] == "down: dc (1 of 4 addresses live)"


# coming back slowly -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("ratio", "dc"), [(0.05, 0.04), (0.5, 0.4), (0.95, 0.76)])
def test_a_weight_grows_in_proportion(ratio, dc):
    decision = told(WEIGHTED, seeing(ramps={"dc": ratio}))
    assert weights(decision) == pytest.approx({"dc": dc, "aws": 1 - dc})
    assert reasons(decision)["weighted"].endswith(f"dc comes back slowly, {100 * ratio:g} % of its share")


def test_a_first_site_takes_over_its_share_of_the_clients():
    steer = ["healthy", {"priority": ["dc", "aws"]}, {"first": 1}]
    assert weights(told(steer, seeing(ramps={"dc": 0.3}))) == pytest.approx({"dc": 0.3, "aws": 0.7})


def test_standby_keeps_what_the_active_does_not_have_yet():
    steer = ["healthy", {"weighted": {"dc": 1, "aws": 0}}]
    assert weights(told(steer, seeing(ramps={"dc": 0.25}))) == pytest.approx({"dc": 0.25, "aws": 0.75})


def test_two_that_come_back_do_not_hold_each_other_up():
    steer = ["healthy", {"weighted": {"dc": 1, "aws": 1, "gcp": 1}}]
    decision = weights(told(steer, seeing(ramps={"dc": 0.3, "aws": 0.6})))
    assert decision == pytest.approx({"gcp": 0.4 + 0.3 / 2 + 0.1, "aws": 0.3 / 2 + 0.1, "dc": 0.1})


def test_nobody_waits_where_there_is_nobody_else():
    assert weights(told(WEIGHTED, seeing(down=addresses_of("aws"), ramps={"dc": 0.05}))) == {"dc": 1.0}


def test_while_shares_grow_the_ttl_is_the_least():
    decision = told(WEIGHTED, seeing(ramps={"dc": 0.5}), ttl={"min": "5s", "max": "60s"})
    assert (decision.ttl_s, decision.ttl_reason) == (5, "a site comes back slowly; bounds 5 s to 60 s")


# drains ---------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("how", [{}, {"app": "shop"}, {"entry_only": True}])
def test_a_drained_site_leaves(how):
    decision = told(WEIGHTED, drains=[drain("dc", **how)])
    assert weights(decision) == {"aws": 1.0}
    assert reasons(decision)["drain"] == "drained: dc"


def test_a_drain_of_another_app_does_not_matter():
    world = snapshot(policy(shop=app(WEIGHTED), blog=app(WEIGHTED, hosts=["blog"])), [drain("dc", app="blog")])
    assert weights(decide(world, NOTHING, world.apps["shop"], None, 4)) == {"dc": 0.8, "aws": 0.2}


def test_a_drain_of_a_site_that_is_not_in_the_chain_is_not_told():
    decision = told(WEIGHTED, drains=[drain("gcp")])
    assert weights(decision) == {"dc": 0.8, "aws": 0.2}
    assert "drain" not in reasons(decision)


def test_drain_beats_verdict():
    """The healthy drained site is not told, even where the others are all down."""
    decision = told(WEIGHTED, dead("aws"), drains=[drain("dc")])
    assert weights(decision) == {"aws": 1.0}
    assert reasons(decision)["healthy"] == "every site is down: all of them are answered"


def test_a_drained_site_hands_over_to_standby():
    assert weights(told(["healthy", {"weighted": {"dc": 1, "aws": 0}}], drains=[drain("dc")])) == {"aws": 1.0}


def test_when_every_site_is_drained_drains_are_ignored():
    decision = told(WEIGHTED, drains=[drain("dc"), drain("aws")])
    assert weights(decision) == {"dc": 0.8, "aws": 0.2}
    assert reasons(decision)["drain"] == "every site is drained: drains are ignored"


# only -----------------------------------------------------------------------------------------------------------------


def test_only_restricts():
    assert weights(told(["healthy", {"only": ["aws", "gcp"]}, {"first": 3}])) == {"aws gcp": 1.0}


def test_only_that_leaves_nobody_is_nodata():
    decision = told([{"only": ["dc"]}, "healthy", {"weighted": {"dc": 1, "aws": 1}}], drains=[drain("dc")])
    assert decision.outcomes == ()
    assert reasons(decision)["only"] == "allowed: dc"


def test_only_that_leaves_nobody_is_nodata_for_first_too():
    assert told([{"only": ["dc"]}, "healthy", {"first": 1}], drains=[drain("dc")]).outcomes == ()


@pytest.mark.parametrize("steer", [["healthy", {"only": ["dc"]}], [{"only": ["dc"]}, "healthy"]], ids=str)
@pytest.mark.parametrize("down", [("dc",), ("dc", "aws"), ("dc", "aws", "gcp")], ids=str)
def test_residency_holds_when_the_allowed_sites_are_down_whatever_the_others_are(steer, down):
    assert weights(told([*steer, {"weighted": {"dc": 1, "aws": 1, "gcp": 1}}], dead(*down))) == {"dc": 1.0}


# networks -------------------------------------------------------------------------------------------------------------


def home(**networks):
    public = {"dc": "192.0.2.10", "aws": "198.51.100.20", "gcp": "203.0.113.30"}
    return {name: {"edges": [{"public": [a]}], "networks": networks.get(name, [])} for name, a in public.items()}


NEAR = ["healthy", "networks", {"first": 1}]


def test_clients_of_a_network_get_its_site():
    sites = home(gcp=["10.0.0.0/8"])
    assert weights(told(NEAR, client="10.1.2.3", sites=sites)) == {"gcp": 1.0}
    assert weights(told(NEAR, client="11.1.2.3", sites=sites)) == {"dc": 1.0}


def test_the_longest_prefix_wins():
    sites = home(dc=["10.0.0.0/8"], aws=["10.1.0.0/16"], gcp=["10.1.2.0/24"])
    told_to = {c: weights(told(NEAR, client=c, sites=sites)) for c in ("10.9.0.1", "10.1.9.1", "10.1.2.1")}
    assert told_to == {"10.9.0.1": {"dc": 1.0}, "10.1.9.1": {"aws": 1.0}, "10.1.2.1": {"gcp": 1.0}}


def test_two_sites_with_the_same_network_share_its_clients():
    steer = ["healthy", "networks", {"weighted": {"dc": 3, "aws": 1, "gcp": 9}}]
    decision = told(steer, client="10.1.1.1", sites=home(dc=["10.0.0.0/8"], aws=["10.0.0.0/8"]))
    assert weights(decision) == {"dc": 0.75, "aws": 0.25}
    assert reasons(decision)["networks"] == "the client is in a network of dc, aws"


def test_when_the_own_site_is_dead_the_next_longest_prefix_wins():
    sites = home(dc=["10.0.0.0/8"], aws=["10.1.0.0/16"])
    assert weights(told(NEAR, dead("aws", sites=sites), client="10.1.1.1", sites=sites)) == {"dc": 1.0}


def test_networks_of_the_other_family_do_not_matter():
    sites = home(aws=["2001:db8::/32"], gcp=["10.0.0.0/8"])
    assert weights(told(NEAR, client="2001:db8::1", sites=sites)) == {"aws": 1.0}


def test_an_unknown_client_depends_on_nothing():
    decision = told(NEAR, sites=home(aws=["10.0.0.0/8"]))
    assert weights(decision) == {"dc": 1.0}
    assert decision.client_bits == 0
    assert reasons(decision)["networks"] == "the client is unknown"


@pytest.mark.parametrize(
    ("networks", "client", "bits"),
    [
        ({"dc": ["10.0.0.0/8"]}, "10.10.0.0", 8),
        ({"dc": ["10.0.0.0/8"]}, "11.0.0.0", 8),
        ({"dc": ["10.0.0.0/8"]}, "192.0.2.1", 1),
        ({"dc": ["10.0.0.0/8"], "aws": ["10.1.0.0/16"]}, "10.1.0.1", 16),
        ({"dc": ["10.0.0.0/8"], "aws": ["10.1.0.0/16"]}, "10.0.0.1", 16),
        ({"dc": ["10.0.0.0/8"], "aws": ["10.1.0.0/16"]}, "10.128.0.1", 9),
        ({"dc": ["0.0.0.0/0"]}, "192.0.2.1", 0),
        ({"dc": ["2001:db8::/32"]}, "192.0.2.1", 0),
        ({"dc": ["2001:db8::/32"]}, "2001:db8:1::1", 32),
        ({}, "192.0.2.1", 0),
    ],
)
def test_client_bits_is_the_shortest_prefix_whose_clients_are_all_told_the_same(networks, client, bits):
    assert told(NEAR, client=client, sites=home(**networks)).client_bits == bits


# priority, first ------------------------------------------------------------------------------------------------------


def test_priority_serves_the_first_living_site():
    steer = ["healthy", {"priority": ["aws", "dc"]}, {"first": 1}]
    assert weights(told(steer)) == {"aws": 1.0}
    assert weights(told(steer, dead("aws"))) == {"dc": 1.0}
    assert weights(told(steer, dead("aws", "dc"))) == {"gcp": 1.0}


def test_priority_then_weighted_draws_within_the_best_tier_only():
    steer = ["healthy", {"priority": ["aws"]}, {"weighted": {"dc": 1, "aws": 1, "gcp": 3}}]
    assert weights(told(steer)) == {"aws": 1.0}
    assert weights(told(steer, dead("aws"))) == {"dc": 0.25, "gcp": 0.75}


def test_orders_compound_the_first_being_the_strongest():
    sites = home(gcp=["10.0.0.0/8"])
    first, second = ["networks", {"priority": ["dc"]}], [{"priority": ["dc"]}, "networks"]
    assert weights(told(["healthy", *first, {"first": 3}], client="10.1.1.1", sites=sites)) == {"gcp dc aws": 1.0}
    assert weights(told(["healthy", *second, {"first": 3}], client="10.1.1.1", sites=sites)) == {"dc gcp aws": 1.0}


@pytest.mark.parametrize(("count", "sites"), [(1, "dc"), (2, "dc aws"), (9, "dc aws gcp")])
def test_first_n_of_the_order_in_one_answer(count, sites):
    decision = told(["healthy", {"first": count}])
    assert weights(decision) == {sites: 1.0}
    assert reasons(decision)["first"] == f"the first {count} of the order"


# families -------------------------------------------------------------------------------------------------------------

MIXED = {
    "dc": {"edges": [{"public": ["192.0.2.10"]}]},
    "aws": {"edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}]},
    "gcp": {"edges": [{"public": ["2001:db8:3::30"]}]},
}
ALL = ["healthy", {"weighted": {"dc": 1, "aws": 1, "gcp": 2}}]


def test_mixed_families_choose_among_those_that_can_serve_the_question():
    decision = told(ALL, sites=MIXED, families="mixed")
    assert weights(decision) == {"dc": 0.5, "aws": 0.5}
    assert reasons(decision)["families"] == "what of it has an IPv4 address"
    assert weights(told(ALL, family=6, sites=MIXED, families="mixed")) == pytest.approx({"aws": 1 / 3, "gcp": 2 / 3})


def test_mixed_families_judge_a_site_by_the_family_that_is_asked_for():
    live = seeing(down=["198.51.100.20"])
    assert weights(told(ALL, live, sites=MIXED, families="mixed")) == {"dc": 1.0}
    assert weights(told(ALL, live, family=6, sites=MIXED, families="mixed")).keys() == {"aws", "gcp"}


def test_a_family_that_no_site_has_is_nodata():
    only_v6 = {"gcp": MIXED["gcp"]}
    assert told(["healthy", {"first": 1}], sites=only_v6, families="mixed").outcomes == ()
    same = told(["healthy", {"first": 1}], sites=only_v6)
    assert [outcome.addresses for outcome in same.outcomes] == [()]


# the chain itself -----------------------------------------------------------------------------------------------------


def test_a_chain_that_does_not_pick_is_a_broken_invariant():
    import dataclasses

    world = snapshot()
    broken = dataclasses.replace(world.apps["shop"], chain=(Filter("healthy"),))
    with pytest.raises(AssertionError):
        decide(world, NOTHING, broken, None, 4)


def test_steps_name_what_each_filter_kept_in_the_order_of_their_work():
    decision = told(["healthy", {"priority": ["dc"]}, {"first": 1}], dead("aws"), drains=[drain("gcp")])
    assert [(step.filter, step.kept) for step in decision.steps] == [
        ("drain", ("dc", "aws")), ("healthy", ("dc",)), ("priority", ("dc",)), ("first", ("dc",)),
    ]  # fmt: skip
