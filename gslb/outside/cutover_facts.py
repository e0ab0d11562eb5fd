"""Looks at a name that shall move here: its records, what CAs may do, certificates, edges, and our zone's delegation.

What is right is for `cutover` to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
from dns.rdtypes.ANY.CAA import CAA

from gslb import clock
from gslb.outside.asking import DNS_PORT, Asker, Resolver, query, rrset_of
from gslb.outside.cutover import ADDRESS_TYPES, judge_cutover
from gslb.outside.cutover_seen import CaaSeen, CutoverSeen, NameSeen, Plan, Records
from gslb.outside.delegation import observe
from gslb.outside.delegation_seen import Failure, Server, Wanted
from gslb.outside.findings import Finding, printable
from gslb.outside.web_probes import HTTPS_PORT, look_at_answer, look_at_certificate

__all__ = ["Ports", "check_cutover", "look"]

TYPES = ("A", "AAAA", "CNAME", "DNAME", "NS", "SOA", "MX", "TXT", "CAA", "HTTPS", "SVCB", "SRV", "NAPTR", "SSHFP",
         "PTR", "LOC", "URI")  # fmt: skip
"""What a host name may have beside its addresses (TLSA stands at names below it)."""
MOST_ADDRESSES = 8


@dataclass(frozen=True, slots=True)
class Ports:
    """Where others listen; a lab's may differ."""

    dns: int = DNS_PORT
    https: int = HTTPS_PORT


async def check_cutover(
    plan: Plan,
    wanted: Wanted,
    resolver: tuple[str, int] | None,
    progress: Callable[[str], None],
    ports: Ports,
) -> tuple[CutoverSeen, tuple[Finding, ...]]:
    """What is seen, and what stands in the way. `wanted` is the zone of ours that answers afterwards. Raises HostError
    where no resolver answers."""
    seen = await look(plan, wanted, resolver, progress, ports)
    return seen, judge_cutover(seen, clock.wall_s())


async def look(
    plan: Plan, wanted: Wanted, resolver: tuple[str, int] | None, progress: Callable[[str], None], ports: Ports
) -> CutoverSeen:
    """DNS first, 15 s at most, then what the addresses show on the web, 8 s at most."""
    asker = Asker(port=ports.dns)
    through = await Resolver.open(asker, resolver)
    today, caa, delegation = await asyncio.gather(
        _today(asker, through, plan.name), _caa(through, plan), observe(asker, through, wanted, progress)
    )
    progress(f"{plan.name}: looking at certificates and edges")
    edges = sorted({address for address, _ in plan.edges})
    old, new, answers = await asyncio.gather(
        asyncio.gather(*(look_at_certificate(ip, plan.name, ports.https) for ip in today.addresses[:MOST_ADDRESSES])),
        asyncio.gather(*(look_at_certificate(ip, plan.name, ports.https) for ip in edges)),
        asyncio.gather(*(look_at_answer(ip, port, plan.name) for ip, port in plan.edges)),
    )
    return CutoverSeen(plan, today, delegation, caa, tuple(old), tuple(new), tuple(answers))


async def _today(asker: Asker, through: Resolver, name: str) -> NameSeen:
    found = await through.zone_of(name)
    if isinstance(found, Failure):
        return NameSeen(found)
    zone, servers = found
    server = await _answering(asker, zone, servers)
    if server is None:
        return NameSeen(Failure("silent", f"no server of {zone} answers for it"))
    addresses, cached_ttl_s, replies = await asyncio.gather(
        through.addresses(name),
        _cached_ttl_s(through, name),
        asyncio.gather(*(asker.ask(query(name, rtype), server.address) for rtype in TYPES)),
    )
    good = [reply for reply in replies if isinstance(reply, dns.message.Message)]
    records = {}
    for reply in good:
        for rtype in TYPES:
            rrset = rrset_of(reply.answer, name, rtype)
            if rrset is not None:
                records[rtype] = Records(rrset.ttl, tuple(sorted(rdata.to_text() for rdata in rrset)))
    sections = (rrset for reply in good for rrset in (*reply.answer, *reply.authority))
    signed = any(rrset.rdtype == dns.rdatatype.RRSIG for rrset in sections)
    return NameSeen(zone, records, cached_ttl_s, addresses, signed)


async def _answering(asker: Asker, zone: str, servers: tuple[Server, ...]) -> Server | None:
    replies = await asyncio.gather(*(asker.ask(query(zone, "SOA"), server.address) for server in servers))
    for server, reply in zip(servers, replies, strict=True):
        if isinstance(reply, dns.message.Message) and rrset_of(reply.answer, zone, "SOA") is not None:
            return server
    return None


async def _cached_ttl_s(through: Resolver, name: str) -> int | None:
    replies = await asyncio.gather(through.ask(name, "A"), through.ask(name, "AAAA"))
    found = [
        rrset_of(reply.answer, name, rtype)
        for reply in replies
        if isinstance(reply, dns.message.Message)
        for rtype in ADDRESS_TYPES
    ]
    return max((rrset.ttl for rrset in found if rrset is not None), default=None)


async def _caa(through: Resolver, plan: Plan) -> CaaSeen | None:
    """The records that count afterwards: those at the end of the CNAME; else the nearest above the name, for what
    stands at the name itself moves out of sight."""
    if plan.target is not None and not plan.inside:
        found = await _caa_at(through, plan.target)
        if found is not None:
            return found
    here = dns.name.from_text(plan.name)
    while len(here) > 2:
        here = here.parent()
        found = await _caa_at(through, here.to_text(omit_final_dot=True))
        if found is not None:
            return found
    return None


async def _caa_at(through: Resolver, name: str) -> CaaSeen | None:
    rrset = await through.find(name, "CAA")
    if rrset is None:
        return None
    records = [rdata for rdata in rrset if isinstance(rdata, CAA)]
    return CaaSeen(
        name, tuple((r.flags, r.tag.decode(), printable(r.value.decode("utf-8", "replace"))) for r in records)
    )
