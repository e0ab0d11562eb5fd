"""What both wires are compared over: tables of every kind that a policy compiles to, and packets that are nearly right."""

import dataclasses
from random import Random

import dns.edns
import dns.message
import dns.zonefile

from gslb.dns.compose import compose
from gslb.dns.cookies import stamp
from gslb.dns.dnssec.seal import open_signers, seal
from gslb.dns.protocol import Protocol
from gslb.dns.tables import Peer
from gslb.snapshot.types import LiveState
from tests.conformance.zone import APEX, steered_tables, tables
from tests.support.signed_zone import NOW_S, SECRET, keys_of
from tests.unit.dns.policies import SITES, app, snapshot, weighted

COOKIE_SECRETS = (b"0123456789abcdef", b"fedcba9876543210")
SPOKEN = Protocol.telling(b"ns1", b"gslb", COOKIE_SECRETS)

RECORDS = """
*.wild 20 A 192.0.2.99
a.b.ent 20 TXT "below what has no records"
cut 20 NS ns.cut
ns.cut 20 A 192.0.2.53
old 20 CNAME w
dname 20 DNAME w
long 20 TXT "{0}" "{0}" "{0}" "{0}" "{0}"
a\\000b 20 A 192.0.2.98
""".format("x" * 250)

LABELS = [
    "shop", "SHOP", "big", "ns1", "under", "here", "deep", "nowhere", "x" * 63, "*", "w", "c", "a", "b", "n", "home",
    "drawn", "chance", "all", "legacy", "v4", "wild", "ent", "cut", "old", "dname", "long", "mid", "zz", "\\000",
    "a\\000b", "a\\001",
]  # fmt: skip
TYPES = ["A"] * 6 + ["AAAA"] * 3 + [
    "NS", "SOA", "ANY", "TXT", "HTTPS", "DS", "CNAME", "DNSKEY", "RRSIG", "NSEC", "TYPE41", "TYPE128", "AXFR", "CDS",
]  # fmt: skip
ADDRESSES = [
    b"\x0a\0\0\0", b"\x09\xff\xff\xff", b"\x0a\xff\xff\xff", b"\x0b\0\0\0", b"\xc0\0\2\1", bytes(4), b"\xff" * 4,
    bytes(16), b"\xff" * 16, bytes.fromhex("20010db8000a00090000000000000001"),
]  # fmt: skip


def _snapshot():
    apps = {
        "w": app("healthy", weighted(dc=50, aws=30, gcp=20), hosts=["w"], ttl="30s"),
        "c": app("networks", "healthy", weighted("client", dc=1, aws=99), hosts=["c", "shop"]),
        "a": app("healthy", weighted("answer", dc=80, aws=20), hosts=["a", "big", "deep.under.here"]),
        "n": app("networks", {"priority": ["gcp", "aws"]}, {"first": 1}, hosts=["n"]),
        "v4": app({"first": 1}, hosts=["v4"], backends={"main": {"old": ["10.0.0.1:80"]}}),
    }
    sites = {**SITES, "old": {"edges": [{"public": ["198.51.100.77"]}]}}
    made = snapshot(apps, sites=sites, zone={"ttl": "30s"})
    return dataclasses.replace(made, zone=dataclasses.replace(made.zone, records=_generic(RECORDS)))


def _generic(text):
    """Static records in the form of RFC 3597, one a line, as a snapshot has them."""
    rrsets = dns.zonefile.read_rrsets(text, origin=APEX, relativize=False)
    return "\n".join(
        f"{rrset.name} {rrset.ttl} IN TYPE{int(rrset.rdtype)} {rdata.to_generic().to_text()}"
        for rrset in rrsets
        for rdata in rrset
    )


def drawn():
    """Every way to draw, static records of every kind."""
    return compose(_snapshot(), LiveState())


def signed():
    """The same, signed."""
    made = _snapshot()
    made = dataclasses.replace(made, zone=dataclasses.replace(made.zone, keys=keys_of(APEX)))
    return seal(compose(made, LiveState()), open_signers(made, [SECRET]), NOW_S)


