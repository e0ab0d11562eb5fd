"""Judges a delegation: from what was seen to what is wrong and what to do. Pure; `delegation` does the asking."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable, Iterator, Sequence

from gslb.outside.chain_of_trust import judge_chain
from gslb.outside.delegation_seen import ChildSeen, DelegationSeen, Failure, ParentSeen, Wanted
from gslb.outside.findings import Finding, error, merged, note, warning

__all__ = ["delegation_lines", "judge"]

_NODE = "see which policy that node has in force: gslb status; if it is not yours, take it out of the delegation"
_REACH = "see that it runs, and that UDP and TCP port 53 are open from everywhere"
_IN_FRONT = "let what stands in front of it (a firewall, a load balancer) pass DNS as it is"
_SPREADS = "right after a change it spreads within minutes; if it lasts, tell who runs the parent"


def judge(seen: DelegationSeen, wall_s: float) -> tuple[Finding, ...]:
    """Everything that is wrong, the most urgent first. `wall_s` is now (Unix seconds)."""
    told = [view for view in seen.parents if view.failure is None]
    return merged(
        [
            *_trust(seen, told, wall_s),
            *_parent(seen, told),
            *(finding for child in seen.children for finding in _server(child)),
            *_names(seen, told),
            *(finding for view in told for finding in _glue(seen.wanted, view)),
            *_serials(seen),
            *_disagreement(told),
        ]
    )


def delegation_lines(wanted: Wanted) -> list[str]:
    """The records that the parent should have, as lines of a zone file: NS, and glue for names inside the zone."""
    names = sorted(wanted.nameservers)
    glue = [_address_lines(name, wanted.nameservers[name]) for name in names if _inside(name, wanted.zone)]
    return [*(f"{wanted.zone}. IN NS {name}." for name in names), *(line for lines in glue for line in lines)]


def _trust(seen: DelegationSeen, told: Iterable[ParentSeen], wall_s: float) -> Iterator[Finding]:
    """Every set of DS records that a resolver may see, against every server of the zone that it may ask."""
    for ds in sorted({view.ds for view in told}, key=sorted):
        for child in seen.children:
            if child.serial is not None:
                for finding in judge_chain(seen.wanted.zone, ds, child.keys, child.soa, wall_s):
                    yield dataclasses.replace(finding, where=(str(child.server),))
    for child in seen.children:
        if seen.wanted.signed and child.serial is not None and not child.keys.rdatas:
            message = "the policy signs the zone, and it answers without DNSKEY records"
            yield error("unsigned", message, "see gslb dnssec status and gslb status", str(child.server))


def _parent(seen: DelegationSeen, told: Sequence[ParentSeen]) -> Iterator[Finding]:
    zone = seen.wanted.zone
    if isinstance(seen.parent, Failure):
        message = f"the parent of {zone} was not found: {seen.parent.why}"
        yield error("parent-unknown", message, "try another resolver: --resolver ADDRESS[:PORT]")
        return
    if not told:
        remedy = "see that this machine may ask them: UDP and TCP to port 53"
        yield error("parent-silent", f"no server of the parent {seen.parent} gave an answer", remedy)
    elif not any(view.nameservers for view in told):
        lines = "; ".join(delegation_lines(seen.wanted))
        yield error("not-delegated", f"{seen.parent} does not delegate {zone}", f"put into {seen.parent}: {lines}")
    for view in seen.parents:
        if view.failure is not None:
            kind = note if view.failure.kind == "unasked" else warning
            remedy = "those of its servers that answered were judged" if told else "ask again later"
            yield kind("parent-server", f"a server of the parent: {view.failure.why}", remedy, str(view.server))


def _server(child: ChildSeen) -> Iterator[Finding]:
    udp, tcp, where = child.udp, child.tcp, str(child.server)
    if udp is not None and tcp is not None and udp.kind == tcp.kind:
        yield _failed(udp.kind, udp.why if udp.why == tcp.why else f"{udp.why}; {tcp.why}", "", where)
    else:
        for failure, transport in ((udp, "-udp"), (tcp, "-tcp")):
            if failure is not None:
                yield _failed(failure.kind, failure.why, transport, where)
    if child.edns:
        yield warning("edns", f"{child.edns}, so no signatures and no client subnets pass", _IN_FRONT, where)
    if not child.same_case:
        message = "it changes the case of the question: resolvers that mix it against forgers drop such answers"
        yield warning("case", message, _IN_FRONT, where)


def _failed(kind: str, why: str, transport: str, where: str) -> Finding:
    if kind == "unasked":
        return note(f"unasked{transport}", f"not asked: {why}", "check from where it can be reached, too", where)
    if kind == "lame":
        return error(f"lame{transport}", f"it does not serve the zone: {why}", _NODE, where)
    return error(f"silent{transport}", why, _REACH, where)


def _names(seen: DelegationSeen, told: Iterable[ParentSeen]) -> Iterator[Finding]:
    """NS records of the parent and of the zone's servers against the policy's."""
    zone, wanted = seen.wanted.zone, frozenset(seen.wanted.nameservers)
    for view in told:
        where = str(view.server)
        for name in sorted(wanted - view.nameservers) if view.nameservers else ():
            message = f"the parent does not list {name}, which the policy has"
            yield error("ns-missing", message, f"add at the parent: {zone}. IN NS {name}.", where)
        for name in sorted(view.nameservers - wanted):
            message = f"the parent lists {name}, which the policy does not have"
            remedy = f"take it out of the parent: {zone}. IN NS {name}. (or add it to nameservers)"
            yield error("ns-extra", message, remedy, where)
    for child in seen.children:
        if child.nameservers and child.nameservers != wanted:
            message = f"it names {_list(child.nameservers)} as name servers; the policy names {_list(wanted)}"
            yield error("ns-child", message, _NODE, str(child.server))


def _glue(wanted: Wanted, view: ParentSeen) -> Iterator[Finding]:
    """Names inside the zone cannot be found without glue (RFC 1034 section 4.2.1, RFC 9471)."""
    for name in sorted(view.nameservers) if not view.serves_child else ():
        has, should = view.glue.get(name, frozenset()), wanted.nameservers.get(name, frozenset())
        lines = "; ".join(_address_lines(name, should)) or f"{name}. IN A ADDRESS"
        if not _inside(name, wanted.zone):
            continue
        if not has:
            message = f"the parent has no address of {name}: nobody can find it"
            yield error("glue-missing", message, f"add at the parent: {lines}", str(view.server))
        elif should and has != should:
            message = f"the parent says that {name} is at {_list(has)}; the policy says {_list(should)}"
            yield error("glue-differs", message, f"replace it at the parent with: {lines}", str(view.server))


def _serials(seen: DelegationSeen) -> Iterator[Finding]:
    """All nodes of one installation have the same serial within a second of a change."""
    serials = [child.serial for child in seen.children if child.serial is not None]
    wanted = seen.wanted.serial if seen.wanted.serial is not None else max(serials, default=None)
    for child in seen.children:
        if child.serial not in (None, wanted):
            whose = "in force is" if seen.wanted.serial is not None else "another server has"
            message = f"it answers from policy revision {child.serial}; {whose} {wanted}"
            remedy = "gslb status shows which node is behind and why; ask again in a minute"
            yield error("serial", message, remedy, str(child.server))


def _disagreement(told: Sequence[ParentSeen]) -> Iterator[Finding]:
    for what, views in (
        ("NS records", {view.nameservers for view in told}),
        ("DS records", {view.ds for view in told}),
        ("glue", {frozenset(view.glue.items()) for view in told if not view.serves_child}),
    ):
        if len(views) > 1:
            yield warning("parents-differ", f"the parent's servers do not agree about the {what}", _SPREADS)


def _inside(name: str, zone: str) -> bool:
    return name.endswith(f".{zone}")


def _address_lines(name: str, addresses: Iterable[str]) -> list[str]:
    return [f"{name}. IN {'AAAA' if ':' in ip else 'A'} {ip}" for ip in sorted(addresses)]


def _list(names: Iterable[str]) -> str:
    return ", ".join(sorted(names))
