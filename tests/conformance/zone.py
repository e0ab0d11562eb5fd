"""The zone of the conformance suite: the policy that gslb runs, and what it must look like from outside.

`ZONE_FILE` is the same zone in the standard format, so that any other server can be asked the same questions.
"""

from gslb.dns.compose import compose
from gslb.dns.tables import Tables
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import LiveState

APEX = "gslb.example.com"
REVISION = 4_000_000_001
"""Above 2**31: serials are unsigned."""

MANY = [f"2001:db8:9::{number:x}" for number in range(1, 61)]
SOME = [f"192.0.2.{number}" for number in range(1, 41)]

ZONE_FILE = "\n".join(
    [
        "$ORIGIN gslb.example.com.",
        f"@ 30 SOA ns1 hostmaster {REVISION} 3600 600 604800 30",
        "@ 3600 NS ns1",
        "@ 3600 NS ns2",
        "@ 3600 NS ns.example.net.",
        "ns1 3600 A 198.51.100.53",
        "ns1 3600 AAAA 2001:db8::53",
        "ns2 3600 A 203.0.113.53",
        "shop 20 A 192.0.2.10",
        "shop 20 AAAA 2001:db8:1::10",
        "deep.under.here 20 A 192.0.2.10",
        "deep.under.here 20 AAAA 2001:db8:1::10",
        "legacy 30 A 198.51.100.20",
        *(f"big 30 AAAA {address}" for address in MANY),
        *(f"big 30 A {address}" for address in SOME),
    ]
)


def site(*addresses):
    return {"edges": [{"public": list(addresses)}]}


def app(hosts, sites, **more):
    return {
        "hosts": hosts,
        "steer": ["healthy", {"weighted": dict.fromkeys(sites, 1)}],
        "backends": {"main": {site: ["10.0.0.1:80"] for site in sites}},
        "routes": [{"name": "all", "split": {"main": 100}}],
        **more,
    }


def snapshot():
    policy = {
        "zone": {
            "name": APEX,
            "nameservers": {
                "ns1": ["198.51.100.53", "2001:db8::53"],
                "ns2": ["203.0.113.53"],
                "ns.example.net": ["203.0.113.99"],
            },
            "ttl": "30s",
        },
        "sites": {
            "dc": site("192.0.2.10", "2001:db8:1::10"),
            "old": site("198.51.100.20"),
            "wide": site(*MANY, *SOME),
        },
        "apps": {
            "shop": app(["shop", f"deep.under.here.{APEX}", "www.example.org"], ["dc"], ttl="20s"),
            "legacy": app(["legacy"], ["old"]),
            "big": app(["big"], ["wide"]),
        },
    }
    return compile_snapshot(Intent(revision=REVISION, policy=Policy.model_validate(policy)), 0.0)


def tables() -> Tables:
    return compose(snapshot(), LiveState())


def steered_tables() -> Tables:
    """Answers that depend on the client: `home` by network, `drawn` by a hash of its prefix, `chance` by lot; `all`
    does not."""
    near = site("192.0.2.10") | {"networks": ["10.0.0.0/8", "2001:db8:a::/48", "127.0.7.60/32"]}
    far = site("198.51.100.20")
    both = {"near": 1, "far": 1}
    apps = {
        "home": ["healthy", "networks", {"priority": ["far", "near"]}, {"first": 1}],
        "drawn": ["healthy", {"weighted": both, "by": "client"}],
        "chance": ["healthy", {"weighted": both, "by": "answer"}],
        "all": ["healthy", {"first": 2}],
    }
    policy = {
        "zone": {"name": APEX, "nameservers": {"ns1": ["198.51.100.53"]}, "ttl": "30s"},
        "sites": {"near": near, "far": far},
        "apps": {name: app([name], ["near", "far"]) | {"steer": steer} for name, steer in apps.items()},
    }
    return compose(compile_snapshot(Intent(revision=REVISION, policy=Policy.model_validate(policy)), 0.0), LiveState())
