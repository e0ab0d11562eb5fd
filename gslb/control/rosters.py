"""Who stands in the roster that control hands to a node, under which number. Pure.

A roster of one machine is numbered by what the node holds already: its control alone makes it. Nothing is sent to a
node that holds the same peers.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path

from gslb.control.protocol import Peer, Roster, RosterHeld

__all__ = ["here", "roster_for"]


def here(sockets: Mapping[str, Path]) -> tuple[Peer, ...]:
    """The role processes of one machine, by their names and sockets."""
    return tuple(_peer(name, path) for name, path in sockets.items())


def roster_for(peers: Iterable[Peer], held: RosterHeld) -> Roster | None:
    """What a node is to be handed that holds `held`; None: it has that."""
    roster = Roster(number=held.number + 1, peers=tuple(sorted(peers, key=lambda peer: peer.name)))
    return None if roster.digest == held.digest else roster


def _peer(name: str, path: Path) -> Peer:
    site = name.removeprefix("edge-") if name.startswith("edge-") else None
    return Peer(name=name, role="edge" if site else "dns", site=site, address=f"unix:{path}")
