"""The data of HTTPS records (RFC 9460): what ends TLS for an app, and where the client that asks would find it.

Octets only: which addresses a client is told is steering's word, and whether there is a record at all the policy's.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import IntEnum

from gslb.snapshot.types import Https

__all__ = ["https_data"]

_DEFAULT_ALPN, _DEFAULT_PORT = "http/1.1", 443
"""What a client takes for granted (RFC 9460 section 9)."""

_SERVICE_AT_OWNER = b"\0\1" + b"\0"
"""SvcPriority 1, the only one, and TargetName `.`: the name that has the record (RFC 9460 sections 2.4.1, 2.5.2)."""

_IPV4_BYTES, _IPV6_BYTES = 4, 16


class _Key(IntEnum):
    """RFC 9460 section 14.3.2. In a record they rise (section 2.2)."""

    ALPN = 1
    NO_DEFAULT_ALPN = 2
    PORT = 3
    IPV4HINT = 4
    IPV6HINT = 6


def https_data(https: Https, addresses: Collection[bytes]) -> bytes:
    """`addresses` are packed, of both families in any order: hints, which save a client that trusts them a round trip.

    Protocols are told beside the default one, or with `no-default-alpn` where it is not spoken (RFC 9460 section 7.1).
    No key needs to be called mandatory: those that must be understood are so by themselves (section 9).
    """
    params = {}
    others = [protocol.encode() for protocol in https.alpn if protocol != _DEFAULT_ALPN]
    if others:
        params[_Key.ALPN] = b"".join(len(protocol).to_bytes() + protocol for protocol in others)
    if _DEFAULT_ALPN not in https.alpn:
        params[_Key.NO_DEFAULT_ALPN] = b""
    if https.port != _DEFAULT_PORT:
        params[_Key.PORT] = https.port.to_bytes(2)
    for key, size in ((_Key.IPV4HINT, _IPV4_BYTES), (_Key.IPV6HINT, _IPV6_BYTES)):
        hints = b"".join(address for address in addresses if len(address) == size)
        if hints:
            params[key] = hints
    written = (key.to_bytes(2) + len(value).to_bytes(2) + value for key, value in params.items())
    return _SERVICE_AT_OWNER + b"".join(written)
