"""No dead site drowns a living one: for any weights, capacities and demand."""

from hypothesis import given
from hypothesis import strategies as st

from gslb.snapshot.networks import NetworkMap
from gslb.snapshot.types import Site
from gslb.steering.room import demand_per_s, overflow_shares, spread

SIZES = st.integers(1, 100_000)


@st.composite
def worlds(draw):
    """Living sites with their own shares and capacities, a share that is gone, and a demand."""
    number = draw(st.integers(1, 8))
    weights = draw(st.lists(st.integers(0, 1000), min_size=number, max_size=number))
    gone = draw(st.integers(1, 1000))
    whole = sum(weights) + gone
    sizes = draw(st.lists(SIZES, min_size=number, max_size=number))
    return [weight / whole for weight in weights], sizes, draw(st.none() | st.floats(0.1, 500_000))


@given(worlds())
def test_it_is_a_distribution_and_nobody_loses(world):
    base, _, _ = world
    shares = spread(*world)
    assert abs(sum(shares) - 1) < 1e-9
    assert all(new >= old - 1e-12 for new, old in zip(shares, base, strict=True))


@given(worlds())
def test_no_site_is_driven_above_its_capacity_while_another_has_room(world):
    base, sizes, demand = world
    shares = spread(*world)
    if demand is None:
        return
    driven_over = any(
        new * demand > size * (1 + 1e-9) and new > old + 1e-12
        for new, old, size in zip(shares, base, sizes, strict=True)
    )
    room = sum(max(0.0, size - new * demand) for new, size in zip(shares, sizes, strict=True))
    assert not driven_over or room <= 1e-6 * sum(sizes)


@given(st.lists(st.tuples(SIZES | st.none(), st.none() | st.floats(0, 3)), min_size=1, max_size=6))
def test_an_order_overflows_into_room_alone(given_sites):
    order = [Site(f"s{n}", (), 80, NetworkMap(), False, None, size) for n, (size, _) in enumerate(given_sites)]
    loads = {f"s{n}": load for n, (_, load) in enumerate(given_sites) if load is not None}
    shares = overflow_shares(order, loads)
    assert abs(sum(shares) - 1) < 1e-9
    full = [site.capacity_per_s is not None and loads.get(site.name, 0) >= 1 for site in order]
    if not all(full):
        assert all(share == 0 for share, is_full in zip(shares, full, strict=True) if is_full)


@given(st.lists(st.tuples(SIZES, st.floats(0, 3)), min_size=1, max_size=6))
def test_the_demand_is_never_told_too_low(given_sites):
    sites = [Site(f"s{n}", (), 80, NetworkMap(), False, None, size) for n, (size, _) in enumerate(given_sites)]
    real = sum(size * load for size, load in given_sites)
    told = demand_per_s(sites, {f"s{n}": load for n, (_, load) in enumerate(given_sites)})
    assert real * (1 - 1e-6) <= told + 1e-6
    assert told <= real + 0.05 * sum(size for size, _ in given_sites) * 1.001
