"""How another role process is asked that stands in the roster."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path

from gslb.control.protocol import Peer
from gslb.roles.endpoint.node_client import NodeClient, Remote

__all__ = ["Tls", "client_of"]

Tls = Callable[[], ssl.SSLContext]
"""The context with which this process asks others; see `Remote`."""


def client_of(peer: Peer, caller: str, tls: Tls | None) -> NodeClient | None:
    """As `caller` asks it; None where this process has no way to it."""
    if peer.address.startswith("unix:"):
        return NodeClient(peer.name, Path(peer.address.removeprefix("unix:")), caller)
    return NodeClient(peer.name, Remote(peer.address, peer.spiffe, tls), caller) if tls is not None else None
