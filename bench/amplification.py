"""How many octets a query brings back: `python -m bench.amplification` prints the table of docs/reliability.md.

For each kind of query, the largest reply / query over UDP among: plain, with EDNS, with a cookie, and (where a column
says so) with DO. Payloads are what a DNS server is usually judged by; packets, with the headers of UDP and IP on both
sides (28 octets for IPv4, 48 for IPv6), are what a victim's link gets.
"""

import dataclasses
import itertools

import dns.edns
import dns.message

ZONE = "gslb.example.com"
IPV4_BYTES, IPV6_BYTES = 28, 48
COOKIE = dns.edns.GenericOption(10, b"12345678")
NOW_S = 1_790_000_000.0
SECRET = bytes(range(32))

_POLICY = """
zone:
  name: gslb.example.com
  nameservers: {ns1: [198.51.100.53, "2001:db8::53"], ns2: [203.0.113.53, "2001:db8:1::53"]}
  contact: hostmaster@example.com
  ttl: 30s
  records: static.zone
sites:
  dc: {edges: [{public: [192.0.2.10, "2001:db8:1::10"]}]}
  aws: {edges: [{public: [198.51.100.20, "2001:db8:2::20"]}]}
apps:
  shop:
    hosts: [shop]
    steer: [healthy, weighted: {dc: 80, aws: 20}]
    https: {alpn: [h2, http/1.1]}
    backends: {main: {dc: ["10.0.0.1:80"], aws: ["10.9.0.1:80"]}}
    routes: [{name: all, split: {main: 100}}]
"""

_STATIC = f"""
$TTL 5m
shop    TXT    "v=spf1 -all"
@       MX     10 mail
mail    A      192.0.2.25
www     CNAME  shop
sub     NS     ns1.sub
sub     NS     ns2.sub
ns1.sub A      192.0.2.53
ns2.sub A      192.0.2.54
secure  NS     ns1.sub
secure  DS     1 13 2 {"0" * 64}
"""

KINDS = {
    "A": ("shop", "A"),
    "AAAA": ("shop", "AAAA"),
    "HTTPS": ("shop", "HTTPS"),
    "TXT": ("shop", "TXT"),
    "A by an alias": ("www", "A"),
    "ANY": ("shop", "ANY"),
    "ANY of the zone": ("", "ANY"),
    "SOA": ("", "SOA"),
    "NS": ("", "NS"),
    "MX": ("", "MX"),
    "DNSKEY": ("", "DNSKEY"),
    "CDS": ("", "CDS"),
    "RRSIG": ("", "RRSIG"),
    "NODATA": ("shop", "MX"),
    "NXDOMAIN": ("nowhere", "A"),
    "NXDOMAIN, one letter": ("x", "A"),
    "referral": ("www.sub", "A"),
    "referral with DS": ("www.secure", "A"),
}
"""Of an ordinary zone with two nameservers of both families. An operator's own records may be larger, up to 1232
octets."""


def zone(*, signed):
    """Its tables."""
    from gslb.dns.compose import compose
    from gslb.dns.dnssec.making import make_key
    from gslb.dns.dnssec.seal import open_signers, seal
    from gslb.dns.protocol import Protocol
    from gslb.model.reader import parse_policy
    from gslb.snapshot import compile_snapshot
    from gslb.snapshot.intent import Intent
    from gslb.snapshot.types import LiveState

    files = {"p/policy.yaml": _POLICY.encode(), "p/static.zone": _STATIC.encode()}
    snapshot = compile_snapshot(Intent(revision=7, policy=parse_policy(files).policy), 0.0)
    if signed:
        keys = tuple(
            dataclasses.replace(make_key(ZONE, role, 13, SECRET), published=True, signs=True, announced=role == "ksk")
            for role in ("ksk", "zsk")
        )
        snapshot = dataclasses.replace(snapshot, zone=dataclasses.replace(snapshot.zone, keys=keys))
    protocol = Protocol.telling(b"", b"", (bytes(16),))
    tables = dataclasses.replace(compose(snapshot, LiveState(), wall_offset_s=NOW_S), protocol=protocol)
    return seal(tables, open_signers(snapshot, [SECRET]), NOW_S) if signed else tables


def queries(kind, *, dnssec_ok):
    """Its queries on the wire; with `dnssec_ok`, those that ask for signatures."""
    name, qtype = KINDS[kind]
    full = f"{name}.{ZONE}" if name else ZONE
    edns = {"want_dnssec": True} if dnssec_ok else {"use_edns": 0}
    forms = [{"payload": 1232, **edns}, {"payload": 1232, "options": [COOKIE], **edns}]
    for form in forms if dnssec_ok else [{}, *forms]:
        yield dns.message.make_query(full, qtype, id=4711, flags=0, **form).to_wire()


def reply(tables, query, meter=None, client=bytes((192, 0, 2, 1)), mono_s=0.0):
    from gslb.dns.tables import Peer
    from gslb.dns.wire import answer

    return answer(tables, query, Peer(client), mono_s, 0, meter)


def ratio(tables, kind, *, dnssec_ok=False, header_bytes=0):
    """The largest of the kind; `header_bytes` are added to both sides."""
    made = [(len(reply(tables, query)), len(query)) for query in queries(kind, dnssec_ok=dnssec_ok)]
    return max((out + header_bytes) / (into + header_bytes) for out, into in made)


def table():
    """Lines of Markdown."""
    unsigned, signed = zone(signed=False), zone(signed=True)
    yield "| query | unsigned: payload | IPv4 | IPv6 | signed, DO: payload | IPv4 | IPv6 |"
    yield "| --- " * 7 + "|"
    for kind in KINDS:
        cells = [
            ratio(tables, kind, dnssec_ok=dnssec_ok, header_bytes=header_bytes)
            for (tables, dnssec_ok), header_bytes in itertools.product(
                ((unsigned, False), (signed, True)), (0, IPV4_BYTES, IPV6_BYTES)
            )
        ]
        yield f"| {kind} | " + " | ".join(f"{cell:.2f}" for cell in cells) + " |"


if __name__ == "__main__":
    print("\n".join(table()))
