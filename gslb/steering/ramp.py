"""Coming back slowly: what a pick gives while some sites shall have only a part of what they would have. Pure.

A site at 35 % is one that 35 of 100 clients are told of as if it were back, and the others as if it were still away.
That holds for every pick alike, moves clients to the site and never away from it as the share grows, and leaves nobody
without an answer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Collection, Mapping, Sequence
from itertools import pairwise

from gslb.snapshot.types import Outcome, SiteName

__all__ = ["mixed", "ramp_parts", "ramp_reason"]


def ramp_parts(sites: Sequence[SiteName], ramps: Mapping[SiteName, float]) -> list[tuple[float, Collection[SiteName]]]:
    """Shares of all clients (together 1) with the sites that count for them, most sites last. `ramps` are the shares
    (0 to 1) of those that come back; where nobody else is left, all of them count whole."""
    steady = [site for site in sites if site not in ramps]
    if not ramps or not steady:
        return [(1.0, sites)]
    parts: list[tuple[float, Collection[SiteName]]] = []
    levels = sorted({0.0, 1.0, *(min(1.0, max(0.0, ratio)) for ratio in ramps.values())}, reverse=True)
    for upper, lower in pairwise(levels):
        parts.append((upper - lower, [site for site in sites if ramps.get(site, 1.0) >= upper]))
    return parts


def mixed(parts: Sequence[tuple[float, Sequence[Outcome]]]) -> tuple[Outcome, ...]:
    """One distribution of several: what the parts of the clients are told, the same answers added up. None of them
    empties it: a part whose pick has nobody takes the answer of the others."""
    told = [(share, outcomes) for share, outcomes in parts if outcomes]
    total = sum(share for share, _ in told)
    found: dict[tuple[SiteName, ...], Outcome] = {}
    for share, outcomes in told:
        for outcome in outcomes:
            before = found.get(outcome.sites)
            weight = outcome.weight * share / total + (before.weight if before else 0.0)
            found[outcome.sites] = dataclasses.replace(outcome, weight=weight)
    return tuple(outcome for outcome in found.values() if outcome.weight > 0)


def ramp_reason(ramps: Mapping[SiteName, float]) -> str:
    """How far each is, in words."""
    return ", ".join(f"{site} comes back slowly, {100 * ratio:g} % of its share" for site, ratio in ramps.items())
