"""The table of states, wait by wait; that the whole keeps every cache valid is a property (tests/property)."""

import pytest

from gslb.control.dnskeys import rollover
from gslb.control.dnskeys.rollover import DS_TTL_S, PROPAGATION_S, Times
from gslb.errors import RefusedError
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Key
from tests.unit.control.world import POLICY, intent, policy

T0 = 1_000_000.0
TIMES = Times(longest_ttl_s=7200, dnskey_ttl_s=3600, propagation_s=300)


def key(role, state, number=1, ds_ttl_s=None):
    public = number.to_bytes(64)
    return Key(role=role, algorithm=13, public=public, private="v1:", state=state, since_s=T0, ds_ttl_s=ds_ttl_s)


def states(keys):
    return [(key.role, key.state) for key in keys]


@pytest.mark.parametrize(
    ("role", "state", "ds_ttl_s", "wait_s", "after"),
    [
        ("zsk", "published", None, 3600, ["active"]),
        ("zsk", "retired", None, 86_400, []),
        ("ksk", "new", None, 7200, ["ready"]),
        ("ksk", "confirmed", 900, 900, ["active"]),
        ("ksk", "retiring", None, 3600, ["withdrawn"]),
    ],
)
def test_a_wait_is_over_to_the_second(role, state, ds_ttl_s, wait_s, after):
    keys = (key(role, state, ds_ttl_s=ds_ttl_s),)
    over_s = T0 + wait_s + 300
    assert rollover.due_s(keys[0], TIMES) == over_s
    assert rollover.step(keys, over_s - 1, TIMES) == keys
    stepped = rollover.step(keys, over_s, TIMES)
    assert [key.state for key in stepped] == after
    assert all(key.since_s == over_s for key in stepped)


@pytest.mark.parametrize(
    ("role", "state"),
    [("zsk", "active"), ("ksk", "active"), ("ksk", "ready"), ("ksk", "announced"), ("ksk", "withdrawn")],
)
def test_what_waits_for_a_person_or_for_nothing_does_not_step(role, state):
    keys = (key(role, state),)
    assert rollover.due_s(keys[0], TIMES) is None
    assert rollover.step(keys, T0 + 1e9, TIMES) == keys


def test_an_old_zone_signing_key_stays_as_long_as_the_longest_ttl():
    assert rollover.due_s(key("zsk", "retired"), Times(longest_ttl_s=200_000)) == T0 + 200_000 + PROPAGATION_S


def test_the_new_key_takes_the_place_of_the_active_one_of_its_role():
    keys = (key("ksk", "active", 1), key("zsk", "active", 2), key("zsk", "published", 3))
    assert states(rollover.step(keys, T0 + 4000, TIMES)) == [("ksk", "active"), ("zsk", "retired"), ("zsk", "active")]
    keys = (key("ksk", "active", 1), key("zsk", "active", 2), key("ksk", "confirmed", 3, ds_ttl_s=60))
    assert states(rollover.step(keys, T0 + 400, TIMES)) == [("ksk", "retiring"), ("zsk", "active"), ("ksk", "active")]


@pytest.mark.parametrize(
    ("state", "event", "after"),
    [
        ("new", "ds-seen", ["active"]),
        ("ready", "ds-seen", ["active"]),
        ("announced", "ds-seen", ["confirmed"]),
        ("confirmed", "ds-seen", ["confirmed"]),
        ("confirmed", "ds-gone", ["announced"]),
        ("active", "ds-seen", ["active"]),
        ("active", "ds-gone", ["active"]),
        ("retiring", "ds-gone", ["retiring"]),
        ("withdrawn", "ds-seen", ["withdrawn"]),
        ("withdrawn", "ds-gone", []),
    ],
)
def test_what_the_parent_shows(state, event, after):
    keys = (key("ksk", state),)
    assert [item.state for item in rollover.hear(keys, keys[0], event, T0 + 5)] == after


def test_how_long_caches_keep_the_parents_old_answer():
    keys = (key("ksk", "announced"), key("ksk", "active", 2))
    told = rollover.hear(keys, keys[0], "ds-seen", T0 + 5, 600)
    assert rollover.due_s(told[0], TIMES) == T0 + 5 + 600 + 300
    assumed = rollover.hear(keys, keys[0], "ds-seen", T0 + 5)
    assert rollover.due_s(assumed[0], TIMES) == T0 + 5 + DS_TTL_S + 300
    taken_back = rollover.hear(assumed, assumed[0], "ds-gone", T0 + 9)
    assert (taken_back[0].state, taken_back[0].ds_ttl_s, taken_back[1]) == ("announced", None, keys[1])


def test_the_parent_says_nothing_of_zone_signing_keys():
    keys = (key("zsk", "retired"),)
    assert rollover.hear(keys, keys[0], "ds-gone", T0) == keys


def test_a_roll_begins_beside_the_active_key():
    keys = (key("ksk", "active", 1), key("zsk", "active", 2))
    assert states(rollover.roll(keys, key("zsk", "active", 3), T0 + 1))[2:] == [("zsk", "published")]
    begun = rollover.roll(keys, key("ksk", "active", 3), T0 + 1)
    assert states(begun) == [("ksk", "active"), ("zsk", "active"), ("ksk", "announced")]
    assert begun[2].since_s == T0 + 1


@pytest.mark.parametrize(
    ("role", "state", "message"),
    [
        ("zsk", "published", "a roll of the zsk is under way already"),
        ("zsk", "retired", "a roll of the zsk is under way already"),
        ("ksk", "withdrawn", "a roll of the ksk is under way already"),
        ("ksk", "ready", "the first key-signing key has no DS record in the parent zone yet"),
        ("ksk", "new", "the first key-signing key has no DS record in the parent zone yet"),
    ],
)
def test_one_roll_at_a_time(role, state, message):
    keys = (key(role, "active", 1), key(role, state, 2))
    with pytest.raises(RefusedError, match=message) as refused:
        rollover.roll(keys, key(role, "active", 3), T0)
    assert refused.value.rule == "roll-under-way"


def test_a_zone_that_is_signed_again_starts_as_new_and_gives_up_a_roll():
    keys = (key("ksk", "retiring", 1), key("zsk", "active", 2), key("zsk", "published", 3), key("ksk", "active", 4))
    resumed = rollover.resume(keys, T0 + 9)
    assert states(resumed) == [("ksk", "new"), ("zsk", "active"), ("zsk", "published")]
    assert (resumed[0].public, resumed[0].since_s) == (keys[3].public, T0 + 9)


def test_waits_start_again_where_a_nameserver_was_behind():
    keys = (key("ksk", "announced", 1), key("zsk", "active", 2), key("zsk", "published", 3))
    assert [item.since_s for item in rollover.restart(keys, T0 + 9)] == [T0, T0, T0 + 9]


def test_the_longest_ttl_of_a_zone_counts_what_is_steered_and_what_is_static():
    def longest(zone, **apps):
        made = policy(zone={**POLICY["zone"], **zone}, apps={"blog": {**POLICY["apps"]["blog"], **apps}})
        snapshot = compile_snapshot(intent().model_copy(update={"policy": made}), T0)
        return rollover.times_of(snapshot, snapshot.zone).longest_ttl_s

    assert longest({}) == 3600
    assert longest({"ttl": "2h"}) == 7200
    assert longest({}, ttl="3h") == 10_800
    lines = "\n".join(
        rf"{name}.gslb.example.com {ttl} IN TYPE16 \# 3 026869" for name, ttl in [("a", 9), ("b", 90_000)]
    )
    assert longest({"records": lines}) == 90_000
