"""Response rate limiting: how many answers of one kind one network may get a second, so that forged sources cannot make
us flood a victim. Whoever proves its address (a stream, a good cookie) is not asked here.

A bucket is one number, the time at which it will be empty again, in a table of fixed size that is found by hash. Two
kinds that meet in one bucket share it: the limit then bites early, which costs a retry over TCP, and an attacker who
invents networks costs no memory. What a limited client is told is decided elsewhere. The native wire takes the same
steps over the same table, from several threads.
"""

from __future__ import annotations

from array import array
from collections.abc import Sequence

from gslb.dns.networks import Networks
from gslb.model.words import IpNetwork

__all__ = ["BURST_S", "ROUNDING_S", "Limiter"]

_BUCKETS = 1 << 16
"""512 KiB. A flood has to keep all of them full, 13 million answers a second at the default, to limit everybody."""

BURST_S = 1.0
"""A quiet network may use one second's worth at once."""

ROUNDING_S = 1e-6
"""So that sums of steps make a whole burst."""

_PREFIX_BYTES = {4: 3, 16: 7}
"""A /24 and a /56: what one site usually has."""


class Limiter:
    """`per_s`: answers a second for one network and kind, at least 1. Clients in `exempt` networks are not limited.

    `step_s` is what one answer takes of a bucket; `empty_at_s` has the buckets, a power of two of them.
    """

    def __init__(self, per_s: int, exempt: Sequence[IpNetwork] = ()) -> None:
        assert per_s >= 1
        self.step_s = 1.0 / per_s
        self.exempt = Networks(exempt) if exempt else None
        self.empty_at_s = array("d", bytes(8 * _BUCKETS))

    def take(self, address: bytes, kind: bytes, mono_s: float) -> bool:
        """Whether one more answer of `kind` may go to `address` (packed) at `mono_s`. Refusals take nothing."""
        if self.exempt is not None and self.exempt.covers(address):
            return True
        # Python keys its hash of octets anew in each process, so that nobody can choose who shares a bucket with whom.
        place = hash(address[: _PREFIX_BYTES[len(address)]] + kind) % _BUCKETS
        empty_at_s = max(self.empty_at_s[place], mono_s)
        if empty_at_s + self.step_s > mono_s + BURST_S + ROUNDING_S:
            return False
        self.empty_at_s[place] = empty_at_s + self.step_s
        return True
