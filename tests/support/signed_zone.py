"""Zones signed with keys of the test's own, and a validator that is not ours: dnspython's signatures, and the rules of
RFC 4035 section 5.4 for what is denied, written down once more."""

import dataclasses
import functools

import dns.dnssec
import dns.flags
import dns.name
import dns.rdataclass
import dns.rdatatype
import dns.rrset

from gslb.dns.dnssec.making import make_key
from gslb.snapshot.types import ZoneKey

SECRET = bytes(range(32))
NOW_S = 1_790_000_000.0
"""When the tests sign and validate."""


@functools.cache
def keys_of(zone: str, algorithm: int = 13) -> tuple[ZoneKey, ...]:
    """A KSK and a ZSK that are in use."""
    made = [make_key(zone, role, algorithm, SECRET) for role in ("ksk", "zsk")]
    return tuple(dataclasses.replace(key, published=True, signs=True, announced=key.role == "ksk") for key in made)


def faults(reply, question, dnskeys, now_s=NOW_S):
    """What a validator would find wrong with `reply` to (name, type); `dnskeys` by apex, as {name: rrset}. Empty: the
    reply is secure."""
    found = []
    for section in (reply.answer, reply.authority):
        for rrset in section:
            if rrset.rdtype != dns.rdatatype.RRSIG and not _may_be_bare(reply, section, rrset):
                found += _unsigned(section, rrset, dnskeys, now_s)
    return found or _unproven(reply, *question, dnskeys)


def _may_be_bare(reply, section, rrset):
    """NS records of a delegation, and the CNAME that a DNAME means."""
    if rrset.rdtype == dns.rdatatype.NS and section is reply.authority:
        return True
    if rrset.rdtype != dns.rdatatype.CNAME:
        return False
    owners = [other.name for other in section if other.rdtype == dns.rdatatype.DNAME]
    return any(rrset.name.is_subdomain(owner) and rrset.name != owner for owner in owners)


def _unsigned(section, rrset, dnskeys, now_s):
    seals = [
        r for r in section if r.rdtype == dns.rdatatype.RRSIG and r.name == rrset.name and r.covers == rrset.rdtype
    ]
    what = f"{rrset.name} {dns.rdatatype.to_text(rrset.rdtype)}"
    if not seals:
        return [f"no signature of {what}"]
    if seals[0].ttl != rrset.ttl:
        return [f"the signature of {what} has another TTL"]
    signer = seals[0][0].signer
    try:
        dns.dnssec.validate(rrset, seals[0], {signer: dnskeys[signer]}, now=now_s)
    except (dns.dnssec.ValidationFailure, KeyError) as error:
        return [f"{what}: {error!r}"]
    return []


def _unproven(reply, name, qtype, dnskeys):
    """What of the denial is missing. Follows aliases, as a resolver does."""
    missing = []
    denials = [
        (rrset.name, rdata) for rrset in reply.authority if rrset.rdtype == dns.rdatatype.NSEC for rdata in rrset
    ]
    answered, name = _follow(reply, name, qtype)
    for rrset in reply.answer:
        wildcard = _wildcard_of(reply.answer, rrset)
        if wildcard and not any(_covers(owner, rdata, rrset.name) for owner, rdata in denials):
            missing.append(f"nothing says that {rrset.name} itself is not there")
    if answered:
        return missing
    if reply.rcode() == dns.rcode.NXDOMAIN:
        return missing + _name_error(name, denials)
    cut = next((r.name for r in reply.authority if r.rdtype == dns.rdatatype.NS), None)
    if cut is not None:
        if any(r.rdtype == dns.rdatatype.DS for r in reply.authority):
            return missing
        proven = any(owner == cut and _has(rdata, "NS") and not _has(rdata, "DS") and not _has(rdata, "SOA")
                     for owner, rdata in denials)  # fmt: skip
        return missing if proven else [*missing, f"nothing says that {cut} has no DS records"]
    if not any(rrset.rdtype == dns.rdatatype.SOA for rrset in reply.authority):
        return missing  # an alias that leads out of the zone
    return missing + _no_data(name, qtype, denials)


def _follow(reply, name, qtype):
    for _ in range(len(reply.answer) + 1):
        if reply.get_rrset(reply.answer, name, dns.rdataclass.IN, qtype) or qtype == dns.rdatatype.ANY:
            return True, name
        alias = reply.get_rrset(reply.answer, name, dns.rdataclass.IN, dns.rdatatype.CNAME)
        if alias is None:
            return False, name
        name = alias[0].target
    return False, name


def _wildcard_of(section, rrset):
    for seal in section:
        if seal.rdtype == dns.rdatatype.RRSIG and seal.name == rrset.name and seal.covers == rrset.rdtype:
            return seal[0].labels < len(rrset.name) - 1 - (rrset.name.labels[0] == b"*")
    return False


def _name_error(name, denials):
    if not any(_covers(owner, rdata, name) for owner, rdata in denials):
        return [f"nothing covers {name}"]
    wildcard = dns.name.Name((b"*",)) + _encloser(name, denials)
    return [] if any(_covers(owner, rdata, wildcard) for owner, rdata in denials) else [f"nothing covers {wildcard}"]


def _no_data(name, qtype, denials):
    def lacks(rdata):
        return not _has(rdata, qtype) and not _has(rdata, "CNAME")

    if any(owner == name and lacks(rdata) for owner, rdata in denials):
        return []
    if any(_covers(owner, rdata, name) and rdata.next.is_subdomain(name) for owner, rdata in denials):
        return []  # an empty non-terminal
    if any(_covers(owner, rdata, name) for owner, rdata in denials):
        wildcard = dns.name.Name((b"*",)) + _encloser(name, denials)
        if any(owner == wildcard and lacks(rdata) for owner, rdata in denials):
            return []
    return [f"nothing says that {name} has no {dns.rdatatype.to_text(qtype)}"]


def _encloser(name, denials):
    """The closest encloser that the denial which covers `name` shows."""
    owner, rdata = next((owner, rdata) for owner, rdata in denials if _covers(owner, rdata, name))
    shared = [name.fullcompare(other)[2] for other in (owner, rdata.next)]
    return dns.name.Name(name.labels[-max(shared) :])


def _covers(owner, rdata, name):
    if name == owner or (name.is_subdomain(owner) and _has(rdata, "NS") and not _has(rdata, "SOA")):
        return False
    last = rdata.next <= owner
    return owner < name and (last or name < rdata.next)


def _has(rdata, qtype):
    number = dns.rdatatype.from_text(qtype) if isinstance(qtype, str) else qtype
    return any(
        window == number >> 8 and (number & 0xFF) >> 3 < len(bits) and bits[(number & 0xFF) >> 3] & 0x80 >> (number & 7)
        for window, bits in rdata.windows
    )
