"""The chain: which sites a client of an app may be told, in which proportions, and why.

Restrict (`healthy`, `only`), order (`networks`, `priority`), then one pick (`weighted`, `first`). Each filter is a pure
function from candidates to candidates with a reason and the client prefix it depended on. The result is a finite
distribution, so that DNS answers can be compiled ahead and `explain` can show it; drawing from it is the caller's.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass

from gslb.model.words import IpAddress, IpNetwork
from gslb.snapshot.types import (
    App,
    Candidate,
    Decision,
    Filter,
    FilterStep,
    LiveState,
    Outcome,
    Site,
    SiteName,
    Snapshot,
)

__all__ = ["client_networks", "decide"]


@dataclass(frozen=True, slots=True)
class _Context:
    snapshot: Snapshot
    live: LiveState
    app: App
    client: IpAddress | None


@dataclass(frozen=True, slots=True)
class _Step:
    candidates: tuple[Candidate, ...]
    reason: str
    client_bits: int = 0
    all_down: bool = False


def client_networks(snapshot: Snapshot, app: App) -> tuple[IpNetwork, ...]:
    """The networks whose membership can change a decision for `app`; empty where clients are all alike."""
    if not any(item.kind == "networks" for item in app.chain):
        return ()
    return tuple(network for site in snapshot.sites.values() for network in site.networks)


def decide(snapshot: Snapshot, live: LiveState, app: App, client: IpAddress | None, family: int) -> Decision:
    """What a client at `client` (None: unknown) may be told for `app` when it asks for addresses of `family` (4 or 6).

    Drained sites leave first. Where every site that is left is down, the answer is all of them at once.
    """
    context = _Context(snapshot, live, app, client)
    candidates, steps = _eligible(context, family)
    bits = 0
    for item in app.chain:
        if item.kind in ("weighted", "first"):
            outcomes, reason = _weighted(item, candidates) if item.kind == "weighted" else _first(item, candidates)
            steps.append(FilterStep(item.kind, tuple(site for o in outcomes for site in o.sites), reason))
            return Decision(outcomes, item.by, bits, tuple(steps))
        step = _FILTERS[item.kind](context, item, candidates)
        steps.append(FilterStep(item.kind, tuple(c.site for c in step.candidates), step.reason))
        candidates, bits = step.candidates, max(bits, step.client_bits)
        if step.all_down:
            everyone = _outcome(_restricted(context, candidates), 1.0)
            return Decision((everyone,) if everyone.addresses else (), "answer", bits, tuple(steps))
    raise AssertionError("check lets no chain pass that does not pick")


def _eligible(context: _Context, family: int) -> tuple[tuple[Candidate, ...], list[FilterStep]]:
    """The sites that may be chosen at all: named by `weighted` where the chain has it, of the right family where an
    app's sites differ, and not drained."""
    app, steps = context.app, []
    named = {site for item in app.chain if item.kind == "weighted" for site, _ in item.weights}
    sites = [site for site in context.snapshot.sites.values() if site.name in named or not named]
    if app.mixed_families:
        sites = [site for site in sites if any(address.version == family for address in _addresses(site))]
        steps.append(FilterStep("families", _names(sites), f"sites with an IPv{family} address"))
    if app.no_entry:
        left = [site for site in sites if site.name not in app.no_entry]
        reason = f"drained: {', '.join(app.no_entry)}" if left else "every site is drained: drains are ignored"
        sites = left or sites
        steps.append(FilterStep("drain", _names(sites), reason))
    return tuple(Candidate(site.name, _living(context, site, family)) for site in sites), steps


def _names(sites: Sequence[Site]) -> tuple[SiteName, ...]:
    return tuple(site.name for site in sites)


def _addresses(site: Site) -> tuple[IpAddress, ...]:
    return tuple(address for edge in site.edges for address in edge.public)


