"""What the controls of an installation share about trust: the document `trust`. Pure.

Roots, issuers with their sealed keys, and the people whose client certificates are believed. Which machines belong to
the installation stands in the registry, one-time tokens in documents of their own.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Annotated

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gslb.errors import RefusedError
from gslb.model.words import Name
from gslb.snapshot.intent import AccessRole, Provenance
from gslb.trust.authority import IDENTITY_LIFE_S, certificates_of, half_life_s, lifetime_s, pem_of

__all__ = ["DOCUMENT", "GRACE_S", "PURPOSE", "Issuer", "Operator", "TrustState", "key_hash", "read_state"]

DOCUMENT = "trust"
PURPOSE = "issuer key"
"""Of the envelope around it."""
GRACE_S = 180 * 86400.0
"""So long after its end a certificate of a machine that still belongs to the installation gets a new one, against a
proof of its key: twice the life of an issuer, so that who was off for one comes back alone (ADR 14)."""
ISSUERS_KEPT = 4

_MODEL = ConfigDict(frozen=True, extra="allow", ser_json_bytes="base64", val_json_bytes="base64")


class Issuer(BaseModel):
    """`certificate` in PEM; `sealed` is its private key in an envelope of the installation's secret."""

    model_config = _MODEL

    certificate: str
    sealed: bytes = Field(repr=False)

    @property
    def read(self) -> x509.Certificate:
        return certificates_of(self.certificate)[0]


class Operator(BaseModel):
    """A person whose client certificate is believed: the one with this public key, and no other of that name. `key` is
    the SHA-256 of the key as in RFC 7469 section 2.4, in hex. `by.expires_s` is when the certificate ends."""

    model_config = _MODEL

    role: AccessRole
    apps: tuple[Name, ...] = ()
    key: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    by: Provenance


class TrustState(BaseModel):
    """`roots` in PEM, all of them believed. `issuers`: the first one signs, the others have signed what may still be in
    use. `life_s`: how long a role process's certificate is good."""

    model_config = _MODEL

    domain: str
    roots: Annotated[tuple[str, ...], Field(min_length=1, max_length=8)]
    issuers: Annotated[tuple[Issuer, ...], Field(min_length=1, max_length=ISSUERS_KEPT)]
    operators: Mapping[str, Operator] = {}
    life_s: Annotated[float, Field(ge=60.0)] = IDENTITY_LIFE_S

    @property
    def root_certificates(self) -> tuple[x509.Certificate, ...]:
        return tuple(certificate for root in self.roots for certificate in certificates_of(root))

    @property
    def bundle(self) -> str:
        """What every node believes, in PEM."""
        return pem_of(*self.root_certificates)

    def issued_by(self, issuer: Issuer) -> TrustState:
        """From now on `issuer` signs."""
        return self.model_copy(update={"issuers": (issuer, *self.issuers)[:ISSUERS_KEPT]})

    def with_operator(self, name: str, operator: Operator | None) -> TrustState:
        """None: the person is believed no more."""
        others = {one: known for one, known in self.operators.items() if one != name}
        return self.model_copy(update={"operators": others | ({name: operator} if operator else {})})

    def issuer_due_s(self) -> float:
        """When the issuer should be replaced."""
        return half_life_s(self.issuers[0].read)

    def issuer_ends_s(self) -> float:
        return lifetime_s(self.issuers[0].read)[1]


def read_state(octets: bytes) -> TrustState:
    """Raises RefusedError, rule `trust-damaged`."""
    try:
        state = TrustState.model_validate_json(octets)
        _ = state.bundle, [issuer.read for issuer in state.issuers]
    except (ValidationError, RefusedError) as error:
        why = " ".join(str(error).split())[:200]
        raise RefusedError(
            "trust-damaged", f"the trust of the installation does not read: {why}", "restore it: gslb restore"
        ) from None
    return state


def key_hash(public: ec.EllipticCurvePublicKey) -> str:
    """The SHA-256 of a public key, in hex (RFC 7469 section 2.4)."""
    form = serialization.PublicFormat.SubjectPublicKeyInfo
    return hashlib.sha256(public.public_bytes(serialization.Encoding.DER, form)).hexdigest()
