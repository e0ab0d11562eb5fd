"""Which identity may ask what of whom over mTLS, as one table. Pure.

A route without a line keeps its endpoint from being built. Over a unix socket nobody is asked who they are: its mode
has said it.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gslb.trust.spiffe import Kind, SpiffeId

__all__ = ["ANYBODY", "NODE_PERMITS", "may", "require_permits"]

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
    "GET /state": _READERS,
    "GET /observations": _READERS,
    "POST /v1/drains": _NOBODY,
    "DELETE /v1/drains/{site}": _NOBODY,
    "POST /v1/override": ANYBODY,
}
"""By method and path, as they stand in the node endpoint. Servers that gslb only talks to may nothing."""


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
