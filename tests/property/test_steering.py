"""What holds for every policy, every mixture of verdicts and drains, and every client."""

import dataclasses
import ipaddress
from bisect import bisect_right

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from gslb.snapshot.types import LiveState, Verdict
from gslb.steering import client_classes, decide, telling_filters
from tests.support.examples import examples
from tests.unit.steering.world import app, drain, force, policy, seeing, snapshot

SITES = ["dc", "aws", "gcp", "ovh"]
NETWORKS = ["10.0.0.0/8", "10.1.0.0/16", "10.1.2.0/24", "10.1.128.0/17", "172.16.0.0/12", "2001:db8::/32", "0.0.0.0/0"]
CLIENTS = st.one_of(
    st.none(),
    st.integers(0x0A000000, 0x0A02FFFF).map(ipaddress.IPv4Address),
    st.ip_addresses(v=4),
    st.ip_addresses(v=6),
    st.integers(0, 2**96 - 1).map(lambda n: ipaddress.IPv6Address((0x20010DB8 << 96) + n)),
)
FAMILY = st.sampled_from([4, 6])


def addresses_of(number, edges, families):
    made = [{"public": [a]} for n in range(edges) for a in ([f"192.0.2.{number * 10 + n}"] if 4 in families else [])]
    return made + [{"public": [f"2001:db8:{number}::{n}"]} for n in range(edges) if 6 in families]


def some_of(draw, items):
    """Each with a coin of its own: lists of hypothesis would mostly be nearly empty."""
    return [item for item in items if draw(st.booleans())]


RESTRICT = [["healthy"], ["threshold"], ["healthy", "only"], ["only", "healthy"], ["only"], []]
KIND = st.sampled_from(["up", "up", "up", "held", "disputed", "back"])
"""What an address that is not down is."""
WEIGHT = st.sampled_from([1, 20, 99.5, 0.01, 0])


@st.composite
def worlds(draw, *, residency=True):
    """A policy, drains, verdicts: (snapshot, live)."""
    names = draw(st.permutations(SITES))[: draw(st.sampled_from([3, 2, 4, 1]))]
    families = draw(st.sampled_from([{4}, {6}, {4, 6}]))
    mixed = draw(st.booleans())
    sites = {}
    for number, name in enumerate(names, 1):
        own = draw(st.sampled_from([{4}, {6}, {4, 6}])) if mixed else families
        edges = addresses_of(number, draw(st.integers(1, 2)), own)
        sites[name] = {"edges": edges, "networks": some_of(draw, NETWORKS)}
    restrict = draw(st.sampled_from([kinds for kinds in RESTRICT if residency or "only" not in kinds]))
    order = draw(st.permutations(["networks", "priority"]))[: draw(st.integers(0, 2))]
    listed = {
        "threshold": {"threshold": draw(st.sampled_from([1, 50, 100]))},
        "only": some_of(draw, names) or names[:1],
        "priority": some_of(draw, names) or names[:1],
    }
    words = {"threshold": "healthy"}
    chain = [{words.get(kind, kind): listed[kind]} if kind in listed else kind for kind in [*restrict, *order]]
    weighted = {name: draw(WEIGHT) for name in names[: draw(st.sampled_from([4, 2, 1]))]}
    pick = {"weighted": weighted, "by": draw(st.sampled_from(["window", "client", "answer"]))}
    chain.append(draw(st.sampled_from([pick, {"first": draw(st.integers(1, 4))}])))
    shop = app(
        chain,
        failover=draw(st.sampled_from(["auto", "manual"])),
        families="mixed" if mixed else "same",
        backends={"monolith": {names[0]: ["10.9.0.1:80"]}},
    )
    every = [a for site in sites.values() for edge in site["edges"] for a in edge["public"]]
    down = some_of(draw, every)
    kinds = {address: draw(KIND) for address in every if address not in down}
    told = {kind: [address for address, its in kinds.items() if its == kind] for kind in ("held", "disputed", "back")}
    ramps = {name: draw(st.sampled_from([0.05, 0.5, 0.95])) for name in names if draw(st.integers(0, 3)) == 0}
    live = seeing(down=down, ramps=ramps, **told)
    forces = [force(name, draw(st.sampled_from(["up", "down"]))) for name in names if draw(st.integers(0, 5)) == 0]
    return snapshot(policy(sites, shop=shop), [drain(name) for name in some_of(draw, names)], forced=forces), live


