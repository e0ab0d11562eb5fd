"""The keys of a signed zone: their DNSKEY and DS records, their signatures, and the seal around their private halves.

Pure: the same key gives the same octets on every node, signatures included. Making keys and choosing nonces need
randomness and stand in `making`; which key is in use when is `gslb.control.dnskeys.rollover`'s to say.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Literal

from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature, encode_dss_signature
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from gslb.errors import RefusedError
from gslb.snapshot.types import ZoneKey

__all__ = [
    "ALGORITHM_NAMES",
    "DNSKEY_TTL_S",
    "ECDSA_P256",
    "ED25519",
    "NONCE_BYTES",
    "SECRET_BYTES",
    "SigningKey",
    "dnskey_rdata",
    "ds_rdata",
    "is_ds_of",
    "key_tag",
    "open_key",
    "open_private",
    "public_of",
    "seal_context",
    "seal_private",
    "verify",
]

ECDSA_P256, ED25519 = 13, 15
ALGORITHM_NAMES = {ECDSA_P256: "ecdsa-p256", ED25519: "ed25519"}

DNSKEY_TTL_S = 3600
"""TTL of the DNSKEY, CDS and CDNSKEY records: an hour bounds both the traffic and the length of a roll."""

SECRET_BYTES = 32
NONCE_BYTES = 12

_COORDINATE_BYTES = 32
_PROTOCOL = 3  # RFC 4034 section 2.1.2
_FLAGS = {"ksk": 257, "zsk": 256}
_DIGEST_SHA256, _DIGEST_SHA384 = 2, 4
_SEAL = "v1:"
_ECDSA = ec.ECDSA(hashes.SHA256(), deterministic_signing=True)

Private = ec.EllipticCurvePrivateKey | Ed25519PrivateKey


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key that is open: what it is called, the rdata of its DNSKEY record, and what it signs with."""

    role: Literal["ksk", "zsk"]
    algorithm: int
    tag: int
    dnskey: bytes
    _private: Private = field(repr=False, compare=False)

    def sign(self, data: bytes) -> bytes:
        """The signature field of an RRSIG record over `data`: 64 octets, the same each time (RFC 6605 section 4 with
        RFC 6979; RFC 8080 section 4)."""
        if isinstance(self._private, Ed25519PrivateKey):
            return self._private.sign(data)
        numbers = decode_dss_signature(self._private.sign(data, _ECDSA))
        return b"".join(number.to_bytes(_COORDINATE_BYTES) for number in numbers)

    def verify(self, signature: bytes, data: bytes) -> bool:
        """Whether `signature` is of this key over `data`."""
        return verify(self.dnskey, signature, data)


def dnskey_rdata(key: ZoneKey) -> bytes:
    """The rdata of its DNSKEY and CDNSKEY records (RFC 4034 section 2.1, RFC 7344 section 3.2)."""
    return _FLAGS[key.role].to_bytes(2) + bytes((_PROTOCOL, key.algorithm)) + key.public


def key_tag(rdata: bytes) -> int:
    """The key tag of DNSKEY rdata, 0 to 65535 (RFC 4034 appendix B). Different keys can have the same tag."""
    total = sum(octet if place & 1 else octet << 8 for place, octet in enumerate(rdata))
    return (total + (total >> 16)) & 0xFFFF


def ds_rdata(owner_wire: bytes, dnskey: bytes) -> bytes:
    """The rdata of the DS and CDS records of a key: a SHA-256 digest (RFC 4034 section 5.1, RFC 4509).

    `owner_wire` is the name of the zone as octets, lower-case.
    """
    digest = hashlib.sha256(owner_wire + dnskey).digest()
    return key_tag(dnskey).to_bytes(2) + bytes((dnskey[3], _DIGEST_SHA256)) + digest


def is_ds_of(record: bytes, owner_wire: bytes, dnskey: bytes) -> bool:
    """Whether `record`, DS rdata of any digest that is in use (SHA-256 and SHA-384, RFC 8624 section 3.3), is of the
    key with this DNSKEY rdata."""
    digest_type = int.from_bytes(record[3:4])
    if digest_type == _DIGEST_SHA384:
        digest = hashlib.sha384(owner_wire + dnskey).digest()
        return record == ds_rdata(owner_wire, dnskey)[:3] + bytes((digest_type,)) + digest
    return record == ds_rdata(owner_wire, dnskey)