def every_kind():
    """Spoken in every way, too: without cookies and names, with all of them, without subnets."""
    made = [tables(), steered_tables(), drawn(), signed()]
    made += [dataclasses.replace(each, protocol=SPOKEN, wall_offset_s=NOW_S) for each in made]
    made.append(dataclasses.replace(made[3], protocol=Protocol(ecs=False), wall_offset_s=NOW_S))
    return made


def some_packet(numbers: Random, now_s: float) -> tuple[bytes, Peer]:
    """A query as resolvers send them, often with options, sometimes damaged; and from whom."""
    address = numbers.choice(ADDRESSES) if numbers.random() < 0.7 else numbers.randbytes(numbers.choice((4, 16)))
    peer = Peer(address, numbers.random() < 0.1, numbers.random() < 0.1)
    name = ".".join(numbers.choice(LABELS) for _ in range(numbers.choice((0, 1, 1, 1, 1, 2, 2, 3, 9))))
    if numbers.random() < 0.95:
        name = f"{name}.{APEX}" if name else APEX
    more = {}
    if numbers.random() < 0.7:
        more = {
            "use_edns": 1 if numbers.random() < 0.02 else 0,
            "payload": numbers.choice((0, 512, 600, 1232, 4096, 65535)),
            "want_dnssec": numbers.random() < 0.5,
            "options": [_option(numbers, address, now_s) for _ in range(numbers.choice((0, 1, 1, 2, 3)))],
        }
    flags = numbers.choice((0, dns.flags.RD, dns.flags.CD | dns.flags.AD))
    rdclass = numbers.choice(("IN",) * 40 + ("ANY", "CH"))
    query = dns.message.make_query(
        name, numbers.choice(TYPES), rdclass, id=numbers.getrandbits(16), flags=flags, **more
    )
    packet = bytearray(query.to_wire())
    for _ in range(numbers.choice((0, 0, 0, 0, 1, 2))):
        where = numbers.randrange(len(packet) + 1)
        packet[where : where + numbers.randrange(4)] = numbers.randbytes(numbers.randrange(4))
    return bytes(packet), peer


def _option(numbers, address, now_s):
    kind = numbers.random()
    if kind < 0.45:
        return dns.edns.GenericOption(8, _subnet(numbers))
    if kind < 0.8:
        return dns.edns.GenericOption(10, _cookie(numbers, address, now_s))
    return dns.edns.GenericOption(
        numbers.choice((3, 3, 11, 12, 15, 77)), numbers.randbytes(numbers.choice((0, 0, 2, 9)))
    )


def _subnet(numbers):
    family = numbers.choice((1, 1, 1, 2, 2, 0, 3) if numbers.random() < 0.2 else (1, 2))
    size = 4 if family == 1 else 16
    bits = numbers.choice((0, 8, 16, 20, 24, 31, 32, 48, 56, 64, 128))
    bits = bits if numbers.random() < 0.1 else min(bits, size * 8)
    address = numbers.choice([a for a in ADDRESSES if len(a) == size])
    whole = int.from_bytes(address) >> max(size * 8 - bits, 0) << max(size * 8 - bits, 0)
    octets = whole.to_bytes(size)[: (bits + 7) // 8]
    scope = 0 if numbers.random() < 0.95 else 24
    return family.to_bytes(2) + bytes((bits, scope)) + octets


def _cookie(numbers, address, now_s):
    client = b"\x24\x64\xc4\xab\xcf\x10\xc9\x57"
    if numbers.random() < 0.2:
        return client + numbers.randbytes(numbers.choice((0, 0, 1, 8, 16, 32, 33)))
    age_s = numbers.choice((-301, -300, 0, 0, 0, 1799, 1800, 3600, 3601))
    secrets = numbers.choice((COOKIE_SECRETS[:1], COOKIE_SECRETS[1:], (bytes(16),)))
    asked_from = address if numbers.random() < 0.9 else bytes(len(address))
    return stamp(secrets, client, asked_from, now_s - age_s).cookie
