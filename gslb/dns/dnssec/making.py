"""Making keys and sealing them: the one place of DNSSEC that draws random numbers. Only control makes keys.

No rule of when a key is needed stands here.
"""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Sequence
from typing import Literal

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gslb.dns.dnssec.keys import ED25519, NONCE_BYTES, open_private, public_of, seal_context, seal_private
from gslb.snapshot.types import ZoneKey

__all__ = ["make_key", "reseal"]


def make_key(zone: str, role: Literal["ksk", "zsk"], algorithm: int, secret: bytes) -> ZoneKey:
    """A new key of `zone` (lower-case, no last dot), sealed under `secret` (32 octets), in no use yet.

    `algorithm` is 13 (ECDSA P-256) or 15 (Ed25519).
    """
    if algorithm == ED25519:
        seed = Ed25519PrivateKey.generate()
        raw, public = seed.private_bytes_raw(), public_of(seed)
    else:
        number = ec.generate_private_key(ec.SECP256R1())
        raw, public = number.private_numbers().private_value.to_bytes(32), public_of(number)
    draft = ZoneKey(role, algorithm, public, "", published=False, signs=False, announced=False)
    return _sealed(zone, draft, raw, secret)


def reseal(zone: str, key: ZoneKey, secrets: Sequence[bytes]) -> ZoneKey:
    """`key` under the first of `secrets`; the very key where it is already, or where none of them opens it."""
    context = seal_context(zone, key)
    if open_private(key.private, secrets[:1], context) is not None:
        return key
    raw = open_private(key.private, secrets[1:], context)
    return key if raw is None else _sealed(zone, key, raw, secrets[0])


def _sealed(zone: str, key: ZoneKey, raw: bytes, secret: bytes) -> ZoneKey:
    sealed = seal_private(raw, secret, seal_context(zone, key), os.urandom(NONCE_BYTES))
    return dataclasses.replace(key, private=sealed)
