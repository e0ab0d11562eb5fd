"""Which weights stand in routes, and which in the runtime."""

from __future__ import annotations

from itertools import product

from hypothesis import given
from hypothesis import strategies as st

from gslb.edge.render import render
from gslb.edge.render.weights import TOTAL_WEIGHT, to_weights
from gslb.snapshot.intent import MirrorStop, Overrides, Provenance, Shift
from tests.unit.edge.policies import routes_of, snapshot

SPLITS = [split for split in product((0, 25, 50, 75, 100), repeat=3) if sum(split) == 100]


def route(split):
    return {"name": "pay", "split": dict(zip(("a", "b", "c"), split, strict=True))}


def rendered(written, shifted=None):
    shifts = ()
    if shifted is not None:
        shifts = (Shift(app="shop", route="pay", split=route(shifted)["split"], by=Provenance(at_s=0)),)
    backends = {name: {"dc": ["192.0.2.1:80"]} for name in "abc"}
    return render(snapshot([route(written)], backends, overrides=Overrides(shifts=shifts)), "dc")


def weights(config, runtime):
    """What Envoy makes of the routes of `config` under `runtime`."""
    found = {
        tuple(
            runtime.get(f"{split['runtime_key_prefix']}.{side['name']}", side["weight"]) for side in split["clusters"]
        )
        for item in routes_of(config, "shop/pay")
        for split in [item["route"]["weighted_clusters"]]
    }
    assert len(found) == 1
    return found.pop()


def test_a_shift_changes_the_runtime_and_no_route():
    plain, shifted = rendered((75, 25, 0)), rendered((75, 25, 0), (0, 25, 75))
    assert plain.routes == shifted.routes
    assert plain.runtime == {}
    assert weights(plain, plain.runtime) == to_weights([7500, 2500, 0])
    assert weights(shifted, shifted.runtime) == to_weights([0, 2500, 7500])


def test_a_route_with_one_side_asks_no_runtime():
    config = render(snapshot([{"name": "pay", "split": {"mono": 100}}]), "dc")
    assert all("runtime_key_prefix" not in item["route"]["weighted_clusters"] for item in routes_of(config, "shop/pay"))


@given(*[st.sampled_from(SPLITS)] * 2, *[st.none() | st.sampled_from(SPLITS)] * 2)
def test_every_moment_of_a_change_has_the_shares_of_before_or_after(written, then, shifted, then_shifted):
    """The order of `handover`: the runtime of both, the routes, the runtime of the new ones."""
    old, new = rendered(written, shifted), rendered(then, then_shifted)
    both = {**old.runtime, **new.runtime}
    before, after = weights(old, old.runtime), weights(new, new.runtime)
    moments = [weights(old, both), weights(new, both), after]
    assert all(moment in (before, after) for moment in moments)
    assert moments == sorted(moments, key=[before, after].index)
    assert {sum(moment) for moment in (before, *moments)} == {TOTAL_WEIGHT}


def test_a_stopped_mirror_stays_in_the_routes_and_is_stopped_in_the_runtime():
    mirrored = {"name": "pay", "split": {"mono": 100}, "mirror": [{"to": "new", "percent": 10}]}
    stop = MirrorStop(app="shop", by=Provenance(at_s=0))
    copying = render(snapshot([mirrored]), "dc")
    stopped = render(snapshot([mirrored], overrides=Overrides(mirror_stops=(stop,))), "dc")
    assert copying.routes == stopped.routes
    assert copying.runtime == {}
    assert stopped.runtime == {"gslb.mirror.shop.pay.0": {"numerator": 0, "denominator": "MILLION"}}
