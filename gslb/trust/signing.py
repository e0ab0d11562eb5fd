"""Signatures (Ed25519, RFC 8032) on what passes between processes, and the public keys that a node believes.

A signature is over its purpose and the octets, so that one made for one thing is never taken for another. Pure: making
a key takes the random octets from the caller, files stand in `signer_files`. What is signed is not known here.
"""

from __future__ import annotations

import hashlib
from collections.abc import Collection
from typing import Annotated, Literal

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from pydantic import BaseModel, ConfigDict, Field, model_validator

from gslb.errors import RefusedError

__all__ = [
    "BUNDLE", "KEY_BYTES", "OVERRIDE", "PUBLISHERS", "SIGNATURE_BYTES", "SIGNERS", "Kind", "PrivateKey", "Signer",
    "Signers", "is_foreign", "key_id", "make_key", "octets_of", "public_of", "sign",
]  # fmt: skip

KEY_BYTES = 32
SIGNATURE_BYTES = 64
SIGNERS_LIMIT = 100

BUNDLE = b"gslb bundle v1"
"""What control's key signs: an Intent, for every node."""
OVERRIDE = b"gslb override v1"
"""What an emergency key signs: a drain that is handed to a node itself."""
SIGNERS = b"gslb signers v1"
"""What control's key signs, too: whom the machines of the installation believe."""

PrivateKey = Ed25519PrivateKey
Kind = Literal["publisher", "emergency"]
"""`publisher`: of a control, signs bundles. `emergency`: of people, signs drains for when every control is gone."""
PUBLISHERS: tuple[Kind, ...] = ("publisher",)


def make_key(octets: bytes) -> PrivateKey:
    """The private key that these 32 octets are: fresh random ones make a new key, kept ones bring one back."""
    return Ed25519PrivateKey.from_private_bytes(octets)


def octets_of(private: PrivateKey) -> bytes:
    """The 32 octets that `make_key` makes it of."""
    return private.private_bytes_raw()


def public_of(private: PrivateKey) -> bytes:
    """The public half: 32 octets (RFC 8032 section 5.1.5)."""
    return private.public_key().public_bytes_raw()


def key_id(public: bytes) -> str:
    """What a key is called: 16 hex digits of the SHA-256 of its public half."""
    return hashlib.sha256(public).hexdigest()[:16]


def sign(private: PrivateKey, purpose: bytes, octets: bytes) -> bytes:
    """64 octets; the same for the same key, purpose and octets."""
    return private.sign(_framed(purpose, octets))


class Signer(BaseModel):
    """A public key that is believed, for what its `kind` may sign. `name` is for people: whose it is."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    id: str
    public: Annotated[bytes, Field(min_length=KEY_BYTES, max_length=KEY_BYTES)]
    name: Annotated[str, Field(max_length=200)] = ""
    kind: Kind = "publisher"

    @model_validator(mode="after")
    def _is_named_rightly(self) -> Signer:
        if self.id != key_id(self.public):
            raise ValueError(f"the key that is called {self.id} is {key_id(self.public)}")
        return self

    @classmethod
    def of(cls, public: bytes, name: str = "", kind: Kind = "publisher") -> Signer:
        return cls(id=key_id(public), public=public, name=name, kind=kind)


class Signers(BaseModel):
    """The keys that a node believes, 100 at most. What is not among them signs nothing. Of two lists the one with the
    higher `number` is the newer; 0: no control has told it to anybody yet."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    number: Annotated[int, Field(ge=0, lt=2**53)] = 0
    signers: Annotated[tuple[Signer, ...], Field(max_length=SIGNERS_LIMIT)] = ()

    def with_signer(self, signer: Signer) -> Signers:
        """These and `signer`, in place of what was called alike."""
        return Signers(number=self.number, signers=(*(o for o in self.signers if o.id != signer.id), signer))

    def without(self, signer: str) -> Signers:
        return Signers(number=self.number, signers=tuple(other for other in self.signers if other.id != signer))

    def knows(self, signer: str) -> bool:
        return any(known.id == signer for known in self.signers)

    def verify(
        self, signer: str, purpose: bytes, octets: bytes, signature: bytes, kinds: Collection[Kind] = PUBLISHERS
    ) -> Signer:
        """Whose signature this is: of a signer of one of `kinds`. Raises RefusedError: rule `unsigned` where nobody
        signed, `unknown-signer` where it is nobody who is believed in this, `bad-signature` where it does not fit."""
        if not signer or not signature:
            raise RefusedError(
                "unsigned", "nobody signed it", "let control publish it; upgrade control where it is old"
            )
        known = next((known for known in self.signers if known.id == signer and known.kind in kinds), None)
        if known is None:
            raise RefusedError(
                "unknown-signer",
                f"it is signed with the key {signer}, which this machine does not believe",
                "if that control is one of yours, add its key to trust/signers.json in the data folder of this machine:"
                " it stands in the same file there",
            )
        try:
            Ed25519PublicKey.from_public_bytes(known.public).verify(signature, _framed(purpose, octets))
        except (InvalidSignature, ValueError):
            raise RefusedError(
                "bad-signature",
                f"the signature of {known.name or signer} does not belong to it: it was changed after it was signed",
                "find out who may write there; what is in force stays",
            ) from None
        return known


def is_foreign(error: RefusedError) -> bool:
    """Whether nothing speaks against what was refused but that nobody who is believed vouches for it."""
    return error.rule in {"unsigned", "unknown-signer"}


def _framed(purpose: bytes, octets: bytes) -> bytes:
    """The length in front keeps two purposes, one of which begins like the other, apart."""
    return len(purpose).to_bytes(2) + purpose + octets
