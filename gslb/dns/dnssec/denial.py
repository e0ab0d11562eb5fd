"""What does not exist, said so that it can be signed: NSEC records and the order that they follow.

Every zone has one chain of NSEC records (RFC 4034 section 4), made when it is composed, because a proof that is signed
per query would let strangers choose how hard a server works. Nothing is signed or looked up here.
"""

from __future__ import annotations

import struct
from bisect import bisect_right
from collections.abc import Iterable
from itertools import groupby

from gslb.dns.tables import Chain, Denial, Qtype

__all__ = ["denial_of", "nsec_rdata", "sort_key"]

_ALWAYS = (Qtype.RRSIG, Qtype.NSEC)


def sort_key(name: bytes) -> bytes:
    """Octets that compare as names do in canonical order (RFC 4034 section 6.1): label by label from the right, a
    missing label first. `name` is lower-case wire format.

    Labels end in an octet 0 here, which is below all others; 0 and 1 within them become two octets each.
    """
    labels = []
    offset = 0
    while length := name[offset]:
        offset += 1 + length
        labels.append(name[offset - length : offset])
    key = b"\0".join(reversed(labels))
    if any(octet < 2 for label in labels for octet in label):
        key = b"\0".join(label.replace(b"\1", b"\1\2").replace(b"\0", b"\1\1") for label in reversed(labels))
    return key + b"\0" if labels else b""


def nsec_rdata(following: bytes, types: Iterable[int]) -> bytes:
    """The data of an NSEC record of a name with records of `types`, whose successor is `following` (RFC 4034 section
    4.1). RRSIG and NSEC are there whether or not `types` has them."""
    return following + _bitmap(types)


def denial_of(chain: Chain, name: bytes) -> Denial:
    """The denial that `name`, inside the zone, has or lies behind."""
    return chain.denials[bisect_right(chain.keys, sort_key(name)) - 1]


def _bitmap(types: Iterable[int]) -> bytes:
    """RFC 4034 section 4.1.2: windows of 256 types, each as short as it can be."""
    windows = []
    for window, numbers in groupby(sorted({*types, *_ALWAYS}), lambda number: number >> 8):
        bits = bytearray(32)
        for number in numbers:
            bits[(number & 0xFF) >> 3] |= 0x80 >> (number & 7)
        octets = bytes(bits).rstrip(b"\0")
        windows.append(struct.pack("!BB", window, len(octets)) + octets)
    return b"".join(windows)
