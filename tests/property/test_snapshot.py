"""What the compiler promises for every split, shift, expiry, and written word."""

import math

from hypothesis import given
from hypothesis import strategies as st

from gslb.model.words import format_duration, format_endpoint, parse_duration, parse_endpoint
from gslb.snapshot import compile_snapshot, next_expiry_s, probe_targets
from gslb.snapshot.types import WHOLE_BP
from tests.unit.steering.world import CHECK, NOW_S, app, drain, intent, policy, shift

NAMES = ["a", "b", "c", "d"]


@st.composite
def splits(draw):
    """Percentages with two decimals that add up to 100."""
    cuts = sorted(draw(st.lists(st.integers(0, WHOLE_BP), max_size=3)))
    parts = [end - start for start, end in zip([0, *cuts], [*cuts, WHOLE_BP], strict=True)]
    return {name: part / 100 for name, part in zip(draw(st.permutations(NAMES)), parts, strict=False)}


EXPIRY = st.one_of(st.none(), st.integers(-100, 100).map(lambda n: NOW_S + n))


@st.composite
def intents(draw):
    backends = {name: {"check": CHECK, "dc": [f"10.0.0.{n}:80"]} for n, name in enumerate(NAMES)}
    routes = [{"name": f"r{n}", "split": draw(splits())} for n in range(draw(st.integers(1, 3)))]
    shifts = [shift(r["name"], draw(splits()), until_s=draw(EXPIRY)) for r in routes if draw(st.booleans())]
    drains = [
        drain(site, draw(st.sampled_from([None, "shop"])), entry_only=draw(st.booleans()), until_s=draw(EXPIRY))
        for site in draw(st.lists(st.sampled_from(["dc", "aws", "gcp"]), unique=True))
    ]
    return intent(policy(shop=app(backends=backends, routes=routes)), drains, shifts)


@given(intents())
def test_shares_of_every_route_are_whole_and_in_the_order_of_names(wanted):
    for route in compile_snapshot(wanted, NOW_S).apps["shop"].routes:
        assert sum(share.share_bp for share in route.split) == WHOLE_BP
        assert [share.backend for share in route.split] == sorted({share.backend for share in route.split})


@given(intents())
def test_needed_is_exactly_who_has_half_of_some_route_and_nobody_else_is_probed(wanted):
    snapshot = compile_snapshot(wanted, NOW_S)
    shop = snapshot.apps["shop"]
    half = {share.backend for route in shop.routes for share in route.split if share.share_bp >= WHOLE_BP // 2}
    assert set(shop.needed) == half
    assert {target.backend for target in probe_targets(snapshot)} == (half or {None})


@given(intents(), st.integers(-150, 150))
def test_nothing_changes_before_the_next_expiry_and_what_changed_shows_in_the_digest(wanted, offset_s):
    wall_s = NOW_S + offset_s
    now, due_s = compile_snapshot(wanted, wall_s), next_expiry_s(wanted, wall_s)
    later = compile_snapshot(wanted, due_s - 0.001 if due_s is not None else wall_s + 1e9)
    assert later == now
    if due_s is not None:
        then = compile_snapshot(wanted, due_s)
        assert (then == now) == (then.digest == now.digest)


@given(intents(), intents())
def test_digests_are_equal_exactly_when_the_contents_are(one, other):
    first, second = compile_snapshot(one, NOW_S), compile_snapshot(other, NOW_S)
    assert (first == second) == (first.digest == second.digest)


@given(st.floats(0.0005, 1e8))
def test_a_duration_survives_being_written(seconds):
    assert parse_duration(format_duration(seconds)) == seconds


@given(st.one_of(st.text(max_size=20), st.from_regex(r"([0-9.]{1,6}(ms|s|m|h|d)){1,3}", fullmatch=True)))
def test_any_text_is_a_duration_or_a_value_error(text):
    try:
        seconds = parse_duration(text)
    except ValueError:
        return
    assert seconds >= 0
    assert math.isfinite(seconds)


HOSTS = st.one_of(st.ip_addresses().map(str), st.sampled_from(["app2.dc.internal", "localhost"]))


@given(HOSTS, st.integers(1, 65535))
def test_an_endpoint_survives_being_written(host, port):
    assert parse_endpoint(format_endpoint(host, port)) == (host, port)
