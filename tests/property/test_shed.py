"""Shedding, for any loads: a distribution, monotone, alike for both families, and it moves no more than it must."""

from functools import cache
from ipaddress import ip_network

from hypothesis import example, given, settings
from hypothesis import strategies as st

from gslb.dns.compose import compose, recompile
from gslb.dns.draw import pick
from gslb.snapshot.networks import NetworkMap
from gslb.snapshot.types import Filter, LiveState, Site
from gslb.steering import decide
from gslb.steering.shed import shed_shares
from tests.support.examples import examples
from tests.unit.dns.policies import SITES, app, snapshot

ITEM = Filter("shed", low_ratio=0.8, high_ratio=0.95)
LOAD = st.one_of(st.none(), st.integers(60, 110).map(lambda percent: percent / 100), st.floats(0, 10))
NAMES = list(SITES)
CLIENTS = [network[0].packed for network in list(ip_network("100.64.0.0/14").subnets(new_prefix=24))]


def site(name, capacity=100):
    return Site(name, (), 80, NetworkMap(), False, None, capacity)


@st.composite
def worlds(draw):
    names = [f"s{number}" for number in range(draw(st.integers(1, 6)))]
    order = [site(name, draw(st.sampled_from([100, 100, 100, None]))) for name in names]
    given = {name: draw(LOAD) for name in names}
    return order, {name: load for name, load in given.items() if load is not None}


@cache
def world():
    return snapshot(
        {"shop": app("healthy", {"shed": {"low": 80, "high": 95}})},
        sites={name: SITES[name] | {"capacity": 100} for name in NAMES},
    )


@given(worlds())
def test_shares_are_a_distribution(given_world):
    shares = shed_shares(ITEM, *given_world)
    assert abs(sum(shares) - 1) < 1e-9
    assert all(share >= 0 for share in shares)


@given(worlds(), st.data())
def test_a_rising_load_never_gives_its_site_more_and_takes_from_no_other(given_world, data):
    order, loads = given_world
    place = data.draw(st.integers(0, len(order) - 1))
    more = loads | {order[place].name: data.draw(st.floats(loads.get(order[place].name, 0), 10))}
    before, after = shed_shares(ITEM, order, loads), shed_shares(ITEM, order, more)
    for index, (old, new) in enumerate(zip(before, after, strict=True)):
        assert new <= old + 1e-12 if index == place else new >= old - 1e-12


@given(st.tuples(LOAD, LOAD, LOAD))
def test_both_families_are_shed_alike(loads):
    live = LiveState(loads={n: load for n, load in zip(NAMES, loads, strict=True) if load is not None})
    four, six = (decide(world(), live, world().apps["shop"], None, family) for family in (4, 6))
    assert [(o.sites, o.weight) for o in four.outcomes] == [(o.sites, o.weight) for o in six.outcomes]
    assert four.outcomes


@settings(max_examples=examples(40), deadline=None)
@given(st.tuples(*[st.integers(70, 100)] * 3), st.sampled_from(range(3)), st.integers(1, 10))
@example((88, 85, 85), 1, 5)
def test_a_rising_load_moves_no_client_to_its_site_and_little_more_than_the_share_that_must(percents, place, step):
    before = LiveState(loads={name: percent / 100 for name, percent in zip(NAMES, percents, strict=True)})
    after = LiveState(loads=before.loads | {NAMES[place]: (percents[place] + step) / 100})
    tables = compose(world(), before)
    new_tables = recompile(tables, world(), after)
    assert recompile(new_tables, world(), before).pools == tables.pools, "whoever moved comes back"
    weights, new_weights = (
        {v.sites: v.weight for v in t.pools[0].v4.choices[0].variants} for t in (tables, new_tables)
    )
    must = sum(max(0.0, weight - new_weights.get(site, 0.0)) for site, weight in weights.items())
    moves = [
        (pick(tables.pools[0], client, 0.0, 0).sites, pick(new_tables.pools[0], client, 0.0, 0).sites)
        for client in CLIENTS
    ]
    moved = [(old, new) for old, new in moves if old != new]
    assert all(new != (NAMES[place],) for _, new in moved)
    assert len(moved) / len(moves) <= 2 * must / (1 + must) + 0.06
    if len(weights.keys() | new_weights.keys()) == 2:
        assert len(moved) / len(moves) <= must + 0.06
