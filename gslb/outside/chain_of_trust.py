"""Judges the step of trust from a parent to its zone: DS records against DNSKEY records and signatures. Pure.

dnspython does the arithmetic, so that what gslb signs is judged by somebody else's code.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TypeVar

import dns.dnssec
import dns.name
import dns.rdata
import dns.rdataclass
import dns.rdataset
import dns.rdatatype
import dns.rrset
from dns.dnssectypes import DSDigest
from dns.exception import UnsupportedAlgorithm, ValidationFailure
from dns.rdtypes.ANY.DNSKEY import DNSKEY
from dns.rdtypes.ANY.DS import DS
from dns.rdtypes.ANY.RRSIG import RRSIG
from dns.rdtypes.ANY.SOA import SOA

from gslb.outside.delegation_seen import Signed
from gslb.outside.findings import Finding, error, warning

__all__ = ["ds_lines", "ds_text", "judge_chain"]

_BOGUS = "validating resolvers answer SERVFAIL for the whole zone"
_Data = TypeVar("_Data", DNSKEY, DS, RRSIG, SOA)


def judge_chain(zone: str, ds: frozenset[bytes], keys: Signed, soa: Signed, wall_s: float) -> Iterator[Finding]:
    """What is wrong between the parent's `ds` and what one server of the zone answers. `wall_s` is now (Unix seconds).

    Sources: RFC 4035 section 5.2 (how a validator follows a DS record), RFC 6840 section 5.11 (algorithms).
    """
    known = _read_all(DNSKEY, keys.rdatas)
    if not ds:
        if known:
            message = "the zone is signed, but the parent has no DS record: nobody validates it"
            yield warning("ds-missing", message, f"give the parent: {_wanted(zone, keys)}")
        return
    if not known:
        message = f"the parent has a DS record, but the zone is not signed: {_BOGUS}"
        yield error("bogus", message, "take the DS records out of the parent now, or sign the zone: dnssec: true")
        return
    records = _read_all(DS, ds)
    trusted = {record: key for record in records for key in known if _belongs(zone, record, key)}
    if trusted:
        yield from _unsigned(zone, _read_all(DNSKEY, keys.rdatas), keys.signatures, (list(trusted.values()), wall_s))
        yield from _unsigned(zone, _read_all(SOA, soa.rdatas), soa.signatures, (known, wall_s))
    else:
        tags = ", ".join(str(record.key_tag) for record in records)
        message = f"no DS record of the parent ({tags}) is of a DNSKEY of the zone: {_BOGUS}"
        yield error("bogus", message, f"replace the parent's DS records now with: {_wanted(zone, keys)}")
    yield from _astray(records, trusted, known)
    if trusted and all(record.digest_type == DSDigest.SHA1 for record in trusted):
        message = "the parent's DS records hold SHA-1 digests, which validators may refuse (RFC 8624 section 3.3)"
        yield warning("ds-sha1", message, f"replace them with: {_wanted(zone, keys)}")


def ds_lines(zone: str, keys: Signed) -> list[str]:
    """The DS records (SHA-256) that the parent should have, as lines of a zone file: one for each key that is marked
    as an entry (RFC 4034 section 2.1.1), or for each key where none is."""
    known = _read_all(DNSKEY, keys.rdatas)
    entries = [key for key in known if key.flags & 1] or known
    return [f"{zone}. IN DS {_digest(zone, key, DSDigest.SHA256)}" for key in entries]


def ds_text(data: bytes) -> str:
    """DS data as a zone file has it."""
    return str(_read(DS, data))


def _wanted(zone: str, keys: Signed) -> str:
    return "; ".join(ds_lines(zone, keys))


def _read(kind: type[_Data], data: bytes) -> _Data:
    rtype = dns.rdatatype.from_text(kind.__name__)
    rdata = dns.rdata.from_wire(dns.rdataclass.IN, rtype, data, 0, len(data))
    assert isinstance(rdata, kind)
    return rdata


def _read_all(kind: type[_Data], datas: frozenset[bytes]) -> list[_Data]:
    return [_read(kind, data) for data in sorted(datas)]


def _digest(zone: str, key: DNSKEY, digest_type: DSDigest) -> DS:
    policy = dns.dnssec.allow_all_policy
    return dns.dnssec.make_ds(dns.name.from_text(zone), key, digest_type, policy=policy)


def _belongs(zone: str, record: DS, key: DNSKEY) -> bool:
    """Whether the digest is of this key. False for a digest type that nobody here can make."""
    if (record.key_tag, record.algorithm) != (dns.dnssec.key_id(key), key.algorithm):
        return False
    try:
        return bool(_digest(zone, key, record.digest_type) == record)
    except UnsupportedAlgorithm:
        return False


def _astray(records: Sequence[DS], trusted: Mapping[DS, DNSKEY], known: Sequence[DNSKEY]) -> Iterator[Finding]:
    """DS records beside those that lead to a key. While a key rolls, its DS may come before it (RFC 6781 section
    4.1.2); but every algorithm among them must sign the zone."""
    for record in records:
        tag = record.key_tag
        if record.algorithm not in {key.algorithm for key in known}:
            name = dns.dnssec.algorithm_to_text(record.algorithm)
            message = f"the DS record {tag} is for {name}, and no key of the zone is: strict validators answer SERVFAIL"
            yield error("ds-algorithm", message, "take it out of the parent")
        elif trusted and record not in trusted:
            message = f"the DS record {tag} is of no DNSKEY of the zone"
            yield warning("ds-stray", message, "right while a key rolls (gslb dnssec status); else take it out")


def _unsigned(
    zone: str, data: Sequence[DNSKEY | SOA], signatures: frozenset[bytes], by: tuple[Sequence[DNSKEY], float]
) -> Iterator[Finding]:
    """A finding where none of the keys signs the RRset as it should at that time."""
    keys, wall_s = by
    owner = dns.name.from_text(zone)
    reasons = []
    for signature in _read_all(RRSIG, signatures):
        ttl_s = signature.original_ttl
        among: dict[dns.name.Name, dns.node.Node | dns.rdataset.Rdataset] = {
            owner: dns.rdataset.from_rdata_list(ttl_s, keys)
        }
        rrset = dns.rrset.from_rdata_list(owner, ttl_s, data)
        try:
            dns.dnssec.validate_rrsig(rrset, signature, among, now=wall_s, policy=dns.dnssec.allow_all_policy)
        except (ValidationFailure, UnsupportedAlgorithm) as failure:
            reasons.append(f"{signature.key_tag}: {failure}")
        else:
            return
    what, why = "DNSKEY" if isinstance(data[0], DNSKEY) else "SOA", "; ".join(reasons) or "there are none"
    message = f"the {what} records have no good signature of a trusted key ({why}): {_BOGUS}"
    remedy = "see gslb dnssec status and the clocks of the name servers; if it lasts, take the DS out of the parent"
    yield error("bogus-signature", message, remedy)
