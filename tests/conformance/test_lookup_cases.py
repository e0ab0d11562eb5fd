"""RFC 1034 section 4.3.2 by cases: zones with one query each and the answer on which four other servers agree.

The cases are kept beside the checkout. Two things in them are optional, and left out here (minimal responses): the NS
records of the apex beside a positive answer, and addresses that nobody asked for.
"""

import dataclasses
import gzip
import json
from pathlib import Path

import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest

from gslb.dns.dnssec.keys import dnskey_rdata, open_key
from gslb.dns.dnssec.seal import Signer, seal
from gslb.dns.tables import Peer, Tables
from gslb.dns.wire import answer
from gslb.dns.zone import add_empty_non_terminals, add_record, compile_names
from gslb.snapshot.types import LiveState, Version
from tests.support.signed_zone import NOW_S, SECRET, faults, keys_of

CASES = Path(__file__).parents[3] / "shared" / "data" / "dns_lookup_cases.jsonl.gz"


def tables_of(text: str) -> Tables:
    """Tables of a zone that has its own SOA and NS records."""
    zone = dns.zone.from_text(text, origin=text.split(maxsplit=1)[0], relativize=False, check_origin=False)
    records, apex = {}, zone.origin.to_wire()
    for name, ttl, rdata in zone.iterate_rdatas():
        add_record(records, name.to_wire().lower(), int(rdata.rdtype), ttl, rdata.to_wire())
    names, cuts = compile_names(apex, records)
    add_empty_non_terminals(names, [apex])
    soa = names[apex][dns.rdatatype.SOA].records[2:]
    return Tables(Version(1, 0), "", LiveState(), {apex: soa}, names, cuts, ())


def records_of(lines):
    """As a set of single records. The class stands where the TTL was left out."""
    found = set()
    for line in lines:
        owner, *rest = line.split()
        ttl = rest.pop(0) if rest[0].isdigit() else None
        rrset = dns.rrset.from_text(owner.lower(), int(ttl or 0), *rest[:2], " ".join(rest[2:]))
        found |= {(rrset.name, rrset.rdtype, ttl and rrset.ttl, rdata) for rdata in rrset}
    return found


def section(rrsets):
    return {(rrset.name, rrset.rdtype, rrset.ttl, rdata) for rrset in rrsets for rdata in rrset}


def difference(case) -> str:
    """What is wrong with our answer, or nothing."""
    query = dns.message.make_query(case["qname"], case["qtype"])
    packet = answer(tables_of(case["zone"]), query.to_wire(), Peer(bytes(4), tcp=True), 0.0, 0)
    reply = dns.message.from_wire(packet)
    authority = records_of(case["authority"])
    if case["answer"] and "AA" in case["flags"]:
        authority = {record for record in authority if record[1] != dns.rdatatype.NS}
    wrong = {
        "rcode": dns.rcode.to_text(reply.rcode()) != case["rcode"],
        "flags": set(dns.flags.to_text(reply.flags).split()) - {"RD"} != set(case["flags"]),
        "answer": section(reply.answer) != records_of(case["answer"]),
        "authority": section(reply.authority) != authority,
        "additional": not section(reply.additional) <= records_of(case["additional"]),
    }
    return ", ".join(name for name, bad in wrong.items() if bad)


@pytest.mark.skipif(not CASES.exists(), reason="the cases are kept beside the checkout, and are not there")
def test_1034_4_3_2_every_case_is_answered_as_others_do():
    with gzip.open(CASES, "rt") as file:
        cases = [json.loads(line) for line in file]
    wrong = {case["id"]: what for case in cases if (what := difference(case))}
    assert wrong == {}
    assert len(cases) == 1821


def signed(tables: Tables) -> tuple[Tables, dict]:
    """The same zone with keys and signatures, and its DNSKEY records as a resolver has them."""
    (apex,) = tables.zones
    zone = dns.name.from_wire(apex, 0)[0]
    keys = keys_of(zone.to_text(omit_final_dot=True))
    records = {}
    for key in keys:
        add_record(records, apex, dns.rdatatype.DNSKEY, 3600, dnskey_rdata(key))
    entry = {**tables.names[apex], **compile_names(apex, records).names[apex]}
    opened = {key.role: open_key(zone.to_text(omit_final_dot=True), key, [SECRET]) for key in keys}
    with_keys = dataclasses.replace(tables, names={**tables.names, apex: entry})
    rrset = dns.rrset.from_rdata_list(
        zone, 3600, [dns.rdata.from_wire("IN", "DNSKEY", rdata, 0, len(rdata)) for rdata in map(dnskey_rdata, keys)]
    )
    return seal(with_keys, {apex: Signer(opened["ksk"], opened["zsk"])}, NOW_S), {zone: rrset}


def insecure(case, tables, dnskeys) -> str:
    query = dns.message.make_query(case["qname"], case["qtype"], want_dnssec=True)
    reply = dns.message.from_wire(answer(tables, query.to_wire(), Peer(bytes(4), tcp=True), 0.0, 0))
    if dns.rcode.to_text(reply.rcode()) != case["rcode"]:
        return "rcode"
    question = query.question[0]
    return "; ".join(faults(reply, (question.name, question.rdtype), dnskeys)) if case["rcode"] != "REFUSED" else ""


@pytest.mark.skipif(not CASES.exists(), reason="the cases are kept beside the checkout, and are not there")
def test_4035_3_1_every_case_is_secure_when_its_zone_is_signed():
    with gzip.open(CASES, "rt") as file:
        cases = [json.loads(line) for line in file]
    zones = {}
    wrong = {}
    for case in cases:
        if case["zone"] not in zones:
            zones[case["zone"]] = signed(tables_of(case["zone"]))
        if what := insecure(case, *zones[case["zone"]]):
            wrong[case["id"]] = what
    # One asks for a name that starts with an asterisk and is covered by a shorter wildcard. RFC 4034 section 3.1.3 has
    # nothing against it, but dnspython does.
    assert wrong == {550: "*.net.campus. A: ValidationFailure('no RRSIGs validated')"}
