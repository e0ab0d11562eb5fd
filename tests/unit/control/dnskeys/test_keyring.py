"""Keys of an Intent: when they are made, what changes them, and what is refused."""

import dataclasses
import itertools

import pytest

from gslb.control import changes
from gslb.control.dnskeys import keyring, rollover
from gslb.control.dnskeys.rollover import Times
from gslb.dns.dnssec.keys import dnskey_rdata, ds_rdata
from gslb.errors import PolicyError, RefusedError
from gslb.model.wire_name import from_text
from gslb.snapshot import compile_snapshot
from gslb.snapshot.types import ZoneKey
from tests.unit.control.world import NOW_S, POLICY, a_drain, intent, policy

ZONE = "gslb.example.com"
OTHER = {"name": "Other.example.", "nameservers": {"ns1": ["198.51.100.53"]}, "dnssec": True}
DAY_S = 86_400


NUMBERS = itertools.count(1)


class Maker:
    """Keys that can be told apart and sign nothing."""

    def __init__(self, *numbers):
        self.numbers = itertools.chain(numbers, NUMBERS)
        self.made = 0

    def __call__(self, zone, role, algorithm):
        self.made += 1
        public = next(self.numbers).to_bytes(64)
        return ZoneKey(role, algorithm, public, f"v1:{zone}/{role}/{self.made}", False, False, False)


def signed_policy(dnssec=True, **changed):
    return policy(zone={**POLICY["zone"], "dnssec": dnssec}, **changed)


def signed(dnssec=True, make=None, **changed):
    """A zone that has just got its keys."""
    after = changes.set_policy(intent(), signed_policy(dnssec, **changed))
    return keyring.fit(intent(), after, make or Maker(), NOW_S)


def settled(dnssec=True):
    """A zone whose keys are in their places, DS record and all."""
    return keyring.tell(signed(dnssec), ZONE, "ds-seen", NOW_S)


def applied(before, wanted, at_s=NOW_S, make=None):
    return keyring.fit(before, changes.set_policy(before, wanted), make or Maker(), at_s)


def states(made, zone=ZONE):
    return sorted((key.role, key.state) for key in made.overrides.keys[zone])


def ds_of(made, state, zone=ZONE):
    key = next(key for key in made.overrides.keys[zone] if key.role == "ksk" and key.state == state)
    return ds_rdata(from_text(zone), dnskey_rdata(keyring.zone_key(key)))


def test_a_zone_gets_its_keys_in_the_change_that_asks_for_them():
    made = signed(zones=[OTHER])
    assert states(made) == states(made, "other.example") == [("ksk", "new"), ("zsk", "active")]
    assert (made.revision, made.overrides.version) == (2, 1)
    for zone in (compile_snapshot(made, NOW_S).zone, *compile_snapshot(made, NOW_S).zones):
        assert [(key.role, key.published, key.signs, key.announced) for key in zone.keys] == [
            ("ksk", True, True, False), ("zsk", True, True, False),
        ]  # fmt: skip


def test_keys_are_made_once_and_kept_by_every_other_change():
    made = signed()
    assert keyring.fit(made, made, Maker(), NOW_S) is made
    again = applied(changes.drain(made, a_drain("dc")), signed_policy(environment="other"))
    assert again.overrides.keys == made.overrides.keys
    assert again.overrides.version == made.overrides.version + 1


def test_the_first_policy_of_all_may_sign():
    made = applied(None, signed_policy())
    assert states(made) == [("ksk", "new"), ("zsk", "active")]


def test_the_algorithm_is_the_policys():
    assert {key.algorithm for key in signed().overrides.keys[ZONE]} == {13}
    assert {key.algorithm for key in signed({"algorithm": "ed25519"}).overrides.keys[ZONE]} == {15}


def test_a_signed_zone_keeps_its_algorithm():
    with pytest.raises(RefusedError, match=r"gslb.example.com is signed with ecdsa-p256") as refused:
        applied(signed(), signed_policy({"algorithm": "ed25519"}))
    assert refused.value.rule == "dnssec-algorithm"


