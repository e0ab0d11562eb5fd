"""Who stands in the roster that control hands to a node, under which number. Pure.

Where machines have joined, the registry numbers the roster, so that every control hands out the same. A roster of one
machine is numbered by what the node holds already: its control alone makes it. Nothing is sent to a node that holds
the same peers, or a newer roster.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Literal

from gslb.control.installation.registry import Registry, peer_of
from gslb.control.protocol import Peer, Roster, RosterHeld

__all__ = ["REGISTERED", "here", "registered", "roster_for", "roster_of"]

REGISTERED = 1 << 32
"""Rosters of a registry are numbered above this, those of one machine below: a machine that joins takes the former."""


def here(sockets: Mapping[str, Path]) -> tuple[Peer, ...]:
    """The role processes of one machine, by their names and sockets."""
    return tuple(_peer(name, path) for name, path in sockets.items())


def registered(registry: Registry, trust_domain: str) -> tuple[Peer, ...]:
    """Every role process of the machines that joined."""
    return tuple(
        peer_of(machine, process, trust_domain) for machine in registry.active() for process in machine.processes
    )


def roster_of(peers: Iterable[Peer], registry: int = 0, removed: Iterable[str] = ()) -> Roster:
    """Everybody. `registry`: the number of the registry that `peers` are of; 0: they are of one machine, and the roster
    has no number of its own. `removed`: the machines that nobody hears any more."""
    number = REGISTERED + registry if registry else 0
    return Roster(number=number, peers=tuple(sorted(peers, key=lambda peer: peer.name)), removed=tuple(removed))


def roster_for(everybody: Roster, held: RosterHeld) -> Roster | None:
    """What a node is to be handed that holds `held`; None: it has that, or something newer."""
    number = everybody.number or held.number + 1
    if everybody.digest == held.digest or number <= held.number:
        return None
    return everybody.model_copy(update={"number": number})


def _peer(name: str, path: Path) -> Peer:
    site = name.removeprefix("edge-") if name.startswith("edge-") else None
    role: Literal["edge", "observer", "dns"] = "edge" if site else "observer" if name == "observer" else "dns"
    return Peer(name=name, role=role, site=site, address=f"unix:{path}")
