"""Drains that a person's key has signed: whose are taken, where and when."""

from __future__ import annotations

import pytest

from gslb.errors import RefusedError
from gslb.trust.emergency import LONGEST_S, MirrorEmergency, SignedOverride, SiteEmergency, opened, signed_override
from gslb.trust.signing import OVERRIDE, Signer, Signers, make_key, public_of, sign
from tests.unit.control.world import NOW_S

KEY, PUBLISHER, STRANGER = make_key(b"a" * 32), make_key(b"p" * 32), make_key(b"s" * 32)
SIGNERS = Signers(
    signers=(Signer.of(public_of(KEY), "ann's", "emergency"), Signer.of(public_of(PUBLISHER), "control", "publisher"))
)


def wanted(**given):
    common = {"id": "ab" * 16, "environment": "test", "action": "drain", "site": "dc"}
    return SiteEmergency(**{**common, "signed_s": NOW_S, "good_until_s": NOW_S + 3600, **given})


def refused(rule, given, environment="test", wall_s=NOW_S):
    with pytest.raises(RefusedError) as caught:
        opened(given, SIGNERS, environment, wall_s)
    assert caught.value.rule == rule


def test_what_an_emergency_key_has_signed_is_taken_with_its_name():
    given = SignedOverride.model_validate_json(signed_override(KEY, wanted()).model_dump_json())
    assert opened(given, SIGNERS, "test", NOW_S) == (wanted(), "ann's")


def test_a_stop_of_mirrors_is_signed_like_a_drain():
    times = {"signed_s": NOW_S, "good_until_s": NOW_S + 3600}
    for action, where in (("mirror-stop", {"app": "shop", "route": "pay"}), ("mirror-start", {})):
        asked = MirrorEmergency(id="ab" * 16, environment="test", action=action, **times, **where)
        assert opened(signed_override(KEY, asked), SIGNERS, "test", NOW_S) == (asked, "ann's")


def test_nobody_else_signs_for_people():
    refused("unknown-signer", signed_override(STRANGER, wanted()))
    refused("unknown-signer", signed_override(PUBLISHER, wanted()))  # a control's key signs bundles alone
    signed = signed_override(KEY, wanted())
    refused("bad-signature", signed.model_copy(update={"override": signed.override.replace('"dc"', '"aws"')}))
    refused("unsigned", signed.model_copy(update={"signature": b""}))
    other = sign(KEY, b"gslb bundle v1", signed.override.encode())
    refused("bad-signature", signed.model_copy(update={"signature": other}))  # signed for another purpose


def test_it_is_bound_to_its_environment_and_its_time():
    refused("other-environment", signed_override(KEY, wanted()), environment="production")
    refused("over", signed_override(KEY, wanted()), wall_s=NOW_S + 3601)
    refused("over", signed_override(KEY, wanted(expires_s=NOW_S + 60)), wall_s=NOW_S + 61)
    refused("early", signed_override(KEY, wanted(signed_s=NOW_S + 301)))
    opened(signed_override(KEY, wanted(signed_s=NOW_S + 299)), SIGNERS, "test", NOW_S)
    long = wanted(good_until_s=NOW_S + LONGEST_S + 1)
    with pytest.raises(RefusedError, match="too-long"):
        signed_override(KEY, long)
    text = long.model_dump_json()
    by_hand = SignedOverride(override=text, signer=SIGNERS.signers[0].id, signature=sign(KEY, OVERRIDE, text.encode()))
    refused("too-long", by_hand)


def test_a_text_that_is_no_override_is_refused_after_its_signature():
    for text in ("{}", "[]", "x", '{"action": "burn"}', wanted().model_dump_json().replace("drain", "mirror-stop")):
        given = SignedOverride(
            override=text, signer=SIGNERS.signers[0].id, signature=sign(KEY, OVERRIDE, text.encode())
        )
        refused("override", given)
