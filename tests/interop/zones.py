"""The zones of a small Internet: a signed root, a signed TLD, the zones of a policy below it, and what others serve below
those. No socket here: `house` serves them."""

import dataclasses
import functools

import dns.rdata

from gslb import clock
from gslb.dns.compose import compose
from gslb.dns.dnssec.ahead import bodies_ahead
from gslb.dns.dnssec.keys import ED25519, dnskey_rdata, ds_rdata, open_key
from gslb.dns.dnssec.seal import Signer, open_signers, seal
from gslb.model.reader import parse_policy
from gslb.model.wire_name import from_text
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Drain, Provenance
from gslb.snapshot.types import LiveState
from tests.conformance.test_lookup_cases import tables_of
from tests.support.signed_zone import SECRET, keys_of

TLD, APEX, INNER = "test", "gslb.test", "inner.gslb.test"
ROOT_AT, TLD_AT, FAR_AT = "127.0.7.81", "127.0.7.82", "127.0.7.85"
SERVERS = ("127.0.7.83", "127.0.7.84")
"""Of the policy's zones: the first one answers in Python, the second one natively, where that was built."""
RESOLVER_AT, BEHIND_AT = "127.0.7.86", "127.0.7.87"

POLICY = f"""
zone:
  name: {APEX}
  nameservers: {{ns1: [{SERVERS[0]}], ns2: [{SERVERS[1]}]}}
  ttl: 30s
  records: static.zone
  dnssec: true
zones:
  - {{name: {INNER}, nameservers: {{ns1.{APEX}: [{SERVERS[0]}], ns2.{APEX}: [{SERVERS[1]}]}}, ttl: 30s, dnssec: {{algorithm: ed25519}}}}
  - {{name: plain.{APEX}, nameservers: {{ns1.{APEX}: [{SERVERS[0]}], ns2.{APEX}: [{SERVERS[1]}]}}, ttl: 30s}}
  - {{name: low.mid.{APEX}, nameservers: {{ns1.{APEX}: [{SERVERS[0]}], ns2.{APEX}: [{SERVERS[1]}]}}, ttl: 30s, dnssec: true}}
sites:
  dc: {{edges: [{{public: [192.0.2.10, "2001:db8:1::10"]}}], networks: [{RESOLVER_AT}/32]}}
  aws: {{edges: [{{public: [198.51.100.20, "2001:db8:2::20"]}}], networks: [10.0.0.0/8]}}
  old: {{edges: [{{public: [203.0.113.30]}}]}}
apps:
  shop:
    hosts: [shop, "@", shop.inner.{APEX}, shop.plain.{APEX}, shop.low.mid.{APEX}]
    steer: [healthy, {{weighted: {{dc: 1, aws: 1}}, by: answer}}]
    https: {{alpn: [h2, http/1.1]}}
    backends: &backends {{main: {{dc: ["10.0.0.1:80"], aws: ["10.0.0.2:80"]}}}}
    routes: &routes [{{name: all, split: {{main: 100}}}}]
  home:
    hosts: [home, a.deep.down]
    steer: [only: [dc, aws], healthy, networks, priority: [aws, dc], first: 1]
    backends: *backends
    routes: *routes
  both:
    hosts: [both]
    steer: [only: [dc, aws], healthy, first: 2]
    https: {{}}
    backends: *backends
    routes: *routes
  bound:
    hosts: [bound]
    steer: [only: [aws], healthy, first: 1]
    https: {{alpn: [h3], port: 8443}}
    backends: *backends
    routes: *routes
  four:
    hosts: [four]
    families: mixed
    steer: [only: [old], healthy, first: 1]
    https: {{}}
    backends: {{main: {{old: ["10.0.0.1:80"]}}}}
    routes: *routes
"""

STATIC = f"""
$TTL 5m
@         MX     10 mail
          TXT    "v=spf1 -all"
          CAA    0 issue "ca.example.net"
mail      A      192.0.2.25
          AAAA   2001:db8::25
shop      TXT    "beside a steered name"
srv       SRV    0 5 443 mail
UPPER     PTR    Mixed.Case
odd       TXT    "in canonical order"
odd\\000   TXT    "before all others"
odd\\001   TXT    "just behind"
odd\\200   TXT    "behind all letters"
_a._tcp   SRV    0 5 443 mail
x.y.ODD   TXT    "below"
large     TXT    {" ".join(f'"{"t" * 250}"' for _ in range(6))}
types     TYPE65280 \\# 3 010203
          NAPTR  100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!" .
          TLSA   3 1 1 0000000000000000000000000000000000000000000000000000000000000000

www       CNAME  shop
twice     CNAME  www
dangling  CNAME  nowhere
to-ent    CNAME  ent
to-inner  CNAME  shop.inner
to-plain  CNAME  shop.plain
to-bare   CNAME  www.bare

*.wild    A      192.0.2.99
          TXT    "any"
exact.wild TXT   "here"
a.b.wild  TXT    "makes b.wild exist"
*.alias   CNAME  shop
deep.under.ent TXT "deep"

from      DNAME  into
          TXT    "of the owner itself"
into      A      192.0.2.70
host.into A      192.0.2.71
to-from   CNAME  host.from

far       NS     ns.far
ns.far    A      {FAR_AT}
bare      NS     ns.bare
ns.bare   A      {FAR_AT}
"""

