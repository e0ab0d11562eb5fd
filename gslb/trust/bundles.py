"""Signing and verifying bundles. Pure."""

from __future__ import annotations

from gslb.snapshot.bundle import Bundle
from gslb.trust.signing import BUNDLE, PrivateKey, Signer, Signers, key_id, public_of, sign

__all__ = ["signed", "verified_by"]


def signed(bundle: Bundle, private: PrivateKey) -> Bundle:
    """`bundle` with the signature of `private`, in place of any that it had."""
    signature = sign(private, BUNDLE, bundle.octets)
    return bundle.model_copy(update={"signer": key_id(public_of(private)), "signature": signature})


def verified_by(bundle: Bundle, signers: Signers) -> Signer:
    """Which publisher signed it. Raises RefusedError as Signers.verify does; nothing in it may be used then."""
    return signers.verify(bundle.signer, BUNDLE, bundle.octets, bundle.signature)
