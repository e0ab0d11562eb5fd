"""A certificate that has ended, and the one that follows it: who may ask, when, and by what proof."""

from __future__ import annotations

import pytest

from gslb.errors import RefusedError
from gslb.trust.authority import IDENTITY_LIFE_S, ISSUER_LIFE_S, make_request, pem_of
from gslb.trust.renewal import proof_of, who_proves
from gslb.trust.state import GRACE_S
from tests.unit.trust.certificates import DAY_S, NOW_S, issuer, key, leaf, root

CSR = make_request(key(9))
CHAIN = pem_of(leaf(), issuer().certificate)
ROOTS = (root().certificate,)


def ask(chain=CHAIN, csr=CSR, signer=2, wall_s=NOW_S + 2 * DAY_S, proof=None, roots=ROOTS):
    return who_proves(chain, csr, proof if proof is not None else proof_of(key(signer), csr), roots, wall_s)


@pytest.mark.parametrize(
    "wall_s", [NOW_S, NOW_S + DAY_S, NOW_S + ISSUER_LIFE_S + DAY_S, NOW_S + IDENTITY_LIFE_S + GRACE_S]
)
def test_who_has_the_old_key_is_known_until_the_grace_is_over(wall_s):
    identity, made_s = ask(wall_s=wall_s)
    assert (identity.process, made_s) == ("dns", NOW_S)


@pytest.mark.parametrize(
    ("given", "rule"),
    [
        ({"wall_s": NOW_S + IDENTITY_LIFE_S + GRACE_S + 1}, "certificate-too-old"),
        ({"signer": 9}, "certificate-proof"),
        ({"proof": ""}, "certificate-proof"),
        ({"proof": "ü"}, "certificate-proof"),
        ({"proof": "AAAA"}, "certificate-proof"),
        ({"proof": proof_of(key(2), make_request(key(8)))}, "certificate-proof"),
        ({"chain": ""}, "certificate"),
        ({"chain": pem_of(leaf())}, "chain"),
        ({"chain": pem_of(issuer().certificate), "signer": 1}, "chain"),
        ({"roots": (root(number=5).certificate,)}, "chain"),
    ],
)
def test_who_is_refused(given, rule):
    with pytest.raises(RefusedError) as told:
        ask(**given)
    assert told.value.rule == rule


def test_a_proof_is_for_one_request():
    proof = proof_of(key(2), CSR)
    assert ask(proof=proof)
    with pytest.raises(RefusedError, match="certificate-proof"):
        ask(csr=make_request(key(8)), proof=proof)
