"""Snapshots for tests of the edge, from a few words."""

from __future__ import annotations

from gslb.model.policy import Policy
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Drain, Intent, Overrides, Provenance

CHECK = {"path": "/healthz?full=1", "interval": "2s", "timeout": "1s", "rise": 2, "fall": 3}
BACKENDS = {
    "mono": {
        "check": CHECK,
        "dc": ["192.0.2.1:80", "192.0.2.2:80"],
        "aws": ["app.internal:8080"],
        "gcp": ["[2001:db8::1]:80"],
    },
    "new": {"aws": ["198.51.100.1:80"]},
}


def snapshot(routes=None, backends=None, drains=(), edges=None, peers=None, overrides=None):
    """Sites dc, aws and gcp; one app `shop`. `drains` are (site, entry_only), `peers` the peer addresses by site."""

    def edge(public, site):
        return [{"public": [public], **({"peer": peers[site]} if peers else {})}]

    policy = Policy.model_validate(
        {
            "zone": {"name": "gslb.example.com", "nameservers": {"ns1": ["192.0.2.53"]}},
            "sites": {
                "dc": {"edges": edges or edge("192.0.2.10", "dc")},
                "aws": {"edges": edge("198.51.100.20", "aws"), "listen": {"http": 8080}},
                "gcp": {"edges": edge("203.0.113.30", "gcp")},
            },
            "apps": {
                "shop": {
                    "hosts": ["shop", "www.example.com"],
                    "backends": backends or BACKENDS,
                    "routes": routes or [{"name": "rest", "split": {"mono": 100}}],
                }
            },
        }
    )
    out = tuple(Drain(site=site, entry_only=entry, by=Provenance(at_s=0)) for site, entry in drains)
    return compile_snapshot(
        Intent(revision=3, policy=policy, overrides=overrides or Overrides(version=7, drains=out)), 0.0
    )


def clusters(config):
    return {item["name"]: item for item in config.clusters}


def routes_of(config, name=None):
    (host,) = config.routes["virtual_hosts"]
    return [route for route in host["routes"] if name is None or route["name"] == name]
