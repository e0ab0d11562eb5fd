"""All standings of a node: patience, people, guard rail, ramps, and what a restart remembers."""

import dataclasses

import pytest

from gslb.health.quorum import Seen
from gslb.health.standings import Standings
from gslb.snapshot import Compiler
from gslb.snapshot.intent import Approval, Intent, SlowStart
from tests.unit.steering.world import NOW_S, SITES, addresses_of, app, by, ip, policy, snapshot

WEIGHTED = ["healthy", {"weighted": {"dc": 50, "aws": 30, "gcp": 20}}]
DC4, AWS4 = ("shop", ip("192.0.2.10")), ("shop", ip("198.51.100.20"))


class Node:
    """A node whose clock stands until somebody waits; everything is up that is not said to be otherwise."""

    def __init__(self, **words):
        top = {key: words.pop(key) for key in ("failback", "guard") if key in words}
        self.of = policy(shop=app(WEIGHTED, **words)).model_copy(
            update={key: getattr(POLICY_OF(key, value), key) for key, value in top.items()}
        )
        self.standings, self.mono_s, self.overrides = Standings(), 0.0, {}
        self.seen = {("shop", ip(a)): Seen("up", "200", 3.0) for a in addresses_of(*SITES)}
        self.follow()

    @property
    def wall_s(self):
        return NOW_S + self.mono_s

    def follow(self):
        self.standings.follow(snapshot(self.of, wall_s=self.wall_s, **self.overrides))

    def see(self, state, *sites):
        for address in addresses_of(*sites):
            self.seen["shop", ip(address)] = Seen(state, f"it is {state}", 3.0)
        return self.look()

    def look(self):
        return self.standings.look(dict(self.seen), self.mono_s, self.wall_s)

    def wait(self, seconds):
        self.mono_s += seconds
        return self.look()

    def states(self):
        return [self.standings.verdicts["shop", ip(addresses_of(site)[0])].state for site in SITES]

    def verdict(self, site="dc"):
        return self.standings.verdicts["shop", ip(addresses_of(site)[0])]


def POLICY_OF(key, value):
    return type(policy()).model_validate({**policy().model_dump(mode="json"), key: value})


def test_what_is_seen_at_first_counts_at_once():
    node = Node()
    assert node.see("down", "aws")
    assert node.states() == ["up", "down", "up"]
    assert not node.look()


def test_a_dead_site_leaves_at_once_and_comes_back_after_its_hold_down():
    node = Node()
    node.look()
    assert node.see("down", "dc")
    assert node.states() == ["down", "up", "up"]
    assert [change.action for change in node.standings.changes] == ["left", "left"]
    node.wait(5)
    node.see("up", "dc")
    assert (node.verdict().state, node.verdict().seen) == ("down", "up")
    assert node.verdict().reason == "well again since 1970-01-12T13:46:45Z; comes back at 1970-01-12T13:47:15Z"
    node.wait(29)
    assert node.verdict().state == "down"
    assert node.wait(1)
    assert node.verdict().state == "up"


def test_a_hold_down_is_told_in_powers_of_two_so_that_it_moves_few_tables():
    node = Node()
    node.look()
    node.see("down", "dc")
    node.see("up", "dc")
    moves = sum(node.wait(0.25) for _ in range(4 * 29))
    assert moves <= 5
    assert node.verdict().flip_s == 1.0


def test_a_site_that_dies_while_it_waits_begins_anew():
    node = Node(failback={"after": "10s"})
    node.look()
    for _ in range(20):
        node.see("down", "dc")
        node.see("up", "dc")
        node.wait(9)
    assert node.verdict().state == "down"


def test_dispute_and_silence_change_no_answer():
    node = Node()
    node.look()
    node.see("disputed", "dc")
    assert (node.verdict().state, node.verdict().seen, node.verdict().reason) == ("held", "disputed", "it is disputed")
    node.see("unknown", "aws")
    assert node.states() == ["held", "up", "up"]
    node.see("down", "gcp")
    node.see("disputed", "gcp")
    assert node.verdict("gcp").state == "down"
    assert node.verdict("gcp").reason == "it is disputed; before: it is down"
    node.see("unknown", "gcp")
    assert node.verdict("gcp").state == "down"


# people ---------------------------------------------------------------------------------------------------------------


def approve(node, what, site="dc"):
    node.overrides = {
        "approvals": (Approval(app="shop", site=site, what=what, by=by().model_copy(update={"at_s": node.wall_s})),)
    }
    node.follow()
    return node.look()


def test_manual_failover_waits_for_a_person_and_coming_back_too():
    node = Node(failover="manual")
    node.look()
    node.see("down", "dc")
    assert (node.verdict().state, node.verdict().seen) == ("held", "down")
    assert node.verdict().reason == "it is down; stays, because only a person lets it go: gslb failover approve shop dc"
    node.wait(3600)
    assert node.verdict().state == "held"
    assert approve(node, "failover")
    assert node.verdict().state == "down"
    node.see("up", "dc")
    node.wait(31)
    assert node.verdict().reason == "well again; comes back when a person says so: gslb resume shop dc"
    node.wait(3600)
    assert node.verdict().state == "down"
    assert approve(node, "resume")
    assert node.verdict().state == "up"


