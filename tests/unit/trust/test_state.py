"""What controls share about trust, as a value."""

from __future__ import annotations

import hashlib

import pytest
from cryptography.hazmat.primitives import serialization

from gslb.errors import RefusedError
from gslb.snapshot.intent import Provenance
from gslb.trust.authority import ISSUER_LIFE_S, pem_of
from gslb.trust.state import ISSUERS_KEPT, Issuer, Operator, TrustState, key_hash, read_state
from tests.unit.trust.certificates import DOMAIN, NOW_S, issuer, key, root

BY = Provenance(at_s=NOW_S, expires_s=NOW_S + 1)


def sealed(number=1):
    return Issuer(certificate=pem_of(issuer(number=number).certificate), sealed=b"sealed \xff")


def state(**given):
    return TrustState(**{"domain": DOMAIN, "roots": (pem_of(root().certificate),), "issuers": (sealed(),), **given})


def test_it_reads_back_with_what_a_newer_gslb_has_added():
    made = state(operators={"ann": Operator(role="viewer", key="0" * 64, by=BY)})
    text = made.model_dump_json()
    assert read_state(text.encode()) == made
    newer = text.replace('"domain"', '"new": {"a": 1}, "domain"')
    assert '"new":{"a":1}' in read_state(newer.encode()).with_operator("ann", None).model_dump_json()
    assert "sealed" not in repr(made.issuers[0]).replace("sealed=", "")


@pytest.mark.parametrize(
    "octets",
    [
        b"", b"{}", b"null", b"\xff",
        state().model_dump_json().replace("BEGIN CERTIFICATE", "BEGIN X").encode(),
        state().model_dump_json().encode()[:-40],
    ],
)  # fmt: skip
def test_damage(octets):
    with pytest.raises(RefusedError, match="trust-damaged"):
        read_state(octets)


def test_the_newest_issuer_signs_and_the_last_ones_are_kept():
    made, issuers = state(), [sealed(number) for number in range(2, 9)]
    for one in issuers:
        made = made.issued_by(one)
    assert made.issuers == tuple(reversed(issuers))[:ISSUERS_KEPT]
    assert made.issuer_ends_s() == NOW_S + ISSUER_LIFE_S
    assert made.issuer_due_s() == NOW_S + ISSUER_LIFE_S / 2
    assert made.bundle == made.roots[0] == pem_of(*made.root_certificates)


def test_people_come_and_go():
    one = Operator(role="operator", apps=("shop",), key="1" * 64, by=BY)
    made = state().with_operator("ann", one).with_operator("bob", one)
    assert set(made.operators) == {"ann", "bob"}
    assert set(made.with_operator("ann", None).operators) == {"bob"}
    assert made.with_operator("nobody", None) == made


def test_the_hash_of_a_key():
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    der = key(3).public_key().public_bytes(serialization.Encoding.DER, form)
    assert key_hash(key(3).public_key()) == hashlib.sha256(der).hexdigest()
