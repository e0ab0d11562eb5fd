"""A policy with static records, an app at the apex, and zones inside and beside the steered one, read as from a folder."""

from gslb.dns.compose import compose
from gslb.dns.tables import Tables
from gslb.model.reader import parse_policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState

APEX = "gslb.example.com"
LONG = ".".join(["x" * 60] * 3)

POLICY = """
zone:
  name: gslb.example.com
  nameservers: {ns1: [198.51.100.53], ns2: [203.0.113.53, "2001:db8::53"]}
  ttl: 30s
  records: static.zone
zones:
  - {name: example.org, nameservers: {ns1.gslb.example.com: [198.51.100.53]}, records: org.zone}
  - {name: inner.example.org, nameservers: {ns1: [198.51.100.53]}}
sites:
  dc: {edges: [{public: [192.0.2.10, "2001:db8:1::10"]}]}
  aws: {edges: [{public: [198.51.100.20, "2001:db8:2::20"]}]}
apps:
  shop:
    hosts: [shop, "@", shop.example.org, www.example.net]
    steer: [healthy, weighted: {dc: 1, aws: 1}, ]
    ttl: 20s
    backends: {main: {dc: ["10.0.0.1:80"]}}
    routes: [{name: all, split: {main: 100}}]
"""

ORG = """
$TTL 1h
@      A     192.0.2.80
       NS    ns1.gslb.example.com.
*      TXT   "any of example.org"
inner  NS    ns1.inner
       DS    1 13 2 0000000000000000000000000000000000000000000000000000000000000000
ns1.inner A  198.51.100.53
to     CNAME shop.gslb.example.com.
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
big       TXT {" ".join(f'"{"t" * 250}"' for _ in range(6))}

; aliases
www       CNAME  shop
twice     CNAME  WWW
out       CNAME  www.example.net.
org       CNAME  shop.example.org.
dangling  CNAME  nowhere
nodata    CNAME  mail
to-ent    CNAME  ent
loop1     CNAME  loop2
loop2     CNAME  loop1
self      CNAME  self
{chr(10).join(f"chain{n} CNAME chain{n + 1}" for n in range(40))}

; wildcards
*.wild    A      192.0.2.99
          MX     10 mail
exact.wild TXT   "here"
a.b.wild  TXT    "makes b.wild exist"
*.alias   CNAME  shop
*.star.ent TXT   "deep"
deep.under.ent TXT "deep"

; DNAME
old       DNAME  new
          TXT    "of the owner itself"
new       A      192.0.2.70
host.new  A      192.0.2.71
to-old    CNAME  host.old
far       DNAME  example.net.
wide      DNAME  {LONG}
round     DNAME  round2
grow      DNAME  y.back
back      DNAME  grow
round2    DNAME  round

; delegations
child     NS     ns.child
          NS     ns.example.net.
          NS     mail
          DS     4711 13 2 1111111111111111111111111111111111111111111111111111111111111111
ns.child  A      192.0.2.53
          AAAA   2001:db8::5353
bare      NS     ns.example.net.
to-child  CNAME  www.child
wide-cut  NS     {LONG}.a.wide-cut
{chr(10).join(f"          NS     ns{n}.wide-cut" for n in range(12))}
{LONG}.a.wide-cut A 192.0.2.53
{chr(10).join(f"ns{n}.wide-cut AAAA 2001:db8::{n}" for n in range(12))}

; types
types     TYPE65280 \\# 3 010203
          NAPTR  100 10 "u" "sip+E2U" "!^.*$!sip:info@example.com!" .
          SSHFP  1 1 123456789abcdef67890123456789abcdef67890
          TLSA   3 1 1 0000000000000000000000000000000000000000000000000000000000000000
          HTTPS  1 . alpn=h2
          LOC    50 6 36.000 N 8 40 48.000 E 100m
          HINFO  "PDP-11" "UNIX"
          PTR    Mixed.Case
          A      \\# 4 c0000201
"""


FILES = {"p/a.yaml": POLICY.encode(), "p/static.zone": STATIC.encode(), "p/org.zone": ORG.encode()}


def tables() -> Tables:
    intent = Intent(revision=7, policy=parse_policy(FILES).policy)
    carried = Intent.model_validate_json(intent.model_dump_json())  # as every role gets it
    return compose(compile_snapshot(carried, 0.0), LiveState())