def test_an_approval_is_about_what_happened_before_it():
    node = Node(failover="manual", failback={"after": "10s", "resume": "auto"})
    node.look()
    approve(node, "failover")
    node.wait(10)
    node.see("down", "dc")
    assert node.verdict().state == "held"


def test_the_next_death_asks_a_person_again():
    node = Node(failover="manual")
    node.look()
    for _ in range(2):
        node.see("down", "dc")
        assert node.verdict().state == "held"
        node.wait(1)
        approve(node, "failover")
        assert node.verdict().state == "down"
        node.see("up", "dc")
        node.wait(1)
        approve(node, "resume")
        assert node.verdict().state == "up"
        node.wait(1)


def test_who_did_not_see_a_site_die_lets_it_go_all_the_same_when_a_person_does():
    """The nameserver at a site that is cut off sees it well all the time. When the cut is over it answered the old site
    for as long as the others waited for a person: two databases took writes."""
    node = Node(failover="manual")
    node.look()
    approve(node, "failover")
    assert node.verdict().state == "down"
    assert node.verdict("aws").state == "up"
    node.wait(3600)
    assert node.verdict().reason == "well again; comes back when a person says so: gslb resume shop dc"
    approve(node, "resume")
    assert node.verdict().state == "up"
    node.wait(1)
    node.follow()
    node.look()
    assert node.verdict().state == "up"


def test_who_starts_without_a_memory_knows_what_people_let_go():
    node = Node(failover="manual")
    node.overrides = {"approvals": (Approval(app="shop", site="dc", what="failover", by=by()),)}
    node.follow()
    node.wait(60)
    assert node.states() == ["down", "up", "up"]
    node.wait(3600)
    assert node.verdict().waits
    approve(node, "resume")
    assert node.states() == ["up", "up", "up"]


def test_an_approval_of_one_site_is_none_of_another():
    node = Node(failover="manual")
    node.look()
    node.see("down", "dc", "aws")
    node.wait(1)
    approve(node, "failover", "aws")
    assert node.states() == ["held", "down", "up"]


def test_a_held_site_that_lives_again_needs_nobody():
    node = Node(failover="manual")
    node.look()
    node.see("down", "dc")
    node.see("up", "dc")
    assert node.verdict().state == "up"


def test_a_person_who_resumes_need_not_wait_for_the_hold_down():
    node = Node(failback={"after": "1h"})
    node.look()
    node.see("down", "dc")
    node.wait(1)
    node.see("up", "dc")
    node.wait(1)
    approve(node, "resume")
    assert node.verdict().state == "up"


# the guard rail -------------------------------------------------------------------------------------------------------


def test_the_first_site_goes_and_the_next_only_within_the_share():
    node = Node()
    node.look()
    node.see("down", "dc")
    node.wait(5)
    node.see("down", "aws")
    assert node.states() == ["down", "held", "up"], "two of three are more than half"
    assert "the guard rail lets no more go at once" in node.verdict("aws").reason
    node.wait(54)
    assert node.verdict("aws").state == "held"
    node.wait(1.5)
    assert node.states() == ["down", "down", "up"]


def test_a_share_that_fits_goes_at_once():
    node = Node(guard={"most": 70, "within": "1m"})
    node.look()
    node.see("down", "dc")
    node.see("down", "aws")
    assert node.states() == ["down", "down", "up"]


def test_capacity_counts_where_every_site_has_one():
    sites = {name: {**SITES[name], "capacity": size} for name, size in (("dc", 1000), ("aws", 100), ("gcp", 1000))}
    node = Node()
    node.of = policy(sites, shop=app(WEIGHTED))
    node.follow()
    node.look()
    node.see("down", "aws")
    node.see("down", "dc")
    assert node.states() == ["held", "down", "up"], "1,100 of 2,100 are more than half"
    small = Node()
    small.of = policy({**sites, "gcp": {**SITES["gcp"], "capacity": 5000}}, shop=app(WEIGHTED))
    small.follow()
    small.look()
    small.see("down", "aws")
    small.see("down", "dc")
    assert small.states() == ["down", "down", "up"]


def test_several_at_once_the_first_goes():
    node = Node()
    node.look()
    node.see("down", "dc", "aws")
    assert node.states() == ["down", "held", "up"]


def test_where_nothing_lives_nothing_is_guarded_because_all_are_answered_then():
    node = Node()
    node.look()
    node.see("down", "dc", "aws")
    node.see("down", "gcp")
    assert node.states() == ["down", "down", "down"]


def test_a_start_finds_what_is_dead_without_asking_the_guard():
    node = Node()
    node.see("down", "dc", "aws")
    assert node.states() == ["down", "down", "up"]


# coming back slowly ---------------------------------------------------------------------------------------------------


