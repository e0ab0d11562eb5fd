"""One RRset to one signature: canonical form, validity, RRSIG record (RFC 4034 sections 3 and 6).

Which RRsets of a zone are signed, and with which key, is `seal`'s to say; what a key is, `keys`'.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import dns.rdata
import dns.rdataclass
import dns.rdatatype

from gslb.dns.dnssec.keys import SigningKey
from gslb.dns.tables import OWNER, Qtype

__all__ = ["Rrset", "Validity", "expires_s", "is_made_by", "sign", "verifies"]

_IN = 1
_RECORD = struct.Struct("!HHHIH")
_RRSIG = struct.Struct("!HBBIIIH")  # type, algorithm, labels, original TTL, expiration, inception, key tag
_COVERED = struct.Struct("!HHI")

_WITH_NAMES = frozenset((2, 3, 4, 5, 6, 7, 8, 9, 12, 14, 15, 17, 18, 21, 24, 26, 30, 33, 35, 36, 38, 39))
"""Types whose names are lower-case in canonical form (RFC 4034 section 6.2, RFC 6840 section 5.1)."""


class Rrset(NamedTuple):
    """`owner` is lower-case wire format, a wildcard by its own name. `ttl_s` is the most that is ever served."""

    owner: bytes
    rtype: int
    ttl_s: int
    rdatas: Sequence[bytes]


@dataclass(frozen=True, slots=True)
class Validity:
    """How long signatures live, and after how much of that they are made anew. Every node makes them at the same
    moments, spread over names, so that all serve the same octets and no hour brings the whole zone."""

    lifetime_s: int = 14 * 86_400
    renewal_s: int = 4 * 86_400
    skew_s: int = 3_600

    def span_s(self, owner: bytes, wall_s: float) -> tuple[int, int]:
        """Inception and expiration (Unix seconds) of what is served for `owner` at `wall_s`."""
        offset_s = zlib.crc32(owner) % self.renewal_s
        made_s = int(wall_s + offset_s) // self.renewal_s * self.renewal_s - offset_s
        return made_s - self.skew_s, made_s + self.lifetime_s


def sign(key: SigningKey, apex: bytes, rrset: Rrset, span_s: tuple[int, int]) -> bytes:
    """The RRSIG record of `rrset`, with its TTL, owned by the name in the question."""
    head = _head(key, apex, rrset, span_s)
    data = head + key.sign(_covered(head, rrset))
    return _RECORD.pack(OWNER, Qtype.RRSIG, _IN, rrset.ttl_s, len(data)) + data


def verifies(key: SigningKey, apex: bytes, rrset: Rrset, seal: bytes) -> bool:
    """Whether `seal` is a signature of `rrset` by `key`."""
    head_bytes = _RRSIG.size + len(apex)
    data = seal[_RECORD.size :]
    return key.verify(data[head_bytes:], _covered(data[:head_bytes], rrset))


def is_made_by(key: SigningKey, seal: bytes, ttl_s: int, span_s: tuple[int, int]) -> bool:
    """Whether `seal` is what `sign` would make again of the same records."""
    _, algorithm, _, original_s, expiration, inception, tag = _RRSIG.unpack_from(seal, _RECORD.size)
    stamped = (inception, expiration) == (span_s[0] & 0xFFFFFFFF, span_s[1] & 0xFFFFFFFF)
    return stamped and (algorithm, tag, original_s) == (key.algorithm, key.tag, ttl_s)


def expires_s(seal: bytes) -> int:
    """When (Unix seconds, of 32 bits) a seal stops being good."""
    return int(_RRSIG.unpack_from(seal, _RECORD.size)[4])


def _head(key: SigningKey, apex: bytes, rrset: Rrset, span_s: tuple[int, int]) -> bytes:
    """The data of the RRSIG before the signature."""
    inception, expiration = (moment & 0xFFFFFFFF for moment in span_s)
    labels = _label_count(rrset.owner) - rrset.owner.startswith(b"\x01*")
    return _RRSIG.pack(rrset.rtype, key.algorithm, labels, rrset.ttl_s, expiration, inception, key.tag) + apex


def _covered(head: bytes, rrset: Rrset) -> bytes:
    """What is signed (RFC 4034 section 3.1.8.1)."""
    before = rrset.owner + _COVERED.pack(rrset.rtype, _IN, rrset.ttl_s)
    rdatas: Sequence[bytes] = rrset.rdatas
    if rrset.rtype in _WITH_NAMES:
        rdatas = [_canonical(rrset.rtype, rdata) for rdata in rdatas]
    if len(rdatas) == 1:
        rdata = rdatas[0]
        return b"".join((head, before, len(rdata).to_bytes(2), rdata))
    return head + b"".join(before + len(rdata).to_bytes(2) + rdata for rdata in sorted(set(rdatas)))


def _canonical(rtype: int, rdata: bytes) -> bytes:
    read = dns.rdata.from_wire(dns.rdataclass.IN, dns.rdatatype.RdataType(rtype), rdata, 0, len(rdata))
    return bytes(read.to_digestable())


def _label_count(name: bytes) -> int:
    count = offset = 0
    while length := name[offset]:
        offset += 1 + length
        count += 1
    return count
