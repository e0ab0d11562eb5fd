"""From which places an installation is looked at: who of a roster shares one fate, and so has one vote. Pure.

A place is a site, or a machine that stands outside every site or serves several. What places see is counted in
`health.quorum`; nobody is asked here.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gslb.control.protocol import Peer

__all__ = ["HERE", "machine_of", "places"]

HERE = "here"
"""What the place is called where nobody has given its machine a name."""


def machine_of(peer: Peer) -> str:
    """The machine that a peer runs on; HERE for one of a roster of one machine."""
    machine, slash, _ = peer.name.rpartition("/")
    return machine if slash else HERE


def places(peers: Iterable[Peer], machine: str) -> Mapping[str, str]:
    """Machine to place, for every machine of the roster and `machine`, the own one."""
    sites: dict[str, set[str]] = {machine: set()}
    for peer in peers:
        sites.setdefault(machine_of(peer), set()).update([peer.site] if peer.site else [])
    return {name: next(iter(found)) if len(found) == 1 else name for name, found in sites.items()}