ROOT = f"""
. 300 IN SOA a.root. hostmaster.root. 1 3600 600 604800 60
. 300 IN NS a.root.
a.root. 300 IN A {ROOT_AT}
{TLD}. 300 IN NS ns.{TLD}.
ns.{TLD}. 300 IN A {TLD_AT}
"""

PARENT = f"""
{TLD}. 300 IN SOA ns.{TLD}. hostmaster.{TLD}. 1 3600 600 604800 60
{TLD}. 300 IN NS ns.{TLD}.
ns.{TLD}. 300 IN A {TLD_AT}
{APEX}. 3600 IN NS ns1.{APEX}.
{APEX}. 3600 IN NS ns2.{APEX}.
ns1.{APEX}. 3600 IN A {SERVERS[0]}
ns2.{APEX}. 3600 IN A {SERVERS[1]}
"""


def elsewhere(name):
    """A zone below the policy's that somebody else would serve."""
    return f"""
{name}.{APEX}. 300 IN SOA ns.{name}.{APEX}. hostmaster.{name}.{APEX}. 1 3600 600 604800 60
{name}.{APEX}. 300 IN NS ns.{name}.{APEX}.
ns.{name}.{APEX}. 300 IN A {FAR_AT}
www.{name}.{APEX}. 300 IN A 192.0.2.44
*.{name}.{APEX}. 300 IN TXT "any of {name}"
"""


# Keys and signatures ---------------------------------------------------------------------------------------------------


def ds_lines(name, keys, ttl_s=300):
    """The DS records of a zone, as its parent has them."""
    for key in keys:
        rdata = ds_rdata(from_text(name), dnskey_rdata(key))
        yield f"{name}. {ttl_s} IN DS {dns.rdata.from_wire('IN', 'DS', rdata, 0, len(rdata))}"


def signed(text, keys):
    """Tables of the zone of `text`, signed now."""
    apex = text.split(maxsplit=1)[0].removesuffix(".")
    published = map(dnskey_rdata, keys)
    lines = [f"{apex}. 300 IN DNSKEY {dns.rdata.from_wire('IN', 'DNSKEY', data, 0, len(data))}" for data in published]
    signer = Signer(*(open_key(apex, key, [SECRET]) for key in keys))
    return seal(
        tables_of("\n".join([text.strip(), *lines])), {from_text(apex) if apex else b"\0": signer}, clock.wall_s()
    )


def joined(one, other):
    """What both answer."""
    fields = ("zones", "names", "cuts", "seals", "chains")
    return dataclasses.replace(one, **{field: {**getattr(one, field), **getattr(other, field)} for field in fields})


def root_tables():
    return signed(ROOT + "\n".join(ds_lines(TLD, keys_of(TLD, ED25519)[:1])), keys_of(""))


def parent_tables(ds):
    return signed(PARENT + "\n".join(ds_lines(APEX, ds)), keys_of(TLD, ED25519))


def far_tables():
    return joined(signed(elsewhere("far"), keys_of(f"far.{APEX}")), tables_of(elsewhere("bare").strip()))


def far_ds():
    return "\n" + "\n".join(ds_lines(f"far.{APEX}", keys_of(f"far.{APEX}")[:1])) + "\n"


@functools.cache
def policy(*, signed):
    """The policy, read as from a folder."""
    text = (
        POLICY
        if signed
        else POLICY.replace(", dnssec: {algorithm: ed25519}", "")
        .replace("  dnssec: true\n", "")
        .replace(", dnssec: true", "")
    )
    files = {"p/a.yaml": text.encode(), "p/static.zone": (STATIC + far_ds()).encode()}
    return parse_policy(files).policy


def snapshot(intent, drained=()):
    """The policy of `intent` in force, some sites drained."""
    drains = tuple(Drain(site=site, by=Provenance(at_s=0)) for site in drained)
    return compile_snapshot(
        intent.model_copy(update={"overrides": intent.overrides.model_copy(update={"drains": drains})}), 0.0
    )


def policy_tables(made, live=None, previous=None):
    """As a dns role makes them."""
    tables = compose(made, live or LiveState(), clock.wall_s() - clock.mono_s())
    signers = open_signers(made, [SECRET])
    ahead = bodies_ahead(tables, made) if signers else {}
    return seal(tables, signers, clock.wall_s(), ahead=ahead, previous=previous)
