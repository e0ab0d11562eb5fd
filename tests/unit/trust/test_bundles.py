from __future__ import annotations

import json

import pytest

from gslb.errors import RefusedError
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.types import Version
from gslb.trust.bundles import signed, verified_by
from gslb.trust.signing import Signer, Signers, make_key, public_of
from tests.unit.control.world import a_drain, by, intent

KEY = make_key(bytes(range(32)))
SIGNERS = Signers(signers=(Signer.of(public_of(KEY), "berlin"),))


def full():
    drains = (a_drain("dc", reason="öffnen\0 ", expires_s=1.5),)
    given = intent()
    return given.model_copy(update={"overrides": given.overrides.model_copy(update={"version": 7, "drains": drains})})


def test_a_bundle_is_the_intent_that_it_was_made_of():
    bundle = signed(Bundle.of(full()), KEY)
    assert bundle.intent() == full()
    assert bundle.version == Version(1, 7)
    again = Bundle.model_validate_json(bundle.model_dump_json())
    assert again == bundle
    assert verified_by(again, SIGNERS).name == "berlin"


@pytest.mark.parametrize(
    "changed",
    [
        {"revision": 2},
        {"overrides_version": 8},
        {"policy": "{}"},
        {"overrides": "{}"},
        {"signature": b"x" * 64},
    ],
)
def test_nothing_in_it_can_be_changed(changed):
    bundle = signed(Bundle.of(full()), KEY).model_copy(update=changed)
    with pytest.raises(RefusedError) as caught:
        verified_by(bundle, SIGNERS)
    assert caught.value.rule == "bad-signature"


def test_nothing_can_move_from_one_text_to_the_other():
    bundle = signed(Bundle.of(full()), KEY)
    moved = bundle.model_copy(
        update={"policy": bundle.policy + bundle.overrides[:1], "overrides": bundle.overrides[1:]}
    )
    with pytest.raises(RefusedError, match="bad-signature"):
        verified_by(moved, SIGNERS)


def test_an_unsigned_one_says_so():
    with pytest.raises(RefusedError) as caught:
        verified_by(Bundle.of(full()), SIGNERS)
    assert caught.value.rule == "unsigned"


def test_a_revision_keeps_the_text_that_another_gslb_gave_it():
    """Which may not know every field of today: the text of a revision never changes."""
    content = json.loads(intent().policy.model_dump_json())
    del content["apps"]["blog"]["failover"]
    before = Bundle.of(intent()).model_copy(update={"policy": json.dumps(content)})
    assert Bundle.of(full(), before).policy == before.policy
    newer = full().model_copy(update={"revision": 2})
    assert Bundle.of(newer, before).policy == intent().policy.model_dump_json()


def test_overrides_of_another_version_are_no_intent():
    with pytest.raises(ValueError, match="version 7, not 8"):
        Bundle.of(full()).model_copy(update={"overrides_version": 8}).intent()


def test_texts_stay_out_of_what_is_printed():
    assert "shop" not in repr(Bundle.of(full()))
    assert by().author not in repr(Bundle.of(full()))
