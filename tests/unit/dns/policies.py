"""Small policies for the DNS tests."""

from ipaddress import ip_address

from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Drain, Intent, Overrides, Provenance
from gslb.snapshot.types import AppName, LiveState, Verdict

APEX = "gslb.example.com"

SITES = {
    "dc": {"edges": [{"public": ["192.0.2.10", "2001:db8:1::10"]}], "networks": ["10.0.0.0/8", "2001:db8:a::/48"]},
    "aws": {
        "edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}],
        "networks": ["10.9.0.0/16", "172.16.0.0/12", "2001:db8:a:9::/64"],
    },
    "gcp": {"edges": [{"public": ["203.0.113.30", "2001:db8:3::30"]}]},
}


def app(*steer, hosts=("shop",), **more):
    return {
        "hosts": list(hosts),
        "steer": list(steer),
        "backends": {"main": {site: ["10.0.0.1:80"] for site in SITES}},
        "routes": [{"name": "all", "split": {"main": 100}}],
        **more,
    }


def weighted(by="window", **weights):
    return {"weighted": weights, "by": by}


def snapshot(apps, *, sites=SITES, zone=None, revision=7, drains=(), overrides=0):
    policy = Policy.model_validate(
        {"zone": {"name": APEX, "nameservers": {"ns1": ["198.51.100.53"]}} | (zone or {}), "sites": sites, "apps": apps}
    )
    made = tuple(Drain(site=site, by=Provenance(at_s=0)) for site in drains)
    intent = Intent(revision=revision, policy=policy, overrides=Overrides(version=overrides, drains=made))
    return compile_snapshot(intent, 0.0)


def down(*addresses, app="shop"):
    verdicts = {(AppName(app), ip_address(text)): Verdict("down", "refused", 0.0) for text in addresses}
    return LiveState(1, verdicts)
