"""What the query log says of one sampled query: who asked what, what was told, and why, in the words of `gslb explain`.

Everything is worked out again from what the answer was made of, after it has left: the same tables, the same random
number, and steering's reasons for that client. Pure. Nothing is drawn or decided anew here, and nothing is written.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import Any, NamedTuple

from dns.rdatatype import RdataType

from gslb.dns.cookies import CLIENT_COOKIE_BYTES
from gslb.dns.draw import pick
from gslb.dns.edns import Terms, agree
from gslb.dns.lookup import lookup
from gslb.dns.query import OptionCode, Query, parse
from gslb.dns.subnet import Subnet
from gslb.dns.tables import EMPTY, Body, Peer, PoolIndex, Qtype, Rcode, Tables, Variant
from gslb.dns.wire import rcode_of
from gslb.errors import WireError
from gslb.model.wire_name import to_text
from gslb.snapshot.types import Decision, Snapshot
from gslb.steering import decide

__all__ = ["Sample", "anonymous", "entry"]

_MASK_BITS = {4: 24, 16: 56}
"""What stays of an address: a network of the size that one customer has (and that draws and rate limits look at)."""

_FAMILIES: Mapping[int, int] = {Qtype.A: 4, Qtype.AAAA: 6}
"""Which addresses steering is asked for; other records hold those of both families."""

_AA, _TC = 0x04, 0x02
_IN, _ANY_CLASS = 1, 255
_SUBNET_FIXED_BYTES = 4  # family, source, scope
_RECORD = struct.Struct("!HHHIH")
"""A pointer to the owner, type, class, TTL and length (RFC 1035 section 3.2.1)."""


class Sample(NamedTuple):
    """All that an answer was made of. `limited`: the rate limit cut it short."""

    tables: Tables
    packet: bytes
    reply: bytes
    peer: Peer
    mono_s: float
    random_u32: int
    limited: bool


class _Found(NamedTuple):
    """What the tables had. `variant` None: nothing was drawn."""

    body: Body
    pool: PoolIndex | None = None
    variant: Variant | None = None


def entry(sample: Sample, snapshot: Snapshot | None, *, full_addresses: bool = False) -> dict[str, Any]:
    """The line for `sample`, ready for JSON. `snapshot` is what the tables were compiled from; of another one, or None,
    the line gives no reasons. Clients are networks (/24, /56), unless `full_addresses`.
    """
    tables, packet, reply, peer, mono_s, _, limited = sample
    wall_s = mono_s + tables.wall_offset_s
    query = _parsed(packet)
    terms = agree(tables.protocol, query.edns, peer, wall_s) if query else Terms(peer.address)
    said = {
        "time": _iso(wall_s),
        "client": _network(peer.address, None, full_addresses),
        "subnet": _subnet(terms.subnet, full_addresses),
        "transport": "tcp" if peer.tcp else "udp",
        "name": to_text(query.name) if query and query.name else None,
        "type": RdataType.to_text(RdataType.make(query.qtype)) if query and query.question else None,
        "rcode": Rcode(rcode_of(reply)).name,
        "flags": _flags(query, reply),
        "limited": limited,
        "cookie": _cookie(query, terms),
        "reply_bytes": len(reply),
        "version": str(tables.version),
        "digest": tables.digest,
    }
    said |= {"app": None, "steps": [], "scope_bits": 0, "drawn": None, "ttl_s": None, "ttl_why": None}
    broken = said["rcode"] == Rcode.SERVFAIL.name  # a bug, which asking again would meet again
    if query is None or broken:
        return said
    found = _find(sample, query, terms.client, wall_s)
    said |= _kept(reply, found.body)
    if found.pool is not None and snapshot is not None and snapshot.digest == tables.digest:
        said |= _steered(sample, snapshot, found, terms.client, query.qtype)
    return said


def anonymous(sample: Sample) -> Sample:
    """`sample` with the client's addresses cut to their networks, in the messages, too."""
    query = _parsed(sample.packet)
    subnet = query.edns.options.subnet if query and query.edns else None
    return sample._replace(
        peer=sample.peer._replace(address=_cut(sample.peer.address)),
        packet=_without_subnet_tail(sample.packet, subnet),
        reply=_without_subnet_tail(sample.reply, subnet),
    )


def _parsed(packet: bytes) -> Query | None:
    try:
        return parse(packet)
    except WireError:
        return None


