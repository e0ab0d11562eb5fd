"""Where the sites of an app differ in address families: what one family is told of a choice among those of both. Pure.

Who lives, who has room and who comes back slowly is decided once, over both families; each question then takes of that
what has an address of its own. So that one client is told one thing by all types, an outcome keeps the name under which
it is drawn: whoever wins among the sites of both families wins among those of one, too, where it is there.
"""

from __future__ import annotations

import dataclasses

from gslb.model.words import IpAddress
from gslb.snapshot.types import Decision, FilterStep, Outcome, SiteName, Snapshot

__all__ = ["instead", "of_family", "told_in"]


def of_family(addresses: tuple[IpAddress, ...], family: int | None) -> tuple[IpAddress, ...]:
    """Those of `family` (4 or 6; None: all)."""
    return tuple(address for address in addresses if family in (address.version, None))


def told_in(snapshot: Snapshot, both: Decision, family: int) -> Decision:
    """What `both` tells of `family` (4 or 6). No outcomes: it names no address of it."""
    owner = {ip: name for name, site in snapshot.sites.items() for edge in site.edges for ip in edge.public}
    left = [_left(outcome, owner, family) for outcome in both.outcomes]
    whole = sum(outcome.weight for outcome in left if outcome.addresses)
    outcomes = tuple(dataclasses.replace(o, weight=o.weight / whole) for o in left if o.addresses)
    sites = tuple(dict.fromkeys(site for outcome in outcomes for site in outcome.sites))
    step = FilterStep("families", sites, f"what of it has an IPv{family} address")
    return dataclasses.replace(both, outcomes=outcomes, steps=(*both.steps, step))


def _left(outcome: Outcome, owner: dict[IpAddress, SiteName], family: int) -> Outcome:
    addresses = of_family(outcome.addresses, family)
    sites = tuple(dict.fromkeys(owner[address] for address in addresses))
    return Outcome(sites, addresses, outcome.weight, outcome.sites)


def instead(alone: Decision, both: Decision) -> Decision:
    """`alone` was chosen within one family, because `both` named nobody of it: it may change whenever either does."""
    shorter = min(alone, both, key=lambda decision: decision.ttl_s)
    return dataclasses.replace(
        alone,
        client_bits=max(alone.client_bits, both.client_bits),
        ttl_s=shorter.ttl_s,
        ttl_reason=shorter.ttl_reason,
    )
