"""DNS cookies: which were made by us, and making them (RFC 7873, RFC 9018).

A server cookie is version 1, three reserved octets, the time, and SipHash-2-4 over the client's cookie, those eight
octets and the client's address. Whoever shows a good one has read a reply at its address: it is no forged source.
Nothing is kept, and what follows from a bad cookie is decided elsewhere.
"""

from __future__ import annotations

from functools import lru_cache
from typing import NamedTuple

__all__ = ["CLIENT_COOKIE_BYTES", "COOKIE_BYTES", "SECRET_BYTES", "Stamp", "siphash", "stamp"]

SECRET_BYTES = 16
CLIENT_COOKIE_BYTES = 8
COOKIE_BYTES = 24
"""The whole option: 8 octets of the client's, 16 of ours."""

_VERSION_AND_RESERVED = b"\x01\0\0\0"
_TIME_AT, _HASH_AT = 12, 16
_OLDEST_S, _NEWEST_S, _RENEW_S = 3600, -300, 1800
"""RFC 9018 section 4.3: an hour back, five minutes ahead for other nodes' clocks, a new one after half an hour."""

_REMEMBERED = 4096
"""Resolvers show the same cookie for half an hour, and a hash takes 9 us: as much as all the rest of an answer."""

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_SIPHASH_START = (0x736F_6D65_7073_6575, 0x646F_7261_6E64_6F6D, 0x6C79_6765_6E65_7261, 0x7465_6462_7974_6573)


class Stamp(NamedTuple):
    """`cookie`: the option for the reply. `good`: the query's server cookie is ours, for this client, and not old."""

    cookie: bytes
    good: bool


def stamp(secrets: tuple[bytes, ...], cookie: bytes, address: bytes, wall_s: float) -> Stamp:
    """Judge the COOKIE option of a query (8, or 16 to 40 octets) from `address` (packed) at `wall_s` (Unix seconds).

    A good cookie that is younger than half an hour and of the first secret comes back as it is; else a new one is made.
    """
    now_s = int(wall_s) & 0xFFFF_FFFF
    client, sent = cookie[:CLIENT_COOKIE_BYTES], cookie[CLIENT_COOKIE_BYTES:]
    good = False
    if len(cookie) == COOKIE_BYTES and sent[0] == 1:
        # RFC 1982: seconds since 1970 wrap around in 2106.
        age_s = (now_s - int.from_bytes(cookie[_TIME_AT:_HASH_AT]) + 0x8000_0000 & 0xFFFF_FFFF) - 0x8000_0000
        if _NEWEST_S <= age_s <= _OLDEST_S:
            text, proof = cookie[:_HASH_AT] + address, cookie[_HASH_AT:]
            maker = next((secret for secret in secrets if _hash(secret, text) == proof), None)
            good = maker is not None
            if maker == secrets[0] and age_s < _RENEW_S:
                return Stamp(cookie, True)
    start = client + _VERSION_AND_RESERVED + now_s.to_bytes(4)
    return Stamp(start + _hash(secrets[0], start + address), good)


@lru_cache(_REMEMBERED)
def _hash(secret: bytes, text: bytes) -> bytes:
    return siphash(secret, text).to_bytes(8, "little")


def siphash(key: bytes, text: bytes) -> int:
    """SipHash-2-4 of `text` under a `key` of 16 octets (Aumasson and Bernstein, 2012), as a number of 64 bits."""
    k0, k1 = int.from_bytes(key[:8], "little"), int.from_bytes(key[8:], "little")
    v0, v1, v2, v3 = (start ^ k for start, k in zip(_SIPHASH_START, (k0, k1, k0, k1), strict=True))
    whole = len(text) & ~7
    words = [int.from_bytes(text[at : at + 8], "little") for at in range(0, whole, 8)]
    words.append(int.from_bytes(text[whole:], "little") | (len(text) & 0xFF) << 56)
    for word in words:
        v0, v1, v2, v3 = _scramble(v0, v1, v2, v3 ^ word, 2)
        v0 ^= word
    v0, v1, v2, v3 = _scramble(v0, v1, v2 ^ 0xFF, v3, 4)
    return v0 ^ v1 ^ v2 ^ v3


def _scramble(v0: int, v1: int, v2: int, v3: int, rounds: int) -> tuple[int, int, int, int]:
    for _ in range(rounds):
        v0 = v0 + v1 & _U64
        v1 = (v1 << 13 | v1 >> 51) & _U64 ^ v0
        v0 = (v0 << 32 | v0 >> 32) & _U64
        v2 = v2 + v3 & _U64
        v3 = (v3 << 16 | v3 >> 48) & _U64 ^ v2
        v0 = v0 + v3 & _U64
        v3 = (v3 << 21 | v3 >> 43) & _U64 ^ v0
        v2 = v2 + v1 & _U64
        v1 = (v1 << 17 | v1 >> 47) & _U64 ^ v2
        v2 = (v2 << 32 | v2 >> 32) & _U64
    return v0, v1, v2, v3
