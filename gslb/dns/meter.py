"""What a responder remembers from one query to the next: counters and the rate limiter's buckets.

The one mutable argument of `answer`; everything else that it sees is frozen.
"""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from gslb.dns.cookies import CLIENT_COOKIE_BYTES
from gslb.dns.edns import Terms
from gslb.dns.query import Options
from gslb.dns.ratelimit import Limiter
from gslb.dns.tables import Peer

__all__ = ["Meter"]


class Meter(NamedTuple):
    """`limiter` None: nobody is limited."""

    counts: Counter[str]
    limiter: Limiter | None = None

    def note(self, options: Options, terms: Terms) -> None:
        """Count what a query brought in its options."""
        if terms.stamp is not None:
            alone = len(options.cookie) == CLIENT_COOKIE_BYTES
            self.counts["cookies_good" if terms.stamp.good else "cookies_new" if alone else "cookies_bad"] += 1
        if terms.subnet is not None:
            self.counts["subnets"] += 1

    def admits(self, peer: Peer, terms: Terms, kind: bytes, mono_s: float) -> bool:
        """Whether a reply of `kind` may go to `peer`. Who has proven the address is not limited."""
        if self.limiter is None or peer.proven or (terms.stamp is not None and terms.stamp.good):
            return True
        if self.limiter.take(peer.address, kind, mono_s):
            return True
        self.counts["limited"] += 1
        return False
