"""The list of believed keys as the store keeps it, and how two edits of it come together."""

import json

import pytest

from gslb.errors import RefusedError
from gslb.trust.signer_list import merged, opened_list, signed_list, told_number
from gslb.trust.signing import Signer, Signers, make_key, public_of

ONE, OTHER, ANN, BOB = (make_key(bytes([number]) * 32) for number in range(1, 5))


def signer(key, kind="publisher"):
    return Signer.of(public_of(key), "", kind)


def listed(*keys, number=3):
    return Signers(number=number, signers=tuple(signer(key) for key in keys))


def test_what_a_believed_publisher_signed_is_opened():
    wanted = listed(ONE, OTHER, number=7)
    assert opened_list(signed_list(wanted, ONE), listed(ONE)) == wanted
    assert told_number(signed_list(wanted, OTHER)) == 7


@pytest.mark.parametrize(
    ("octets", "believed", "rule"),
    [
        (signed_list(listed(ONE), OTHER), listed(ONE), "unknown-signer"),
        (signed_list(listed(ONE), ANN), Signers(signers=(signer(ANN, "emergency"),)), "unknown-signer"),
        (signed_list(listed(ONE), ONE).replace(b'number\\":3', b'number\\":4'), listed(ONE), "bad-signature"),
        (b"{}", listed(ONE), "bad-signers"),
        (b"\xff", listed(ONE), "bad-signers"),
    ],
)
def test_what_nobody_who_is_believed_signed_is_not(octets, believed, rule):
    with pytest.raises(RefusedError) as refused:
        opened_list(octets, believed)
    assert refused.value.rule == rule


def test_what_does_not_read_has_no_number():
    assert told_number(b"") == told_number(json.dumps({"text": "x", "signer": "", "signature": ""}).encode()) == 0


def test_what_was_added_and_taken_meanwhile_is_both_kept():
    base, newer = listed(ONE, ANN), listed(ONE, ANN, OTHER, number=9)
    made = merged(newer, listed(ONE, BOB), base)
    assert {one.id for one in made.signers} == {signer(key).id for key in (ONE, OTHER, BOB)}
    assert made.number == 9
    assert merged(newer, base, base) is newer
    assert merged(newer, listed(ONE, ANN, OTHER), base) is newer, "both did the same"
