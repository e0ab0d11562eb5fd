"""Latencies that somebody measured and gave through the API: they take the place of the policy's, as a whole. Pure.

Whether they may stand beside a policy is `compile_snapshot`'s to say; here they are put into an Intent and told of.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gslb.errors import PolicyError, Problem
from gslb.model.words import IpNetwork, format_duration, iso
from gslb.snapshot.intent import Intent, Latency, Provenance

__all__ = ["clear_latency", "latency_seen", "latency_source", "set_latency"]

Measured = Mapping[IpNetwork, Mapping[str, float]]
"""Seconds, by network of clients and by site."""


def set_latency(intent: Intent, measured: Measured, by: Provenance) -> Intent:
    """`measured` from now on; unchanged where it is in force already. Raises PolicyError where it names a site that the
    policy does not have, each site once."""
    problems = {
        site: Problem("request", 0, 0, "unknown-site", f"{network}: there is no site {site!r}",
                      f"the sites are {', '.join(intent.policy.sites)}")
        for network, sites in measured.items()
        for site in sites
        if site not in intent.policy.sites
    }  # fmt: skip
    if problems:
        raise PolicyError(problems.values())
    old = intent.overrides.latency
    if old and old.measured == measured:
        return intent
    return _with(intent, Latency.model_construct(measured=measured, by=by))  # texts have become seconds already


def clear_latency(intent: Intent) -> Intent:
    """The policy's latencies from now on; unchanged where they are in force already."""
    return intent if intent.overrides.latency is None else _with(intent, None)


def latency_source(intent: Intent) -> str:
    """Whose map is in force, and how large it is, in words."""
    override = intent.overrides.latency
    if override is None:
        return f"the policy's, {_counted(intent.policy.latency)}"
    return f"measured by {override.by.author or 'unknown'}, {_counted(override.measured)}"


def latency_seen(intent: Intent) -> dict[str, Any]:
    """The map in force, as messages.LatencySeen."""
    override = intent.overrides.latency
    measured = override.measured if override else intent.policy.latency
    return {
        "source": "api" if override else "policy",
        "at": iso(override.by.at_s) if override else None,
        "author": override.by.author if override else "",
        "reason": override.by.reason if override else "",
        "latency": {
            str(network): {site: format_duration(seconds) for site, seconds in sites.items()}
            for network, sites in measured.items()
        },
    }


def _with(intent: Intent, latency: Latency | None) -> Intent:
    update = {"version": intent.overrides.version + 1, "latency": latency}
    return intent.model_copy(update={"overrides": intent.overrides.model_copy(update=update)})


def _counted(measured: Mapping[Any, Any]) -> str:
    return f"{len(measured):,} network{'' if len(measured) == 1 else 's'}"