def test_an_unsigned_zone_takes_up_another_algorithm_with_new_keys():
    unsigned = applied(settled(), signed_policy(False))
    made = applied(unsigned, signed_policy({"algorithm": "ed25519"}))
    assert {key.algorithm for key in made.overrides.keys[ZONE]} == {15}
    assert states(made) == [("ksk", "new"), ("zsk", "active")]


def test_a_zone_that_is_not_signed_any_more_keeps_its_keys_unused():
    before = settled()
    after = applied(before, signed_policy(False))
    assert keyring.no_longer_signed(before, after) == [ZONE]
    assert keyring.no_longer_signed(None, before) == keyring.no_longer_signed(before, before) == []
    assert after.overrides.keys == before.overrides.keys
    assert compile_snapshot(after, NOW_S).zone.keys == ()
    again = applied(after, signed_policy(), NOW_S + 50)
    assert states(again) == [("ksk", "new"), ("zsk", "active")]
    assert {key.public for key in again.overrides.keys[ZONE]} == {key.public for key in before.overrides.keys[ZONE]}


def test_a_zone_that_goes_and_comes_back_has_its_keys():
    with_other = applied(intent(), policy(zones=[OTHER]))
    without = applied(with_other, policy())
    back = applied(without, policy(zones=[OTHER]))
    assert back.overrides.keys["other.example"] == with_other.overrides.keys["other.example"]


def test_a_change_of_keys_is_no_change_of_policy():
    before = settled()
    after = keyring.begin_roll(before, ZONE, "zsk", Maker(), NOW_S)
    assert (after.revision, after.overrides.version) == (before.revision, before.overrides.version + 1)
    assert after.policy is before.policy


@pytest.mark.parametrize("zone", [ZONE, "GSLB.example.com."])
def test_a_roll_of_the_zone_signing_key(zone):
    make = Maker()
    rolling = keyring.begin_roll(settled(), zone, "zsk", make, NOW_S)
    assert states(rolling) == [("ksk", "active"), ("zsk", "active"), ("zsk", "published")]
    times = {ZONE: Times(3600)}
    assert keyring.advance(rolling, times, make, NOW_S + 60) is rolling
    assert keyring.advance(rolling, {}, make, NOW_S + DAY_S) is rolling
    signing = keyring.advance(rolling, times, make, NOW_S + 2 * 3600)
    assert states(signing) == [("ksk", "active"), ("zsk", "active"), ("zsk", "retired")]
    done = keyring.advance(signing, times, make, NOW_S + 2 * DAY_S)
    assert states(done) == [("ksk", "active"), ("zsk", "active")]
    assert make.made == 1


def test_a_roll_of_the_key_signing_key_on_the_operators_word():
    times = {ZONE: Times(3600)}
    rolling = keyring.begin_roll(settled(), ZONE, "ksk", Maker(), NOW_S)
    assert [key.announced for key in compile_snapshot(rolling, NOW_S).zone.keys] == [True, False, True]
    seen = keyring.tell(rolling, ZONE, "ds-seen", NOW_S + 10)
    assert states(seen) == [("ksk", "active"), ("ksk", "confirmed"), ("zsk", "active")]
    swapped = keyring.advance(seen, times, Maker(), NOW_S + 2 * DAY_S)
    withdrawn = keyring.advance(swapped, times, Maker(), NOW_S + 3 * DAY_S)
    assert states(withdrawn) == [("ksk", "active"), ("ksk", "withdrawn"), ("zsk", "active")]
    assert [(key.role, key.announced) for key in compile_snapshot(withdrawn, NOW_S).zone.keys] == [
        ("zsk", False), ("ksk", True),
    ]  # fmt: skip
    assert states(keyring.tell(withdrawn, ZONE, "ds-gone", NOW_S)) == [("ksk", "active"), ("zsk", "active")]