def decision(world, client=None, family=4):
    snap, live = world
    return decide(snap, live, snap.apps["shop"], client, family)


def chance(decided):
    """Site to the chance that it is in the answer."""
    found = {}
    for outcome in decided.outcomes:
        for site in outcome.sites:
            found[site] = found.get(site, 0.0) + outcome.weight
    return found


def has(snap, kind):
    return any(item.kind == kind for item in snap.apps["shop"].chain)


def site_addresses(snap, name):
    return [a for edge in snap.sites[name].edges for a in edge.public]


@given(worlds(), CLIENTS, FAMILY)
def test_outcomes_are_a_distribution_over_addresses_of_the_family(world, client, family):
    decided = decision(world, client, family)
    if decided.outcomes:
        assert abs(sum(o.weight for o in decided.outcomes) - 1) < 1e-9
    for outcome in decided.outcomes:
        assert outcome.weight > 0
        assert outcome.sites
        assert len(set(outcome.sites)) == len(outcome.sites)
        theirs = {a for site in outcome.sites for a in site_addresses(world[0], site)}
        assert set(outcome.addresses) <= theirs
        assert all(a.version == family for a in outcome.addresses)


@given(worlds(residency=False), CLIENTS, FAMILY)
def test_never_empty_without_residency_while_a_site_has_the_family(world, client, family):
    snap, _ = world
    weighted = [dict(f.weights) for f in snap.apps["shop"].chain if f.kind == "weighted"]
    named = set(weighted[0]) if weighted else set(snap.sites)
    assume(any(a.version == family for name in named for a in site_addresses(snap, name)))
    decided = decision(world, client, family)
    assert decided.outcomes
    assert all(outcome.addresses for outcome in decided.outcomes)


@given(worlds(), CLIENTS, FAMILY)
def test_a_drained_site_is_never_named_beside_or_before_one_that_is_not(world, client, family):
    snap, _ = world
    drained = set(snap.apps["shop"].no_entry)
    told = set(chance(decision(world, client, family)))
    assert not told & drained or told <= drained


@given(worlds(), CLIENTS, FAMILY)
def test_residency_is_never_left(world, client, family):
    snap, _ = world
    for item in snap.apps["shop"].chain:
        if item.kind == "only":
            assert set(chance(decision(world, client, family))) <= set(item.sites)


@given(worlds(), CLIENTS, FAMILY)
def test_a_dead_site_is_told_only_with_nobody_alive(world, client, family):
    snap, live = world
    shop = snap.apps["shop"]
    assume(has(snap, "healthy"))

    least = next(f.threshold_ratio for f in shop.chain if f.kind == "healthy")

    def alive(name):
        if forced := shop.forced_state(name):
            return forced.state == "up"
        judged = [a for a in site_addresses(snap, name) if a.version == family or not shop.mixed_families]
        living = [a for a in judged if not live.is_dead("shop", a)]
        held = any(v.state == "held" for (_, a), v in live.verdicts.items() if a in judged)
        return held or (bool(living) and len(living) >= least * len(judged))

    living = {name: alive(name) for name in chance(decision(world, client, family))}
    assert all(living.values()) or not any(living.values())


@given(worlds(), CLIENTS, FAMILY)
def test_the_same_question_has_the_same_answer(world, client, family):
    assert decision(world, client, family) == decision(world, client, family)


