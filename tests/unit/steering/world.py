"""Small policies for tests of what is made of a policy, built through the real compiler."""

import ipaddress

from gslb.model.policy import Policy
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Drain, Forced, Intent, Overrides, Provenance, Shift
from gslb.snapshot.types import LiveState, Verdict

NOW_S = 1_000_000.0
SITES = {
    "dc": {"edges": [{"public": ["192.0.2.10", "2001:db8:1::10"]}]},
    "aws": {"edges": [{"public": ["198.51.100.20", "2001:db8:2::20"]}]},
    "gcp": {"edges": [{"public": ["203.0.113.30", "2001:db8:3::30"]}]},
}
CHECK = {"path": "/healthz", "interval": "2s", "timeout": "1s"}


def ip(text):
    return ipaddress.ip_address(text)


def app(steer=None, **more):
    return {
        "hosts": ["shop"],
        "backends": {"monolith": {"check": CHECK, "dc": ["10.1.0.11:8080"]}},
        "routes": [{"name": "rest", "split": {"monolith": 100}}],
        **({"steer": steer} if steer is not None else {}),
        **more,
    }


def policy(sites=None, zone=None, **apps):
    return Policy.model_validate(
        {
            "zone": {"name": "gslb.example.com", "nameservers": {"ns1": ["198.51.100.53"]}, **(zone or {})},
            "sites": SITES if sites is None else sites,
            "apps": apps or {"shop": app()},
        }
    )


def by(until_s=None, **who):
    return Provenance(at_s=NOW_S, expires_s=until_s, **who)


def drain(site, app=None, entry_only=False, until_s=None):
    return Drain(site=site, app=app, entry_only=entry_only, by=by(until_s))


def shift(route, split, app="shop", until_s=None, **who):
    return Shift(app=app, route=route, split=split, by=by(until_s, **who))


def force(site, state, app=None, until_s=None, **who):
    return Forced(site=site, state=state, app=app, by=by(until_s, **who))


def intent(of=None, drains=(), shifts=(), revision=1, version=0, forced=(), **more):
    overrides = Overrides(version=version, drains=tuple(drains), shifts=tuple(shifts), forced=tuple(forced), **more)
    return Intent(revision=revision, policy=of or policy(), overrides=overrides)


def snapshot(of=None, drains=(), shifts=(), wall_s=NOW_S, **numbers):
    return compile_snapshot(intent(of, drains, shifts, **numbers), wall_s)


def seeing(down=(), up=(), unknown=(), held=(), disputed=(), back=(), app="shop", ramps=None):
    """A LiveState in which these addresses of `app` have these verdicts. `held`: dead and kept, `disputed`: kept
    because the places do not agree, `back`: well again and not yet answered; `ramps` by site."""
    states = {
        ("down", ""): down, ("up", ""): up, ("unknown", ""): unknown,
        ("held", "down"): held, ("held", "disputed"): disputed, ("down", "up"): back,
    }  # fmt: skip
    verdicts = {
        (app, ip(a)): Verdict(state, "seen", NOW_S, seen=seen)
        for (state, seen), addresses in states.items()
        for a in addresses
    }
    return LiveState(1, verdicts, ramps={(app, site): ratio for site, ratio in (ramps or {}).items()})


def addresses_of(*names, sites=None):
    return [a for name in names for edge in (sites or SITES)[name]["edges"] for a in edge["public"]]


def dead(*names, sites=None):
    """A LiveState in which every address of these sites is down."""
    return seeing(down=addresses_of(*names, sites=sites))