def test_what_the_parent_shows_moves_a_roll():
    rolling = keyring.begin_roll(settled(), ZONE, "ksk", Maker(), NOW_S)
    assert keyring.ask_for(settled()) == []
    assert keyring.ask_for(rolling) == keyring.ask_for(signed()) == [ZONE]
    old, new = ds_of(rolling, "active"), ds_of(rolling, "announced")
    assert keyring.observe(rolling, ZONE, [old], [old], (NOW_S, 600)) is rolling
    assert keyring.observe(rolling, ZONE, [old], [old, new], (NOW_S, 600)) is rolling
    seen = keyring.observe(rolling, ZONE, [old, new], [old, new], (NOW_S, 600))
    assert states(seen) == [("ksk", "active"), ("ksk", "confirmed"), ("zsk", "active")]
    assert keyring.observe(seen, ZONE, [old], [old, new], (NOW_S, 600)) is seen
    assert states(keyring.observe(seen, ZONE, [old], [old], (NOW_S, 600))) == states(rolling)
    times = {ZONE: Times(3600)}
    withdrawn = keyring.advance(keyring.advance(seen, times, Maker(), NOW_S + 5000), times, Maker(), NOW_S + DAY_S)
    assert keyring.observe(withdrawn, ZONE, [new], [old, new], (NOW_S, 600)) is withdrawn
    assert states(keyring.observe(withdrawn, ZONE, [new], [new], (NOW_S, 600))) == states(settled())


def test_an_observation_of_a_zone_that_is_not_signed_means_nothing():
    assert keyring.observe(intent(), ZONE, [], [], (NOW_S, None)) == intent()


@pytest.mark.parametrize("event", ["ds-seen", "ds-gone"])
def test_nobody_waits_for_the_parent(event):
    with pytest.raises(RefusedError) as refused:
        keyring.tell(settled(), ZONE, event, NOW_S)
    assert refused.value.rule == "not-waiting"


def test_a_zone_that_is_not_there_or_not_signed_cannot_be_rolled():
    with pytest.raises(PolicyError, match=r"there is no zone 'gslb.example.org'"):
        keyring.begin_roll(settled(), "gslb.example.org", "zsk", Maker(), NOW_S)
    with pytest.raises(RefusedError, match="is not signed") as refused:
        keyring.begin_roll(intent(), ZONE, "zsk", Maker(), NOW_S)
    assert refused.value.rule == "not-signed"


def test_zone_signing_keys_roll_by_themselves_where_the_policy_says_so():
    before, times, make = settled({"zsk_lifetime": "7d"}), {ZONE: Times(3600)}, Maker()
    assert keyring.advance(before, times, make, NOW_S + 6 * DAY_S) is before
    rolling = keyring.advance(before, times, make, NOW_S + 7 * DAY_S)
    assert states(rolling) == [("ksk", "active"), ("zsk", "active"), ("zsk", "published")]
    assert keyring.advance(rolling, times, make, NOW_S + 7 * DAY_S + 60) is rolling
    forever = settled()
    assert keyring.advance(forever, times, make, NOW_S + 5000 * DAY_S) is forever


def test_keys_of_a_zone_never_share_a_tag():
    before = settled()
    zsk = next(key for key in before.overrides.keys[ZONE] if key.role == "zsk")
    taken = int.from_bytes(zsk.public)
    make = Maker(taken, taken)
    assert len(keyring.begin_roll(before, ZONE, "zsk", make, NOW_S).overrides.keys[ZONE]) == 3
    assert make.made == 3


def test_waits_start_again():
    rolling = keyring.begin_roll(settled(), ZONE, "zsk", Maker(), NOW_S)
    late = keyring.restart(rolling, NOW_S + 1000)
    assert [rollover.due_s(key, Times(3600)) for key in late.overrides.keys[ZONE]] == [None, None, NOW_S + 1000 + 3900]
    assert keyring.restart(intent(), NOW_S) == intent()


def test_sealing_anew_changes_nothing_else():
    before = applied(settled(), signed_policy(False))

    def again(zone, key):
        return dataclasses.replace(key, private=f"v1:again/{zone}")

    after = keyring.reseal(before, again)
    assert {key.private for key in after.overrides.keys[ZONE]} == {f"v1:again/{ZONE}"}
    assert states(after) == states(before)
    assert keyring.reseal(after, lambda _zone, key: key) is after


def test_no_text_of_an_intent_shows_what_is_sealed():
    made = signed()
    assert "v1:" in made.model_dump_json()
    assert "v1:" not in repr(made)
    assert "v1:" not in str(made)
