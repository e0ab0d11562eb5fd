"""Judges whether a name is ready to be moved here: what stands in the way, and what to do. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from gslb.model.words import iso
from gslb.outside.caa import allowed_issuers, identifiers_of
from gslb.outside.cutover_seen import AnswerSeen, CertificateSeen, CutoverSeen, NameSeen, Plan
from gslb.outside.delegation_judge import judge as judge_delegation
from gslb.outside.delegation_seen import Failure
from gslb.outside.findings import Finding, error, merged, note, warning

__all__ = ["ADDRESS_TYPES", "NEW_TTL_S", "has_moved", "judge_cutover"]

OLD_TTL_LIMIT_S = 300
"""Five minutes is how long a person watches a cutover; with more, going wrong lasts longer than noticing it."""
NEW_TTL_S = 60
RENEW_S = 14 * 86_400
ADDRESS_TYPES = ("A", "AAAA", "CNAME")
_APEX_TYPES = ("SOA", "NS")


def judge_cutover(seen: CutoverSeen, wall_s: float) -> tuple[Finding, ...]:
    """Everything that stands in the way of the move is an error. `wall_s` is now (Unix seconds)."""
    return merged(
        [
            *_app(seen.plan),
            *_present(seen, wall_s),
            *_edges(seen),
            *_certificates(seen, wall_s),
            *_caa(seen),
            *_our_zone(seen, wall_s),
        ]
    )


def has_moved(seen: CutoverSeen) -> bool:
    """Whether the name is answered from here already: what it was before cannot be seen any more."""
    plan, cname = seen.plan, seen.today.records.get("CNAME")
    if plan.inside:
        return seen.today.zone == plan.zone
    return cname is not None and cname.data == (f"{plan.target}.",)


def _app(plan: Plan) -> Iterator[Finding]:
    if plan.app is None:
        message = f"no app has {plan.name} among its hosts: the edges would answer 404"
        remedy = f"add it to the hosts of its app, as in hosts: [shop, {plan.name}]; or say which app with --to HOST"
        yield error("no-app", message, remedy)
    elif plan.name not in plan.hosts:
        message = f"{plan.name} is no host of {plan.app}: the edges would answer 404"
        yield error("unknown-host", message, f"write hosts: [{', '.join([*plan.hosts, plan.name])}] in apps.{plan.app}")


# The name today -------------------------------------------------------------------------------------------------------


def _present(seen: CutoverSeen, wall_s: float) -> Iterator[Finding]:
    plan, today = seen.plan, seen.today
    if isinstance(today.zone, Failure):
        remedy = "try another resolver: --resolver ADDRESS[:PORT]"
        yield error("unseen", f"what {plan.name} is today cannot be seen: {today.zone.why}", remedy)
        return
    if has_moved(seen):
        yield note("moved", f"{plan.name} is answered from here already", "nothing is left to do in DNS")
        return
    if not any(rtype in today.records for rtype in ADDRESS_TYPES):
        yield note("new-name", f"{plan.name} has no address today", "nobody is moved: add the record when you like")
    yield from _old_ttl(today, wall_s)
    yield from _in_the_way(plan, today)


def _old_ttl(today: NameSeen, wall_s: float) -> Iterator[Finding]:
    ttls = {rtype: today.records[rtype].ttl_s for rtype in ADDRESS_TYPES if rtype in today.records}
    longest_s = max(ttls.values(), default=0)
    if longest_s > OLD_TTL_LIMIT_S:
        which = ", ".join(f"{rtype} {ttl_s:,} s" for rtype, ttl_s in ttls.items())
        yield error(
            "old-ttl",
            f"resolvers keep what it is today for up to {longest_s:,} s ({which})",
            f"lower the TTL in {today.zone} to {NEW_TTL_S} s, and wait {longest_s:,} s: "
            f"if you do it now, until {iso(wall_s + longest_s)}",
        )
    elif today.cached_ttl_s is not None and ttls and today.cached_ttl_s > longest_s:
        message = f"the TTL was lowered to {longest_s:,} s, but resolvers still keep the old one"
        yield error("old-ttl-kept", message, f"wait until {iso(wall_s + today.cached_ttl_s)}")


def _in_the_way(plan: Plan, today: NameSeen) -> Iterator[Finding]:
    """What cannot stand beside a CNAME (RFC 1034 section 3.6.2), or is left behind by a delegation."""
    others = [rtype for rtype in today.records if rtype not in (*ADDRESS_TYPES, *_APEX_TYPES)]
    target = plan.target or "the app's host"
    if plan.inside:
        if others:
            message = f"{plan.name} has {', '.join(others)} records today, which a delegation leaves behind"
            yield warning("left-behind", message, f"put them into the zone file of {plan.zone} first (records:)")
    elif today.zone == plan.name:
        yield error(
            "apex",
            f"{plan.name} is a zone of its own: it cannot be a CNAME",
            f"use your provider's ALIAS or ANAME to {target} (it is then steered for the provider's resolvers), or "
            f"delegate it to gslb: add it to zones, with its other records in a zone file",
        )
    elif others:
        message = f"{plan.name} has {', '.join(others)} records, which cannot stand beside a CNAME"
        yield error("hidden", message, "move them to another name first, or delegate the name to gslb")


# The new side ---------------------------------------------------------------------------------------------------------


def _edges(seen: CutoverSeen) -> Iterator[Finding]:
    for answer in seen.answers:
        where = f"{answer.address} port {answer.port}"
        if answer.failure is not None:
            yield _unanswered("edge-silent", answer, where)
        elif answer.nobodys and answer.status == 404 and seen.plan.name in seen.plan.hosts:
            message = f"the edge does not know {seen.plan.name} yet, or no route takes /: it answers 404 by itself"
            yield error("edge-404", message, "see gslb status: is this policy in force there?", where)
        elif answer.status >= 500:
            message = f"the edge answers {answer.status} to GET /"
            yield error("edge-failing", message, "see gslb status: which backend is down, and why?", where)


def _unanswered(rule: str, seen: AnswerSeen | CertificateSeen, where: str) -> Finding:
    assert seen.failure is not None
    if seen.failure.kind == "unasked":
        return note("unasked", f"not asked: {seen.failure.why}", "check from where it can be reached, too", where)
    return error(rule, f"the new side does not answer: {seen.failure.why}", "see that clients can reach it", where)


def _certificates(seen: CutoverSeen, wall_s: float) -> Iterator[Finding]:
    """The new side must show at least what the old one does."""
    served = [certificate for certificate in seen.old_certificates if certificate.failure is None]
    trusted = any(not certificate.distrust for certificate in served)
    for certificate in seen.new_certificates:
        if certificate.failure is None:
            yield from _certificate(seen.plan.name, certificate, wall_s, trusted=trusted)
        elif certificate.failure.kind == "unasked":
            yield _unanswered("https-missing", certificate, certificate.address)
        elif served:
            message = f"clients come by https today, and the new side has none: {certificate.failure.why}"
            remedy = "end TLS in front of the edges, with a certificate for the name"
            yield error("https-missing", message, remedy, certificate.address)


def _certificate(name: str, seen: CertificateSeen, wall_s: float, *, trusted: bool) -> Iterator[Finding]:
    if covering(name, seen.names) is None:
        message = f"the certificate is for {', '.join(seen.names) or 'no name'}, not for {name}"
        yield error("certificate-name", message, f"get one that names {name}", seen.address)
    if seen.until_s <= wall_s:
        message = f"the certificate ended on {iso(seen.until_s)}"
        yield error("certificate-expired", message, "renew it", seen.address)
    elif seen.until_s - wall_s < RENEW_S:
        message = f"the certificate ends on {iso(seen.until_s)}"
        yield warning("certificate-soon", message, "renew it before the move, while both sides can", seen.address)
    if trusted and seen.distrust and seen.until_s > wall_s:
        message = f"the certificate is not trusted ({seen.distrust}); that of today is"
        yield error("certificate-trust", message, "use one of a public authority, with its chain", seen.address)


def covering(name: str, patterns: Sequence[str]) -> str | None:
    """The pattern that covers the name: itself, or a wildcard for its first label (RFC 9525 section 6.3)."""
    wildcard = f"*.{name.partition('.')[2]}"
    return next((pattern for pattern in (name, wildcard) if pattern in patterns), None)


def _caa(seen: CutoverSeen) -> Iterator[Finding]:
    """Whether who issued the certificate (of the new side, where it has one) may do it again after the move."""
    shown = [c for c in (*seen.new_certificates, *seen.old_certificates) if c.failure is None]
    certificate = next((c for c in shown if covering(seen.plan.name, c.names)), None)
    if certificate is None or seen.caa is None:
        return
    wildcard = (covering(seen.plan.name, certificate.names) or "").startswith("*")
    allowed = allowed_issuers(seen.caa, wildcard=wildcard)
    if allowed is None:
        return
    issuer, names = certificate.issuer, identifiers_of(certificate.issuer)
    who = ", ".join(sorted(allowed)) or "nobody"
    if not names:
        message = f"CAA records at {seen.caa.owner} let only {who} issue; the certificate is from {issuer}"
        yield note("caa-unknown", message, "make sure that it is one of them, or it cannot be renewed")
    elif not allowed.intersection(names):
        message = f"CAA records at {seen.caa.owner} let only {who} issue: {issuer} could not renew after the move"
        yield error("caa", message, f'add there: {seen.caa.owner}. IN CAA 0 issue "{names[0]}"')


def _our_zone(seen: CutoverSeen, wall_s: float) -> Iterator[Finding]:
    """The zone that answers afterwards must itself be found. Where the move is its delegation, that comes last."""
    zone = seen.plan.zone
    found = judge_delegation(seen.delegation, wall_s)
    expected = ("not-delegated",) if seen.plan.inside and seen.today.zone != zone else ()
    rules = sorted({f.rule for f in found if f.severity == "error" and f.rule not in expected})
    if rules:
        message = f"the zone {zone} is not delegated as it should be: {', '.join(rules)}"
        yield error("delegation", message, f"see what to do: gslb check-delegation {zone}")
    if seen.today.signed and not any(child.keys.rdatas for child in seen.delegation.children):
        message = f"answers for {seen.plan.name} are signed today; those of {zone} are not"
        yield warning("unsigned", message, "sign it (dnssec: true), if somebody relies on signatures, as mail does")
