"""Whatever was compiled before: what an Intent means is the same, and what stayed the same is the same object."""

from hypothesis import given
from hypothesis import strategies as st

from gslb.control.changes import shift as shifted
from gslb.model.policy import Policy
from gslb.snapshot import Compiler, compile_snapshot
from gslb.snapshot.intent import (
    Approval,
    Challenge,
    Drain,
    Forced,
    Intent,
    Latency,
    MirrorStop,
    Overrides,
    Provenance,
    Shift,
    SlowStart,
)

NOW_S = 1_000.0
SITES = ["dc", "aws", "gcp"]
APPS = ["shop", "blog"]
SPLITS = [{"a": 100, "b": 0}, {"a": 40, "b": 60}, {"a": 0, "b": 100}]
BY = st.builds(
    Provenance, at_s=st.just(0.0), reason=st.sampled_from(["", "x"]), expires_s=st.sampled_from([None, 999.0, 1001.0])
)
SOME_APP = st.sampled_from([None, *APPS])


def many(strategy):
    return st.lists(strategy, max_size=2).map(tuple)


OVERRIDES = st.builds(
    Overrides,
    version=st.integers(0, 9),
    drains=many(
        st.builds(
            Drain, site=st.sampled_from(SITES), app=SOME_APP, entry_only=st.booleans(), by=BY, deadline_s=st.none()
        )
    ),
    shifts=many(
        st.builds(Shift, app=st.sampled_from(APPS), route=st.just("pay"), split=st.sampled_from(SPLITS), by=BY)
    ),
    forced=many(
        st.builds(Forced, site=st.sampled_from(SITES), app=SOME_APP, state=st.sampled_from(["up", "down"]), by=BY)
    ),
    approvals=many(
        st.builds(Approval, app=st.sampled_from(APPS), site=st.sampled_from(SITES), what=st.just("failover"), by=BY)
    ),
    slow_starts=many(st.builds(SlowStart, site=st.sampled_from(SITES), app=SOME_APP, by=BY)),
    mirror_stops=many(st.builds(MirrorStop, app=SOME_APP, by=BY)),
    challenges=many(st.builds(Challenge, name=st.just("shop.gslb.test"), value=st.sampled_from(["v1", "v2"]), by=BY)),
    latency=st.none() | st.builds(Latency, measured=st.just({"10.0.0.0/8": {"dc": "1ms"}}), by=BY),
)


@st.composite
def policies(draw):
    def app(name):
        mirror = [{"to": "b", "percent": draw(st.sampled_from([1, 5]))}]
        route = {
            "name": "pay",
            "split": draw(st.sampled_from(SPLITS)),
            **({"mirror": mirror} if draw(st.booleans()) else {}),
        }
        sites = draw(st.permutations(SITES[:2]))
        backends = {"a": {site: ["192.0.2.1:80"] for site in sites}, "b": {"aws": ["192.0.2.2:80"]}}
        return {"hosts": [name], "backends": backends, "routes": [route]}

    sites = {
        site: {"edges": [{"public": [f"192.0.2.{10 + SITES.index(site)}"]}]} for site in draw(st.permutations(SITES))
    }
    zone = {"name": "gslb.test", "nameservers": {"ns1": ["192.0.2.53"]}, "ttl": draw(st.sampled_from(["5s", "9s"]))}
    return Policy.model_validate(
        {"zone": zone, "sites": sites, "apps": {name: app(name) for name in draw(st.permutations(APPS))}}
    )


INTENTS = st.builds(Intent, revision=st.integers(1, 3), policy=policies(), overrides=OVERRIDES)


def variants(intent):
    """`intent` and what may follow it: other overrides on the same policy, or another policy under the same ones."""
    return st.one_of(
        INTENTS,
        OVERRIDES.map(lambda overrides: intent.model_copy(update={"overrides": overrides})),
        policies().map(lambda policy: intent.model_copy(update={"policy": policy})),
        st.just(Intent.model_validate_json(intent.model_dump_json())),
    )


@given(st.data())
def test_what_was_compiled_before_makes_no_difference(data):
    compiler, intent = Compiler(), data.draw(INTENTS)
    for _ in range(3):
        wall_s = data.draw(st.sampled_from([998.0, NOW_S, 1002.0]))
        made, scratch = compiler.compile(intent, wall_s), compile_snapshot(intent, wall_s)
        assert (made, made.digest) == (scratch, scratch.digest)
        assert [list(made.sites), list(made.apps)] == [list(scratch.sites), list(scratch.apps)]
        assert repr(made) == repr(scratch)
        intent = data.draw(variants(intent))


@given(INTENTS)
def test_a_shift_leaves_every_other_app_the_object_that_it_was(intent):
    compiler = Compiler()
    before = compiler.compile(intent, NOW_S)
    after = compiler.compile(shifted(intent, "shop", "pay", {"b": 30}, Provenance(at_s=NOW_S)), NOW_S)
    assert after.apps["blog"] is before.apps["blog"]
    assert after.sites is before.sites
