"""Tables that are taken over from another snapshot are those that composing would give."""

import ipaddress

from hypothesis import given
from hypothesis import strategies as st

from gslb.control.changes import shift
from gslb.dns.compose import compose, recompose
from gslb.snapshot import Compiler
from gslb.snapshot.intent import Provenance
from gslb.snapshot.types import LiveState, Verdict
from tests.property.test_compiler import INTENTS, NOW_S, OVERRIDES

ADDRESSES = [ipaddress.ip_address(f"192.0.2.{number}") for number in (10, 11, 12)]
VERDICTS = st.dictionaries(
    st.tuples(st.sampled_from(["shop", "blog"]), st.sampled_from(ADDRESSES)),
    st.sampled_from(["up", "down"]).map(lambda state: Verdict(state, "seen", 0.0)),
)
LIVE = VERDICTS.map(lambda verdicts: LiveState(1, verdicts))


@given(INTENTS, OVERRIDES, LIVE, LIVE)
def test_other_overrides_and_verdicts_give_the_tables_that_composing_would(intent, overrides, live, later):
    compiler = Compiler()
    old = compiler.compile(intent, NOW_S)
    new = compiler.compile(intent.model_copy(update={"overrides": overrides}), NOW_S)
    again = recompose(compose(old, live), old, new, later)
    assert again is None or again == compose(new, later)


@given(INTENTS, LIVE)
def test_a_shift_moves_no_answer(intent, live):
    compiler = Compiler()
    old = compiler.compile(intent, NOW_S)
    tables = compose(old, live)
    new = compiler.compile(shift(intent, "shop", "pay", {"b": 30}, Provenance(at_s=NOW_S)), NOW_S)
    again = recompose(tables, old, new, live)
    assert again is not None
    assert again.pools is tables.pools
    assert again == compose(new, live)


@given(INTENTS, LIVE)
def test_another_policy_is_composed(intent, live):
    compiler = Compiler()
    old = compiler.compile(intent, NOW_S)
    new = compiler.compile(intent.model_copy(update={"revision": intent.revision + 1}), NOW_S)
    assert recompose(compose(old, live), old, new, live) is None