def _living(context: _Context, site: Site, family: int) -> tuple[IpAddress, ...]:
    """The site's addresses of `family` that are not down; all of them where none is left."""
    everything = tuple(address for address in _addresses(site) if address.version == family)
    living = tuple(a for a in everything if not context.live.is_down(context.app.name, a))
    return living or everything


def _site_is_down(context: _Context, name: SiteName) -> bool:
    """Down when every edge address of every family is: one that answers keeps the site in."""
    addresses = _addresses(context.snapshot.sites[name])
    return all(context.live.is_down(context.app.name, address) for address in addresses)


def _healthy(context: _Context, _item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    down = tuple(c.site for c in candidates if _site_is_down(context, c.site))
    if not down:
        return _Step(candidates, "every site is up")
    if context.app.failover == "manual":
        return _Step(candidates, f"down but kept, because failover is manual: {', '.join(down)}")
    if len(down) == len(candidates):
        return _Step(candidates, "every site is down: all of them are answered", all_down=True)
    return _Step(tuple(c for c in candidates if c.site not in down), f"down: {', '.join(down)}")


def _only(_context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    return _Step(tuple(c for c in candidates if c.site in item.sites), f"allowed: {', '.join(item.sites)}")


def _restricted(context: _Context, candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """`only` holds even when everything is down, wherever it stands in the chain."""
    for item in context.app.chain:
        if item.kind == "only":
            candidates = _only(context, item, candidates).candidates
    return candidates


def _networks(context: _Context, _item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    client = context.client
    best: tuple[int, SiteName] | None = None
    if client is None:
        return _Step(candidates, "the client is unknown")
    for candidate in candidates:
        for network in context.snapshot.sites[candidate.site].networks:
            if network.version == client.version and client in network and (not best or network.prefixlen > best[0]):
                best = (network.prefixlen, candidate.site)
    if best is None:
        return _Step(candidates, "the client is in no site's networks")
    ranked = tuple(dataclasses.replace(c, rank=c.rank * 2 + (c.site != best[1])) for c in candidates)
    return _Step(ranked, f"the client is in a network of {best[1]}", client_bits=best[0])


def _priority(_context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    last = len(item.sites)
    order = {site: place for place, site in enumerate(item.sites)}
    ranked = tuple(dataclasses.replace(c, rank=c.rank * (last + 1) + order.get(c.site, last)) for c in candidates)
    return _Step(ranked, f"in the order {', '.join(item.sites)}")


_FILTERS = {"healthy": _healthy, "only": _only, "networks": _networks, "priority": _priority}


def _best(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    rank = min((c.rank for c in candidates), default=0)
    return tuple(c for c in candidates if c.rank == rank)


def _weighted(item: Filter, candidates: tuple[Candidate, ...]) -> tuple[tuple[Outcome, ...], str]:
    """One site by weight, among the best rank of those with weight. Weight 0 is standby: used when nobody with weight
    is left."""
    weights = dict(item.weights)
    active = _best(tuple(c for c in candidates if weights[c.site] > 0))
    if not active:
        standby = _best(candidates)
        return tuple(_outcome((c,), 1 / len(standby)) for c in standby), "no site with weight is left: standby"
    total = sum(weights[c.site] for c in active)
    text = ", ".join(f"{c.site} {weights[c.site]:g}" for c in active)
    return tuple(_outcome((c,), weights[c.site] / total) for c in active), f"by weight: {text}"


def _first(item: Filter, candidates: tuple[Candidate, ...]) -> tuple[tuple[Outcome, ...], str]:
    chosen = tuple(sorted(candidates, key=lambda c: c.rank))[: item.count]
    return ((_outcome(chosen, 1.0),) if chosen else ()), f"the first {item.count} of the order"


def _outcome(candidates: tuple[Candidate, ...], weight: float) -> Outcome:
    addresses = tuple(address for c in candidates for address in c.addresses)
    return Outcome(tuple(c.site for c in candidates), addresses, weight)
