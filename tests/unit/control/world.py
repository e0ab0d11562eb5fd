"""A small world for control's tests: a policy, what roles tell of it, and a publisher that keeps all in memory."""

from __future__ import annotations

from gslb.control.checks import PushBoard
from gslb.control.installation.fleet import Fleet
from gslb.control.installation.leader import Lead
from gslb.control.protocol import (
    Applied,
    EdgeState,
    EnvoyState,
    HopState,
    Outcomes,
    RoleState,
    RouteState,
    VerdictState,
)
from gslb.control.publishing import Published
from gslb.dns.dnssec.making import make_key
from gslb.errors import HostError, RefusedError
from gslb.model.given import Checker
from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Drain, Intent, Provenance
from gslb.store import AuditRecord

NOW_S = 1_700_000_000.0

POLICY = {
    "environment": "test",
    "zone": {"name": "gslb.example.com", "nameservers": {"ns1": ["198.51.100.53"]}},
    "sites": {
        "dc": {"edges": [{"public": ["192.0.2.10", "2001:db8:1::10"]}]},
        "aws": {"edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}]},
        "lab": {"edges": [{"public": ["203.0.113.30", "2001:db8:3::30"]}]},
    },
    "apps": {
        "shop": {
            "hosts": ["shop"],
            "steer": ["healthy", {"weighted": {"dc": 80, "aws": 20}}],
            "backends": {
                "monolith": {"check": {"path": "/healthz"}, "dc": ["192.0.2.11:8080"], "aws": ["198.51.100.21:8080"]},
                "checkout": {"check": {"path": "/ready"}, "aws": ["198.51.100.22:8080"]},
                "search": {"aws": ["198.51.100.23:8080"]},
                "paper": {},
            },
            "routes": [
                {
                    "name": "pay",
                    "match": {"path": "/checkout"},
                    "split": {"monolith": 95, "checkout": 5},
                    "mirror": [{"to": "checkout", "percent": 10}],
                },
                {"name": "find", "split": {"monolith": 50, "checkout": 30, "search": 20}},
            ],
        },
        "blog": {
            "hosts": ["blog"],
            "steer": ["healthy", {"only": ["dc", "aws"]}, {"priority": ["dc", "aws"]}, {"first": 1}],
            "backends": {"pages": {"dc": ["192.0.2.12:8080"]}},
            "routes": [{"name": "all", "split": {"pages": 100}}],
        },
    },
}


def policy(**changed):
    return Policy.model_validate({**POLICY, **changed})


def intent():
    return Intent(revision=1, policy=policy())


def by(**given):
    return Provenance(**{"author": "ann", "at_s": NOW_S, **given})


def a_drain(site, app=None, *, entry_only=False, **given):
    return Drain(site=site, app=app, entry_only=entry_only, by=by(**given))


def verdict(app, site, address, state="up", reason="2 checks passed", since_s=NOW_S, **more):
    return VerdictState(app=app, site=site, address=address, state=state, reason=reason, since_wall_s=since_s, **more)


def dns_state(snapshot, *verdicts, **changed):
    given = {"name": "dns", "role": "dns", "pid": 11, "started_wall_s": NOW_S, "ready": True, "wire": "native"}
    counts = {"answered": 7, "bad-packets_total": 1}
    return RoleState(**{**given, "applied": applied(snapshot), "verdicts": verdicts, "dns_counts": counts, **changed})


def edge_state(snapshot, site, *routes, **changed):
    envoy = EnvoyState(state="live", pid=99, since_wall_s=NOW_S, restarts=2)
    hops = (HopState(app="shop", backend="checkout", requests=5),)
    edge = EdgeState(envoy=envoy, routes=routes, hops=hops)
    given = {"name": f"edge-{site}", "role": "edge", "site": site, "pid": 12, "started_wall_s": NOW_S, "ready": True}
    return RoleState(**{**given, "applied": applied(snapshot), "edge": edge, **changed})


def applied(snapshot):
    version = snapshot.version
    return Applied(revision=version.revision, overrides=version.overrides, digest=snapshot.digest)


def pay(requests, mirrored=0, **skipped):
    return RouteState(app="shop", route="pay", requests=requests, mirrored=mirrored, skipped=skipped)


class FakeRegistrar:
    """An installation with an authority, of which nothing is asked but to be there; see tests/unit/roles for one that
    does something."""

    def __init__(self):
        self.people = {}

    async def trust(self):
        return {"domain": "gslb.example.com", "roots": "x"}

    async def seen(self, ends_wall_s):
        return {
            "domain": "gslb.example.com", "root_ends": "x", "issuer_ends": "x", "machines": [], "operators": [],
            "alarms": [],
        }  # fmt: skip

    def ends_wall_s(self):
        return {"issuer": NOW_S + 86400.0}

    def operator(self, asker, key):
        return self.people.get((asker.name, key))

    async def remove(self, machine, author, reason):
        raise RefusedError("unknown-machine", f"there is no machine {machine}", "see which there are: gslb nodes")

    async def _asked(self, *_given, **_named):
        raise RefusedError("join-token", "there is no such token", "make one: gslb node token")

    new_token = join = certify = _asked


class MemoryPublisher:
    """A publisher without processes: what is made is in force at once. `broken` makes every change fail."""

    def __init__(self, start=None):
        self.intent = start
        self.snapshot = compile_snapshot(start, NOW_S) if start else None
        self.records = []
        self.policies = {start.revision: start.policy} if start else {}
        self.states = {}
        self.ages = {}
        self.unacknowledged = {}
        self.broken = False
        self.geo = None
        self.git = None
        self.registrar = FakeRegistrar()
        self.refreshed = 0
        self.pushed = PushBoard()
        self.checker = Checker()
        self.compared = {}
        self.told = [Outcomes(window_s=30.0)]
        self.wave = None
        self.baked_s, self.fences = [], []
        self.lead = Lead("berlin", 3, here=True)
        if start:
            self.hear(dns_state(self.snapshot), edge_state(self.snapshot, "dc", pay({"monolith": 3, "checkout": 1}, 4)))

    def hear(self, *states):
        self.states.update({state.name: state for state in states})
        self.ages.update({state.name: 0.4 for state in states})

    def current(self):
        return (self.intent, self.snapshot) if self.intent else None

    def compiled(self, intent, wall_s):
        return compile_snapshot(intent, wall_s)

    def roles(self):
        return self.states

    def ages_s(self):
        return self.ages

    def places(self, client):
        return self.geo

    def all_places(self):
        return self.geo

    def make_key(self, zone, role, algorithm):
        return make_key(zone, role, algorithm, bytes(32))

    def followed(self):
        return self.git

    def fleet(self):
        return Fleet(wanted=dict.fromkeys(self.states, self.snapshot), wave=self.wave, lead=self.lead)

    async def hand_pushed(self):
        return [name for name, state in self.states.items() if state.probing is not None]

    async def comparisons(self, app, route):
        return self.compared

    async def outcomes(self, _app):
        return self.told

    async def refresh(self):
        self.refreshed += 1

    async def change(self, make, audit, bake_s=None, fence=None):
        self.baked_s.append(bake_s)
        self.fences.append(fence)
        before = self.snapshot
        new = make(self.intent)
        if self.broken:
            raise HostError("the disk is full", "free some space")
        if new is not self.intent:
            self.intent, self.snapshot = new, compile_snapshot(new, audit.at_s)
            self.policies[new.revision] = new.policy
            self.records.append(AuditRecord(len(self.records) + 1, self.snapshot.version, audit))
        return Published(before, self.snapshot, self.unacknowledged, self.wave if bake_s is not None else None)

    async def policy(self, revision):
        if revision not in self.policies:
            raise RefusedError("unknown-revision", f"no policy has the revision {revision}", "gslb history")
        return self.policies[revision]

    async def history(self, limit):
        return self.records[::-1][:limit]
