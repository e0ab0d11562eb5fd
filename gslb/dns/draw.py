"""Which of several possible answers one client gets: a pure function, alike on every node.

`answer` draws anew each time. `window` and `client` draw by weighted rendezvous: each variant gets the score
-ln(u) / weight, where u in (0, 1] is a hash of app, client prefix, window and sites, and the lowest score wins. A
variant wins with a probability proportional to its weight, and as scores do not depend on each other, a changed weight
moves only the share it must, and a lost site only its own clients. As the query type is no part of the hash, the types
of one name agree.
"""

from __future__ import annotations

from math import inf, log

from gslb.dns.tables import Pool, Variant

__all__ = ["pick"]

_U64 = 0xFFFF_FFFF_FFFF_FFFF
_SCALE = float(1 << 64)
_V6 = 1 << 56
"""Keeps the /24 of IPv4 and the /56 of IPv6 apart."""


def pick(pool: Pool, address: bytes, wall_s: float, random_u32: int) -> Variant:
    """The variant for a client at `address` (packed, 4 or 16 octets) at `wall_s` (Unix seconds).

    `random_u32` counts only where the app draws by answer, `wall_s` only where it draws by window.
    """
    choice = (pool.v4 if len(address) == 4 else pool.v6).choice(address)
    variants = choice.variants
    if len(variants) == 1:
        return variants[0]
    if choice.by == "answer":
        for variant in variants:
            if random_u32 < variant.upto:
                return variant
    window = int(wall_s // pool.ttl_s) if choice.by == "window" else 0
    prefix = int.from_bytes(address[:3]) if len(address) == 4 else _V6 + int.from_bytes(address[:7])
    seed = _mix(_mix(pool.key ^ prefix) + window & _U64)
    lowest = inf
    for variant in variants:  # no function of a variant: it would cost as much as the rest
        score = -log((_mix(seed ^ variant.key) + 1) / _SCALE) / variant.weight
        if score < lowest:
            best, lowest = variant, score
    return best


def _mix(word: int) -> int:
    """Scatter a 64-bit word: the finalizer of SplitMix64 (Steele, Lea and Flood, OOPSLA 2014).

    Draws are no secret, so that four lines which any language computes alike are worth more than a keyed digest.
    """
    word = (word ^ word >> 30) * 0xBF58_476D_1CE4_E5B9 & _U64
    word = (word ^ word >> 27) * 0x94D0_49BB_1331_11EB & _U64
    return word ^ word >> 31
