"""Which identity may ask what of whom over mTLS, as one table. Pure.

A route without a line keeps its endpoint from being built. Over a unix socket nobody is asked who they are: its mode
has said it. A certificate outlives the day on which its machine is removed, so that who is still listened to is looked
up in what control has told of the installation, which it does within seconds.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from gslb.trust.spiffe import Kind, SpiffeId

__all__ = ["ANYBODY", "NODE_PERMITS", "STANDING", "Known", "belongs", "may", "require_permits"]

ANYBODY: frozenset[Kind] | None = None
"""Without a certificate, too: what is asked carries its own authority."""
_NOBODY: frozenset[Kind] = frozenset()
"""Over the unix socket alone."""
_CONTROL: frozenset[Kind] = frozenset({"control"})
_READERS: frozenset[Kind] = frozenset({"control", "dns", "edge", "observer", "operator"})

NODE_PERMITS: Mapping[str, frozenset[Kind] | None] = {
    "POST /prepare": _CONTROL,
    "POST /publish": _CONTROL,
    "PUT /roster": _CONTROL,
    "PUT /pushed": _CONTROL,
    "PUT /signers": _CONTROL,
    "GET /state": _READERS,
    "GET /observations": _READERS,
    "GET /comparisons/{app}/{route}": _CONTROL,
    "GET /outcomes/{app}": _READERS,
    "POST /v1/drains": _NOBODY,
    "DELETE /v1/drains/{site}": _NOBODY,
    "POST /v1/mirror-stops": _NOBODY,
    "DELETE /v1/mirror-stops": _NOBODY,
    "POST /v1/override": ANYBODY,
}
"""By method and path, as they stand in the node endpoint. Servers that gslb only talks to may nothing."""


Standing = Literal["listed", "machine", "person"]

STANDING: Mapping[Kind, Standing] = {
    "control": "machine",
    "dns": "listed",
    "edge": "listed",
    "observer": "listed",
    "operator": "person",
    "server": "person",
}
"""What makes who shows a good certificate one of the installation. `listed`: it stands among the role processes, as
soon as a node knows them, and its machine is not removed. `machine`: its machine is not removed; a control that has
just joined is heard before anybody has told of it, for it may be the only one that is left to tell. `person`: control
knows who is believed; a node only shows to them what it has."""


@dataclass(frozen=True, slots=True)
class Known:
    """What a node was told at last of its installation. `listed`: the SPIFFE ids of its role processes; None: it was
    told of no other machine yet. `removed`: names of machines."""

    listed: Collection[str] | None = None
    removed: Collection[str] = ()


def belongs(caller: SpiffeId, known: Known) -> bool:
    """Whether who shows a good certificate is one of the installation still."""
    standing = STANDING[caller.kind]
    if standing == "person":
        return True
    if caller.name in known.removed:
        return False
    return standing == "machine" or known.listed is None or caller.uri in known.listed


def require_permits(routes: Iterable[str]) -> None:
    """Every route has its line."""
    missing = sorted(set(routes) - set(NODE_PERMITS))
    assert not missing, f"say in gslb/trust/permits.py who may ask this of a node: {', '.join(missing)}"


def may(caller: SpiffeId | None, route: str, domain: str) -> bool:
    """Whether `caller` (None: no certificate) may ask `route` of a node of the trust domain `domain`."""
    permitted = NODE_PERMITS[route]
    if permitted is None:
        return True
    return caller is not None and caller.domain == domain and caller.kind in permitted