def test_a_site_that_returns_grows_in_steps():
    node = Node(failback={"after": "10s", "over": "100s"})
    node.look()
    node.see("down", "dc")
    node.see("up", "dc")
    node.wait(10)
    assert node.standings.ramps == {("shop", "dc"): 0.05}
    assert not node.wait(4)
    assert node.wait(1)
    assert node.standings.ramps == {("shop", "dc"): pytest.approx(0.1)}
    node.wait(94)
    assert node.standings.ramps == {("shop", "dc"): 1.0} or node.standings.ramps == {}
    node.wait(2)
    assert node.standings.ramps == {}


def test_a_site_that_dies_while_it_grows_begins_anew():
    node = Node(failback={"after": "0s", "over": "100s"})
    node.look()
    node.see("down", "dc")
    node.see("up", "dc")
    node.wait(50)
    node.see("down", "dc")
    assert node.standings.ramps == {}


def test_an_address_that_returns_to_a_living_site_does_not_slow_it_down():
    node = Node(failback={"after": "0s", "over": "100s"})
    node.look()
    node.seen[DC4] = Seen("down", "x", 1.0)
    node.look()
    node.seen[DC4] = Seen("up", "x", 1.0)
    node.look()
    assert node.standings.ramps == {}


def test_undrain_over_a_time_is_the_same_ramp_by_the_wall_clock():
    node = Node()
    slow = SlowStart(site="aws", by=by().model_copy(update={"expires_s": NOW_S + 200}))
    node.overrides = {"slow_starts": (slow,)}
    node.follow()
    node.look()
    assert node.standings.ramps == {("shop", "aws"): 0.05}
    node.wait(100)
    assert node.standings.ramps == {("shop", "aws"): 0.55}
    node.wait(100)
    assert node.standings.ramps == {}


# restarts -------------------------------------------------------------------------------------------------------------


def restarted(node, after_s):
    other = Node()
    other.of, other.overrides, other.mono_s = node.of, node.overrides, node.mono_s + after_s
    other.follow()
    other.standings.restore(node.standings.memory(node.mono_s, node.wall_s), other.mono_s, other.wall_s)
    other.seen = {key: Seen("unknown", "no result yet", 0.0) for key in other.seen}
    other.look()
    return other


def test_a_restart_keeps_out_what_was_out_until_it_has_been_well():
    node = Node()
    node.look()
    node.see("down", "dc")
    other = restarted(node, 5)
    assert other.states() == ["down", "unknown", "unknown"]
    other.see("up", "dc", "aws", "gcp")
    assert other.states() == ["down", "up", "up"]
    other.wait(30)
    assert other.states() == ["up", "up", "up"]


def test_a_restart_keeps_what_waits_for_a_person_and_how_often_something_fell():
    node = Node(failback={"after": "10s", "resume": "manual"})
    node.look()
    node.see("down", "dc")
    node.see("up", "dc")
    node.wait(10)
    other = restarted(node, 5)
    other.see("up", "dc", "aws", "gcp")
    other.wait(100)
    assert other.states() == ["down", "up", "up"]
    approve(other, "resume")
    assert other.states() == ["up", "up", "up"]
    other.wait(1)
    other.see("down", "dc")
    assert restarted(other, 1).standings.memory(other.mono_s, other.wall_s)[0].falls == 1


def test_what_the_policy_no_longer_has_is_forgotten():
    node = Node()
    node.look()
    node.see("down", "dc")
    node.of = policy(
        {"aws": SITES["aws"]},
        shop=app(None, backends={"m": {"aws": ["10.0.0.1:80"]}}, routes=[{"name": "a", "split": {"m": 100}}]),
    )
    node.follow()
    assert node.look()
    assert {key[1] for key in node.standings.verdicts} == {ip(a) for a in addresses_of("aws")}
    assert node.standings.memory(0, 0) == ()


def test_nothing_is_done_anew_for_what_is_up_and_unchanged():
    node = Node()
    node.look()
    before = node.standings.live
    node.wait(1)
    assert node.standings.live == before
    assert node.standings.live.counter == before.counter
    assert dataclasses.asdict(before)["ramps"] == {}


def test_an_app_that_changed_is_judged_by_its_new_rules_where_the_sites_are_the_same_objects():
    compiler, standings = Compiler(), Standings()
    for revision, failover in enumerate(("auto", "manual"), 1):
        apps = {"shop": app(WEIGHTED, failover=failover), "blog": app(WEIGHTED, hosts=["blog"])}
        standings.follow(compiler.compile(Intent(revision=revision, policy=policy(**apps)), NOW_S))
        seen = {(name, ip(a)): Seen("up", "200", 3.0) for name in apps for a in addresses_of(*SITES)}
        standings.look(seen, float(revision), NOW_S)
    down = {key: Seen("down", "503", 3.0) if key[1] == DC4[1] else now for key, now in seen.items()}
    standings.look(down, 9.0, NOW_S)
    assert standings.verdicts[DC4].state == "held"
    assert standings.verdicts["blog", DC4[1]].state == "down"