def _find(sample: Sample, query: Query, client: bytes, wall_s: float) -> _Found:
    """What was looked up and drawn; nothing for what the tables are not asked about."""
    if not query.question or query.qclass not in (_IN, _ANY_CLASS) or (query.edns and query.edns.version):
        return _Found(EMPTY)
    tables = sample.tables
    drawn: list[tuple[PoolIndex, Variant]] = []

    def draw(index: PoolIndex) -> Body:
        drawn.append((index, pick(tables.pools[index], client, wall_s, sample.random_u32)))
        return drawn[-1][1].body

    _, body = lookup(tables, query.name, query.qtype, draw)
    return _Found(body, *drawn[-1]) if drawn else _Found(body)


def _steered(sample: Sample, snapshot: Snapshot, found: _Found, client: bytes, qtype: int) -> dict[str, Any]:
    assert found.variant is not None
    tables = sample.tables
    app = snapshot.apps[next(name for name, places in tables.places.items() if places.get(qtype) == found.pool)]
    decision = decide(snapshot, tables.live, app, ip_address(client), _FAMILIES.get(qtype))
    said: dict[str, Any] = {
        "app": app.name,
        "steps": [{"filter": s.filter, "kept": list(s.kept), "reason": s.reason} for s in decision.steps],
        "scope_bits": decision.client_bits,
        "drawn": _drawn(decision, found.variant),
    }
    if _kept(sample.reply, found.body).get("ttl_s") == decision.ttl_s and found.variant.body.answers:
        said["ttl_why"] = decision.ttl_reason
    return said


def _drawn(decision: Decision, variant: Variant) -> dict[str, Any] | None:
    outcome = next((outcome for outcome in decision.outcomes if outcome.sites == variant.sites), None)
    if outcome is None:
        return None
    return {"sites": list(outcome.sites), "addresses": [str(ip) for ip in outcome.addresses]}


def _kept(reply: bytes, body: Body) -> Mapping[str, Any]:
    """How long resolvers may keep the reply. Nothing where it has neither an answer nor an authority section: it was
    cut short, or refused."""
    if reply[6:10] == bytes(4):
        return {}
    if body.answers:
        return {"ttl_s": _least_ttl_s(body.answers, body.records), "ttl_why": "fixed"}
    why = "the delegation's" if body.referral else "the zone's, for negative answers"
    return {"ttl_s": _least_ttl_s(body.authorities, body.authority), "ttl_why": why}


def _least_ttl_s(count: int, records: bytes) -> int:
    """Of the first `count` records of a body, whose owners are pointers."""
    ttls_s: list[int] = []
    offset = 0
    for _ in range(count):
        _, _, _, ttl_s, length = _RECORD.unpack_from(records, offset)
        ttls_s.append(ttl_s)
        offset += _RECORD.size + length
    return min(ttls_s)


def _flags(query: Query | None, reply: bytes) -> list[str]:
    flags = {"aa": reply[2] & _AA, "tc": reply[2] & _TC, "do": query and query.edns and query.edns.dnssec_ok}
    return [name for name, is_set in flags.items() if is_set]


def _cookie(query: Query | None, terms: Terms) -> str | None:
    """As the counters call it."""
    if query is None or query.edns is None or terms.stamp is None:
        return None
    if terms.stamp.good:
        return "good"
    return "new" if len(query.edns.options.cookie) == CLIENT_COOKIE_BYTES else "bad"


# Addresses ------------------------------------------------------------------------------------------------------------


def _subnet(subnet: Subnet | None, full_addresses: bool) -> str | None:
    if subnet is None or subnet.address is None:
        return None
    return _network(subnet.address, subnet.option[2], full_addresses)


def _network(address: bytes, bits: int | None, full_addresses: bool) -> str:
    """As text: the network of `bits`, or less of it. `bits` None: a single address."""
    known = len(address) * 8 if bits is None else bits
    shown = known if full_addresses else min(known, _MASK_BITS[len(address)])
    return str(ip_address(address) if shown == len(address) * 8 else ip_network((address, shown), strict=False))


def _cut(address: bytes) -> bytes:
    return address[: _MASK_BITS[len(address)] // 8].ljust(len(address), b"\0")


def _without_subnet_tail(message: bytes, subnet: Subnet | None) -> bytes:
    """`message` with zeros behind the network of its subnet option. The reply's differs from the query's in its scope
    alone."""
    if subnet is None or subnet.address is None:
        return message
    data = subnet.option
    start = message.rfind(OptionCode.SUBNET.to_bytes(2) + len(data).to_bytes(2) + data[:3])
    kept = start + 4 + _SUBNET_FIXED_BYTES + _MASK_BITS[len(subnet.address)] // 8
    end = start + 4 + len(data)
    if start < 0 or kept >= end:
        return message
    return message[:kept] + bytes(end - kept) + message[end:]


def _iso(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