def verify(dnskey: bytes, signature: bytes, data: bytes) -> bool:
    """Whether `signature` is over `data` by the key with this DNSKEY rdata. False also where the rdata holds no key of
    an algorithm that is known here."""
    algorithm, public = int.from_bytes(dnskey[3:4]), dnskey[4:]
    try:
        if algorithm == ED25519:
            Ed25519PublicKey.from_public_bytes(public).verify(signature, data)
        elif algorithm == ECDSA_P256 and len(signature) == 2 * _COORDINATE_BYTES:
            r, s = signature[:_COORDINATE_BYTES], signature[_COORDINATE_BYTES:]
            point = ec.EllipticCurvePublicKey.from_encoded_point(ec.SECP256R1(), b"\x04" + public)
            point.verify(encode_dss_signature(int.from_bytes(r), int.from_bytes(s)), data, _ECDSA)
        else:
            return False
    except (InvalidSignature, ValueError):
        return False
    return True


def open_key(zone: str, key: ZoneKey, secrets: Iterable[bytes]) -> SigningKey:
    """The key of `zone` (lower-case, no last dot), opened with whichever of the installation's secrets fits.

    Raises RefusedError: rule `dnssec-secret` where none does, `dnssec-key` where what was sealed is no private key, or
    belongs to another public one.
    """
    dnskey = dnskey_rdata(key)
    tag = key_tag(dnskey)
    raw = open_private(key.private, secrets, seal_context(zone, key))
    if raw is None:
        raise RefusedError(
            "dnssec-secret",
            f"no line of the DNSSEC secret opens the {key.role} {tag} of {zone}",
            "put back the line that it was sealed under: the file that gslb run --dnssec-secret names",
        )
    private = _private_key(key.algorithm, raw)
    if private is None or public_of(private) != key.public:
        raise RefusedError(
            "dnssec-key",
            f"the private half of the {key.role} {tag} of {zone} does not belong to its public half",
            "restore the store from its last backup",
        )
    return SigningKey(key.role, key.algorithm, tag, dnskey, private)


def seal_context(zone: str, key: ZoneKey) -> bytes:
    """What a seal is bound to, so that it opens nowhere else: zone, role, algorithm and public key."""
    return f"{zone}\0{key.role}\0{key.algorithm}\0".encode() + key.public


def seal_private(private_raw: bytes, secret: bytes, context: bytes, nonce: bytes) -> str:
    """`private_raw` (P-256: the number, Ed25519: the seed; 32 octets) under `secret`, as text: AES-256-GCM.

    `nonce` is 12 octets and must never come twice with one secret.
    """
    return _SEAL + base64.b64encode(nonce + AESGCM(secret).encrypt(nonce, private_raw, context)).decode("ascii")


def open_private(sealed: str, secrets: Iterable[bytes], context: bytes) -> bytes | None:
    """What was sealed; None where no secret opens it, it was sealed for something else, or it is damaged."""
    if not sealed.startswith(_SEAL):
        return None
    try:
        data = base64.b64decode(sealed.removeprefix(_SEAL), validate=True)
    except binascii.Error:
        return None
    nonce, box = data[:NONCE_BYTES], data[NONCE_BYTES:]
    for secret in secrets:
        try:
            return AESGCM(secret).decrypt(nonce, box, context)
        except (InvalidTag, ValueError):
            continue
    return None


def _private_key(algorithm: int, raw: bytes) -> Private | None:
    try:
        if algorithm == ED25519:
            return Ed25519PrivateKey.from_private_bytes(raw)
        return ec.derive_private_key(int.from_bytes(raw), ec.SECP256R1())
    except ValueError:
        return None


def public_of(private: Private) -> bytes:
    """The public half as a DNSKEY record holds it (RFC 6605 section 4, RFC 8080 section 3)."""
    public = private.public_key()
    if isinstance(public, Ed25519PublicKey):
        return public.public_bytes_raw()
    numbers = public.public_numbers()
    return numbers.x.to_bytes(_COORDINATE_BYTES) + numbers.y.to_bytes(_COORDINATE_BYTES)
