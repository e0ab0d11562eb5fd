"""Whether who answers over TLS is who was meant: looked at before anything is sent."""

from __future__ import annotations

import asyncio

import aiohttp

from gslb.trust.tls import peer_uri

__all__ = ["KnownPeer"]


class KnownPeer(aiohttp.Fingerprint):
    """What aiohttp asks about a connection before it uses it: is the certificate at the other end the one of `spiffe`?
    The chain was checked by the handshake."""

    def __init__(self, spiffe: str) -> None:
        super().__init__(bytes(32))
        self._spiffe = spiffe

    def check(self, transport: asyncio.Transport) -> None:
        """Raises aiohttp.ServerFingerprintMismatch."""
        found = peer_uri(transport.get_extra_info("peercert"))
        if found != self._spiffe:
            host, port, *_ = transport.get_extra_info("peername")
            raise aiohttp.ServerFingerprintMismatch(self._spiffe.encode(), (found or "").encode(), host, port)
