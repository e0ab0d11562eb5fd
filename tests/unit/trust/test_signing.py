from __future__ import annotations

import pytest
from pydantic import ValidationError

from gslb.errors import RefusedError
from gslb.trust.signing import (
    BUNDLE,
    OVERRIDE,
    SIGNERS_LIMIT,
    Signer,
    Signers,
    key_id,
    make_key,
    octets_of,
    public_of,
    sign,
)

KEY, OTHER = make_key(bytes(range(32))), make_key(b"o" * 32)
ID = key_id(public_of(KEY))
SIGNERS = Signers(signers=(Signer.of(public_of(KEY), "berlin"), Signer.of(public_of(OTHER), "ann", "emergency")))
WORDS = b"what is signed"


def rule(signers, *given, **kinds):
    with pytest.raises(RefusedError) as caught:
        signers.verify(*given, **kinds)
    assert caught.value.remedy
    return caught.value.rule


def test_what_a_believed_key_signed_is_believed():
    assert SIGNERS.verify(ID, BUNDLE, WORDS, sign(KEY, BUNDLE, WORDS)).name == "berlin"


def test_a_key_is_its_octets():
    assert octets_of(make_key(octets_of(KEY))) == bytes(range(32))
    assert public_of(make_key(bytes(range(32)))) == public_of(KEY)


def test_the_empty_octets_can_be_signed():
    assert SIGNERS.verify(ID, BUNDLE, b"", sign(KEY, BUNDLE, b""))


@pytest.mark.parametrize("place", range(64))
def test_no_bit_of_a_signature_may_change(place):
    signature = bytearray(sign(KEY, BUNDLE, WORDS))
    signature[place] ^= 1
    assert rule(SIGNERS, ID, BUNDLE, WORDS, bytes(signature)) == "bad-signature"


@pytest.mark.parametrize(
    ("signature", "said"),
    [
        (sign(KEY, OVERRIDE, WORDS), "bad-signature"),
        (sign(KEY, BUNDLE, WORDS + b"!"), "bad-signature"),
        (sign(OTHER, BUNDLE, WORDS), "bad-signature"),
        (sign(KEY, BUNDLE, WORDS)[:-1], "bad-signature"),
        (b"", "unsigned"),
    ],
)
def test_what_was_signed_otherwise_is_refused(signature, said):
    assert rule(SIGNERS, ID, BUNDLE, WORDS, signature) == said


def test_purposes_do_not_run_into_what_is_signed():
    """Without a length between them, two different pairs would be the same octets."""
    assert rule(SIGNERS, ID, BUNDLE[:-1], BUNDLE[-1:] + WORDS, sign(KEY, BUNDLE, WORDS)) == "bad-signature"


def test_who_is_not_among_the_signers_signs_nothing():
    signature = sign(KEY, BUNDLE, WORDS)
    assert rule(SIGNERS.without(ID), ID, BUNDLE, WORDS, signature) == "unknown-signer"
    assert rule(Signers(), ID, BUNDLE, WORDS, signature) == "unknown-signer"
    assert rule(SIGNERS, "", BUNDLE, WORDS, signature) == "unsigned"


def test_a_key_signs_only_what_its_kind_may():
    other = key_id(public_of(OTHER))
    signature = sign(OTHER, OVERRIDE, WORDS)
    assert rule(SIGNERS, other, OVERRIDE, WORDS, signature) == "unknown-signer"
    assert SIGNERS.verify(other, OVERRIDE, WORDS, signature, ("emergency",)).name == "ann"
    assert SIGNERS.verify(other, OVERRIDE, WORDS, signature, ("publisher", "emergency")).kind == "emergency"


def test_a_key_cannot_be_called_what_it_is_not():
    with pytest.raises(ValidationError, match="is called"):
        Signer(id=ID, public=public_of(OTHER))


def test_signers_are_added_replaced_and_taken_away():
    renamed = SIGNERS.with_signer(Signer.of(public_of(KEY), "munich"))
    assert [signer.name for signer in renamed.signers] == ["ann", "munich"]
    assert SIGNERS.knows(ID)
    assert not SIGNERS.without(ID).knows(ID)


def test_they_are_read_back_from_json_and_are_not_without_number():
    assert Signers.model_validate_json(SIGNERS.model_dump_json()) == SIGNERS
    many = [Signer.of(public_of(make_key(n.to_bytes(32)))) for n in range(SIGNERS_LIMIT + 1)]
    with pytest.raises(ValidationError):
        Signers(signers=tuple(many))
    with pytest.raises(ValidationError):
        Signer.model_validate({"id": ID, "public": "AAAA"})