@given(worlds(), CLIENTS)
def test_all_types_of_a_name_choose_the_same_site(world, client):
    assume(not world[0].apps["shop"].mixed_families)
    four, six = decision(world, client, 4), decision(world, client, 6)
    assert [(o.sites, o.weight) for o in four.outcomes] == [(o.sites, o.weight) for o in six.outcomes]
    assert (four.draw, four.client_bits) == (six.draw, six.client_bits)


@given(worlds(), CLIENTS, FAMILY, st.data())
def test_recovering_never_costs_a_site_its_share(world, client, family, data):
    """Monotone, except that all of the dead are answered at once: there a lone survivor takes over from a crowd."""
    snap, live = world
    down = sorted(a for (_, a), v in live.verdicts.items() if v.state == "down" for a in [str(a)])
    assume(down)
    revived = data.draw(st.sampled_from(down))
    verdicts = {**live.verdicts, ("shop", ipaddress.ip_address(revived)): Verdict("up", "", 0.0)}
    better = dataclasses.replace(live, verdicts=verdicts)  # loads and slow returns stay as they are
    before, after = decision(world, client, family), decision((snap, better), client, family)
    site = next(n for n in snap.sites if ipaddress.ip_address(revived) in site_addresses(snap, n))
    all_down = any("all of them are answered" in step.reason for step in before.steps)
    if not all_down:
        assert chance(after).get(site, 0.0) >= chance(before).get(site, 0.0) - 1e-9


@settings(max_examples=examples(200))
@given(st.lists(st.sets(st.sampled_from(NETWORKS)), min_size=3, max_size=3), CLIENTS.filter(bool), st.data())
def test_every_client_with_the_same_client_bits_is_told_the_same(networks, client, data):
    sites = {
        name: {"edges": [{"public": [f"192.0.2.{n}"]}], "networks": sorted(networks[n])}
        for n, name in enumerate(SITES[:3])
    }
    world = snapshot(policy(sites, shop=app(["healthy", "networks", {"first": 1}]))), LiveState()
    decided = decision(world, client)
    free = client.max_prefixlen - decided.client_bits
    assume(free)
    flip = 1 << data.draw(st.integers(0, free - 1) | st.just(free - 1))
    noise = data.draw(st.integers(0, 2**free - 1))
    for neighbour in (int(client) ^ flip, int(client) ^ noise):
        assert decision(world, type(client)(neighbour)).outcomes == decided.outcomes


@given(worlds(), CLIENTS, FAMILY)
def test_restrictions_may_be_written_in_any_order(world, client, family):
    snap, live = world
    shop = snap.apps["shop"]
    two = [item for item in shop.chain if item.kind in ("healthy", "only")]
    swapped = dataclasses.replace(shop, chain=(*reversed(two), *shop.chain[len(two) :]))
    assert decide(snap, live, swapped, client, family).outcomes == decision(world, client, family).outcomes


@given(worlds(), st.lists(CLIENTS.filter(bool), min_size=2, max_size=6), FAMILY)
def test_clients_of_one_class_are_told_the_same(world, clients, family):
    snap, _ = world
    told = {}
    for client in clients:
        spans = client_classes(snap, None, telling_filters(snap.apps["shop"].chain), client.version)
        value = client.version, spans.values[bisect_right(spans.starts, int(client)) - 1]
        outcomes = decision(world, client, family).outcomes
        assert told.setdefault(value, outcomes) == outcomes


@given(worlds(), CLIENTS, FAMILY)
def test_unknown_counts_as_up(world, client, family):
    snap, live = world
    forgetful = LiveState(1, {k: v for k, v in live.verdicts.items() if v.state == "down"})
    wordy = {("shop", a): Verdict("unknown", "", 0.0) for n in snap.sites for a in site_addresses(snap, n)}
    assert decision((snap, LiveState(1, wordy | dict(forgetful.verdicts))), client, family) == decision(
        (snap, forgetful), client, family
    )
