"""Sets of networks that are asked about with packed addresses: who is exempt, who may speak for others."""

from __future__ import annotations

from collections.abc import Iterable

from gslb.model.words import IpNetwork

__all__ = ["Networks"]


class Networks:
    """A few networks of both families; each question looks at all of them. `ranges`: first and last address of each,
    packed."""

    def __init__(self, networks: Iterable[IpNetwork] = ()) -> None:
        self.ranges = [(network[0].packed, network[-1].packed) for network in networks]

    def covers(self, address: bytes) -> bool:
        """Whether `address` (packed, 4 or 16 octets) is in one of them."""
        size = len(address)
        return any(first <= address <= last and len(first) == size for first, last in self.ranges)
