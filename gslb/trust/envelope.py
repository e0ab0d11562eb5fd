"""Secrets as they rest in the store's documents: sealed under the installation's secret, each for one purpose.

AES-256-GCM, under a key of its own for each purpose (HKDF, RFC 5869), so that what was sealed for one opens for no
other, and never under a key that DNSSEC keys are sealed with. What is in an envelope is not known here.
"""

from __future__ import annotations

import os
from collections.abc import Iterable

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gslb.errors import RefusedError

__all__ = ["SECRET_BYTES", "open_sealed", "seal"]

SECRET_BYTES = 32
_NONCE_BYTES = 12
_MARK = b"gslb-sealed-1\0"


def seal(secret: bytes, purpose: str, octets: bytes) -> bytes:
    """`octets` that only `open_sealed` with `secret` (32 octets) and the same purpose makes readable again."""
    nonce = os.urandom(_NONCE_BYTES)
    return _MARK + nonce + AESGCM(_key(secret, purpose)).encrypt(nonce, octets, _MARK)


def open_sealed(secrets: Iterable[bytes], purpose: str, sealed: bytes) -> bytes:
    """What was sealed, opened with whichever of the installation's secrets fits.

    Raises RefusedError, rule `sealed`, where none does: it was sealed under another secret or for another purpose, or
    it is damaged.
    """
    if sealed.startswith(_MARK):
        nonce, box = sealed[len(_MARK) :][:_NONCE_BYTES], sealed[len(_MARK) + _NONCE_BYTES :]
        for secret in secrets:
            try:
                return AESGCM(_key(secret, purpose)).decrypt(nonce, box, _MARK)
            except (InvalidTag, ValueError):
                continue
    raise RefusedError(
        "sealed",
        f"no line of the installation's secret opens what was sealed for {purpose}",
        "put back the line that it was sealed under: the file that gslb run --dnssec-secret names",
    )


def _key(secret: bytes, purpose: str) -> bytes:
    return HKDF(SHA256(), SECRET_BYTES, salt=None, info=b"gslb envelope v1\0" + purpose.encode()).derive(secret)
