"""Asks the real parent of a zone, and every server of the zone. What is right is for `delegation_judge` to say."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from typing import NamedTuple

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.rrset

from gslb import clock
from gslb.outside.asking import DNS_PORT, Asker, Resolver, host_names, query, rrset_of
from gslb.outside.delegation_judge import judge
from gslb.outside.delegation_seen import (
    ChildSeen,
    DelegationSeen,
    DsObservation,
    Failure,
    ParentSeen,
    Server,
    Signed,
    Wanted,
)
from gslb.outside.findings import Finding

__all__ = ["Checked", "check", "observe", "parent_ds"]

Progress = Callable[[str], None]


class Checked(NamedTuple):
    """What was seen of one zone, and what is wrong with it."""

    seen: DelegationSeen
    findings: tuple[Finding, ...]


async def check(
    wanted: Iterable[Wanted], resolver: tuple[str, int] | None, progress: Progress, *, port: int = DNS_PORT
) -> tuple[Checked, ...]:
    """Every zone at the same time, within 15 s, through `resolver` (None: this machine's); authoritative servers are
    asked on `port`. Raises HostError where no resolver answers."""
    asker = Asker(port=port)
    through = await Resolver.open(asker, resolver)
    everything = await asyncio.gather(*(observe(asker, through, zone, progress) for zone in wanted))
    wall_s = clock.wall_s()
    return tuple(Checked(seen, judge(seen, wall_s)) for seen in everything)


async def parent_ds(zone: str, resolver: tuple[str, int] | None = None, *, port: int = DNS_PORT) -> DsObservation:
    """The DS records of `zone` at every server of its parent, found through `resolver` (None: this machine's). Where
    the parent is not found or silent, `servers` is empty. Takes 15 s at most.

    Raises HostError where no resolver answers.
    """
    asker = Asker(port=port)
    found = await (await Resolver.open(asker, resolver)).zone_of(_above(zone))
    servers = () if isinstance(found, Failure) else found[1]
    views = await asyncio.gather(*(_ask_ds(asker, zone, server) for server in servers))
    told = [view for view in views if view.failure is None]
    sets = [view.ds for view in told]
    everywhere = frozenset.intersection(*sets) if sets else frozenset()
    return DsObservation(
        records=everywhere,
        partial=frozenset().union(*sets) - everywhere,
        ttl_s=max((view.ds_ttl_s for view in told if view.ds_ttl_s is not None), default=None),
        servers=tuple(view.server for view in told),
        silent=tuple(view.server for view in views if view.failure is not None),
    )


async def observe(asker: Asker, resolver: Resolver, wanted: Wanted, progress: Progress) -> DelegationSeen:
    """Everything about one zone. `progress` is told what is done next, in a few words."""
    zone = wanted.zone
    progress(f"{zone}: looking for the parent")
    found = await resolver.zone_of(_above(zone))
    parent = found if isinstance(found, Failure) else found[0]
    servers = () if isinstance(found, Failure) else found[1]
    progress(f"{zone}: asking the parent's servers")
    parents = await asyncio.gather(*(_ask_parent(asker, zone, server) for server in servers))
    progress(f"{zone}: asking its own servers")
    targets = await _targets(resolver, wanted, parents)
    children = await asyncio.gather(*(_ask_child(asker, zone, server) for server in targets))
    return DelegationSeen(wanted, parent, tuple(parents), tuple(children))


def _above(zone: str) -> str:
    """The name above a zone, where the search for its parent starts."""
    return dns.name.from_text(zone).parent().to_text(omit_final_dot=True)


async def _targets(resolver: Resolver, wanted: Wanted, parents: Iterable[ParentSeen]) -> list[Server]:
    """Every server that the parent or the policy names, at each address that either of them or, for a name outside the
    zone, DNS knows."""
    known: dict[str, set[str]] = {name: set(ips) for name, ips in wanted.nameservers.items()}
    for view in parents:
        for name in view.nameservers:
            known.setdefault(name, set()).update(view.glue.get(name, ()))
    outside = [name for name in known if not name.endswith(f".{wanted.zone}")]
    for server in await resolver.servers(outside):
        known[server.name].add(server.address)
    return sorted(Server(name, ip) for name, ips in known.items() for ip in ips)


# The parent -----------------------------------------------------------------------------------------------------------


async def _ask_parent(asker: Asker, zone: str, server: Server) -> ParentSeen:
    reply, with_ds = await asyncio.gather(asker.ask(query(zone, "NS"), server.address), _ask_ds(asker, zone, server))
    failure = reply if isinstance(reply, Failure) else _unable(reply)
    if isinstance(reply, Failure) or failure is not None or with_ds.failure is not None:
        return ParentSeen(server, failure or with_ds.failure)
    answered = rrset_of(reply.answer, zone, "NS")
    rrset = answered or rrset_of(reply.authority, zone, "NS")
    return ParentSeen(
        server,
        nameservers=host_names(rrset) if rrset else frozenset(),
        glue=_glue(reply),
        ns_ttl_s=rrset.ttl if rrset else None,
        ds=with_ds.ds,
        ds_ttl_s=with_ds.ds_ttl_s,
        signed=with_ds.signed,
        serves_child=answered is not None,
    )


async def _ask_ds(asker: Asker, zone: str, server: Server) -> ParentSeen:
    """The DS part of a view; its TTL is the negative one where there is none (RFC 2308 section 5)."""
    reply = await asker.ask(query(zone, "DS"), server.address)
    failure = reply if isinstance(reply, Failure) else _unable(reply)
    if isinstance(reply, Failure) or failure is not None:
        return ParentSeen(server, failure)
    rrset = rrset_of(reply.answer, zone, "DS")
    soa = next((item for item in reply.authority if item.rdtype == dns.rdatatype.SOA), None)
    negative_s = min(soa.ttl, soa[0].minimum) if soa else None
    return ParentSeen(
        server,
        ds=_octets(rrset),
        ds_ttl_s=rrset.ttl if rrset else negative_s,
        signed=any(item.rdtype == dns.rdatatype.RRSIG for item in (*reply.answer, *reply.authority)),
    )


def _unable(reply: dns.message.Message) -> Failure | None:
    """A parent's server may say that the zone does not exist; anything else than that or an answer is a failure."""
    if reply.rcode() in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
        return None
    return Failure("lame", f"it answers {dns.rcode.to_text(reply.rcode())}")


def _glue(reply: dns.message.Message) -> dict[str, frozenset[str]]:
    glue: dict[str, frozenset[str]] = {}
    for rrset in reply.additional:
        if rrset.rdtype in (dns.rdatatype.A, dns.rdatatype.AAAA):
            name = rrset.name.to_text(omit_final_dot=True).lower()
            glue[name] = glue.get(name, frozenset()) | {rdata.address for rdata in rrset}
    return glue


# The zone -------------------------------------------------------------------------------------------------------------


async def _ask_child(asker: Asker, zone: str, server: Server) -> ChildSeen:
    """SOA over both transports first; the rest only of a server that answers over one of them."""
    written = _mixed_case(zone)
    over_udp, over_tcp = await asyncio.gather(
        asker.udp(query(written, "SOA"), server.address), asker.tcp(query(written, "SOA"), server.address)
    )
    edns = ""
    if _edns_may_be_why(over_udp):
        plain = await asker.udp(query(written, "SOA", edns=False), server.address)
        if _failure(plain, zone) is None:
            edns = "it answers only what comes without EDNS"
            over_udp = plain
    elif isinstance(over_udp, dns.message.Message) and over_udp.edns < 0:
        edns = "it ignores EDNS"
    udp, tcp = _failure(over_udp, zone), _failure(over_tcp, zone)
    good = over_tcp if tcp is None else over_udp if udp is None else None
    if not isinstance(good, dns.message.Message):
        return ChildSeen(server, udp, tcp, edns=edns)
    ask = asker.ask if udp is None else asker.tcp
    nameservers, keys = await asyncio.gather(
        ask(query(zone, "NS", edns=not edns), server.address), ask(query(zone, "DNSKEY", edns=not edns), server.address)
    )
    soa, listed = rrset_of(good.answer, zone, "SOA"), _answer(nameservers, zone, "NS")
    return ChildSeen(
        server,
        udp,
        tcp,
        serial=soa[0].serial if soa else None,
        nameservers=host_names(listed) if listed else frozenset(),
        soa=_signed(good, zone, "SOA"),
        keys=_signed(keys, zone, "DNSKEY"),
        edns=edns,
        same_case=_same_case(over_udp, written),
    )


def _edns_may_be_why(reply: dns.message.Message | Failure) -> bool:
    if isinstance(reply, Failure):
        return reply.kind == "silent"
    return reply.rcode() in (dns.rcode.FORMERR, dns.rcode.NOTIMP, dns.rcode.BADVERS)


def _failure(reply: dns.message.Message | Failure, zone: str) -> Failure | None:
    """None for an authoritative answer with the SOA of the zone, or one that was cut: TCP has the whole."""
    if isinstance(reply, Failure):
        return reply
    if reply.rcode() != dns.rcode.NOERROR:
        return Failure("lame", f"it answers {dns.rcode.to_text(reply.rcode())}")
    if not reply.flags & dns.flags.AA:
        return Failure("lame", "its answer is not authoritative")
    if rrset_of(reply.answer, zone, "SOA") is None and not reply.flags & dns.flags.TC:
        return Failure("lame", "it has no SOA record of the zone")
    return None


def _answer(reply: dns.message.Message | Failure, zone: str, rtype: str) -> dns.rrset.RRset | None:
    return None if isinstance(reply, Failure) else rrset_of(reply.answer, zone, rtype)


def _signed(reply: dns.message.Message | Failure, zone: str, rtype: str) -> Signed:
    rrset = _answer(reply, zone, rtype)
    if rrset is None or isinstance(reply, Failure):
        return Signed()
    covers = dns.rdatatype.from_text(rtype)
    signatures = [item for item in reply.answer if item.rdtype == dns.rdatatype.RRSIG and item.covers == covers]
    return Signed(_octets(rrset), frozenset().union(*map(_octets, signatures)))


def _octets(rrset: dns.rrset.RRset | None) -> frozenset[bytes]:
    return frozenset(rdata.to_digestable() for rdata in rrset) if rrset else frozenset()


def _same_case(reply: dns.message.Message | Failure, written: str) -> bool:
    """A reply without a question, such as FORMERR may be, says nothing about case."""
    if isinstance(reply, Failure) or not reply.question:
        return True
    return reply.question[0].name.labels == dns.name.from_text(written).labels


def _mixed_case(zone: str) -> str:
    """Resolvers that randomise case against forgers need it back as it was sent."""
    return "".join(letter.upper() if index % 2 else letter for index, letter in enumerate(zone))
