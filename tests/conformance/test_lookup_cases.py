"""RFC 1034 section 4.3.2 by cases: zones with one query each and the answer on which four other servers agree.

The cases are kept beside the checkout. Two things in them are optional, and left out here (minimal responses): the NS
records of the apex beside a positive answer, and addresses that nobody asked for.
"""

import gzip
import json
from pathlib import Path

import dns.flags
import dns.message
import dns.rcode
import dns.rdatatype
import dns.rrset
import dns.zone
import pytest

from gslb.dns.tables import Peer, Tables
from gslb.dns.wire import answer
from gslb.dns.zone import add_empty_non_terminals, add_record, compile_names
from gslb.snapshot.types import LiveState, Version

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
