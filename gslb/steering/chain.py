"""The chain: which sites a client of an app may be told, in which proportions, and why.

Restrict (`healthy`, `only`), order (`networks`, `geo`, `latency`, `priority`), then one pick (`weighted`, `first`,
`shed`). Each filter is a pure function from candidates to candidates with a reason and the client prefix it depended
on. The result is a finite distribution, so that DNS answers can be compiled ahead and `explain` can show it; drawing
from it is the caller's.

Drains come before the chain and `only` before its other filters, wherever it stands: residency holds whatever happens,
so `healthy` must judge the allowed sites only, or a dead allowed site beside a living forbidden one would leave nobody.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from gslb.model.words import IpAddress
from gslb.snapshot.types import (
    App,
    Candidate,
    Decision,
    Filter,
    FilterStep,
    LiveState,
    Outcome,
    SiteName,
    Snapshot,
)
from gslb.steering.families import instead, of_family, told_in
from gslb.steering.living import find_living
from gslb.steering.nearness import geo_ranks, geo_reason, latency_ranks, latency_reason
from gslb.steering.ramp import mixed, ramp_parts, ramp_reason
from gslb.steering.room import demand_per_s, overflow_shares, spread
from gslb.steering.shed import is_shedding, shed_reason, shed_shares

__all__ = ["decide"]


@dataclass(frozen=True, slots=True)
class _Context:
    """`family` is what is chosen for (None: both), `asked` what the client asked for."""

    snapshot: Snapshot
    live: LiveState
    app: App
    client: IpAddress | None
    family: int | None
    asked: int | None


@dataclass(frozen=True, slots=True)
class _Step:
    candidates: tuple[Candidate, ...]
    reason: str
    client_bits: int = 0
    all_down: bool = False
    flip_s: float = inf


@dataclass(frozen=True, slots=True)
class _Pick:
    """`is_shedding`: loads decide, which change all the while."""

    outcomes: tuple[Outcome, ...]
    reason: str
    is_shedding: bool = False


def decide(snapshot: Snapshot, live: LiveState, app: App, client: IpAddress | None, family: int | None) -> Decision:
    """What a client at `client` (None: unknown) may be told for `app` when it asks for addresses of `family` (4 or 6;
    None: for an HTTPS record, which holds those of both).

    Drained sites leave first. Where every site that is left is down, the answer is all of them at once, whoever asks.
    Where an app's sites differ in families, the choice is among those of both, as long as it names one of `family`.
    """
    own = _Context(snapshot, live, app, client, family, family)
    if family is None or not app.mixed_families:
        return _decided(own)
    both = _decided(dataclasses.replace(own, family=None))
    told = told_in(snapshot, both, family)
    return told if told.outcomes else instead(_decided(own), both)


def _decided(context: _Context) -> Decision:
    app = context.app
    candidates, steps = _eligible(context)
    bits, flip_s = 0, inf
    for item in sorted(app.chain, key=lambda item: item.kind != "only"):
        if item.kind in _PICKS:
            pick, is_ramping = _picked(context, item, candidates)
            told = dict.fromkeys(site for o in pick.outcomes for site in o.sites)
            steps.append(FilterStep(item.kind, tuple(told), pick.reason))
            why = _MOVING[is_ramping] if is_ramping or pick.is_shedding else ""
            return Decision(pick.outcomes, item.by, bits, tuple(steps), *_ttl(app, flip_s, why))
        step = _FILTERS[item.kind](context, item, candidates)
        steps.append(FilterStep(item.kind, tuple(c.site for c in step.candidates), step.reason))
        candidates, bits, flip_s = step.candidates, max(bits, step.client_bits), min(flip_s, step.flip_s)
        if step.all_down:
            return Decision((_outcome(candidates, 1.0),), "answer", 0, tuple(steps), *_ttl(app, 0.0))
    raise AssertionError("check lets no chain pass that does not pick")


_MOVING = {False: "clients are shed, and loads change all the while", True: "a site comes back slowly"}


def _picked(context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> tuple[_Pick, bool]:
    """The pick, and whether it is about to change because a site comes back slowly: then a part of the clients is told
    what they would be told without it."""
    ramps = {c.site: context.live.ramps[context.app.name, c.site] for c in candidates
             if (context.app.name, c.site) in context.live.ramps}  # fmt: skip
    parts = [
        (share, _PICKS[item.kind](context, item, tuple(c for c in candidates if c.site in sites)))
        for share, sites in ramp_parts([c.site for c in candidates], ramps)
    ]
    whole = parts[-1][1]
    if len(parts) == 1:
        return whole, False
    outcomes = mixed([(share, pick.outcomes) for share, pick in parts])
    reason = f"{whole.reason}; {ramp_reason(ramps)}"
    return _Pick(outcomes, reason, any(pick.is_shedding for _, pick in parts)), True


def _ttl(app: App, flip_s: float, moving: str = "") -> tuple[int, str]:
    """How long an answer may be kept, and why: no longer than health is sure to last, within the app's bounds. What is
    wavering is asked for again soon, what is stable seldom. `moving`: what changes all the while."""
    if app.ttl_min_s == app.ttl_s:
        return app.ttl_s, "fixed by the policy"
    ttl_s = int(min(max(flip_s, app.ttl_min_s), app.ttl_s))
    bounds = f"bounds {app.ttl_min_s} s to {app.ttl_s} s"
    if moving:
        return app.ttl_min_s, f"{moving}; {bounds}"
    if flip_s == inf:
        return ttl_s, f"no health was consulted; {bounds}"
    return ttl_s, f"health may change {f'in {flip_s:g} s' if flip_s else 'at any moment'}; {bounds}"


def _eligible(context: _Context) -> tuple[tuple[Candidate, ...], list[FilterStep]]:
    """The sites that may be chosen at all: named by `weighted` where the chain has it, of the right family where an
    app's sites differ, and not drained."""
    app, steps = context.app, []
    named = {site for item in app.chain if item.kind == "weighted" for site, _ in item.weights}
    sites = [name for name in context.snapshot.sites if name in named or not named]
    if app.mixed_families:
        sites = [name for name in sites if _addresses(context, name)]
        steps.append(FilterStep("families", tuple(sites), _family_reason(context.family)))
    drained = [name for name in sites if name in app.no_entry]
    if drained:
        left = [name for name in sites if name not in drained]
        reason = f"drained: {', '.join(drained)}" if left else "every site is drained: drains are ignored"
        sites = left or sites
        steps.append(FilterStep("drain", tuple(sites), reason))
    gone = {forced.site: forced for forced in app.forced if forced.state == "down" and forced.site in sites}
    if gone and not any(item.kind == "healthy" for item in app.chain):
        sites = [name for name in sites if name not in gone] or sites
        said = ", ".join(f"{name} is forced down {forced.detail}" for name, forced in gone.items())
        steps.append(FilterStep("forced", tuple(sites), said))
    return tuple(Candidate(name, of_family(_addresses(context, name), context.family)) for name in sites), steps


def _addresses(context: _Context, name: SiteName) -> tuple[IpAddress, ...]:
    """The addresses that decide whether a site can be chosen. All families count, because A and AAAA must choose the
    same site; but for what is chosen within a family, where an app's sites differ in them."""
    everything = tuple(address for edge in context.snapshot.sites[name].edges for address in edge.public)
    return of_family(everything, context.family) if context.app.mixed_families else everything


def _family_reason(family: int | None) -> str:
    if family is None:
        return "sites with an address of either family"
    return f"sites with an IPv{family} address, as none that would be chosen has a living one"


def _healthy(context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    """Dead addresses leave the site's answer, dead sites the candidates. A site that lost a whole family which another
    site still serves is out as well, or the clients of that family alone would be sent to dead addresses; where every
    living site lost one, all the living stay. Where sites differ in families anyway, one address is enough. Where all
    are out, those that are seen to be well come before those that are not."""
    living = find_living(context.live, context.app, item, {c.site: _addresses(context, c.site) for c in candidates})
    said = [f"held: {living.held}"] * bool(living.held) + [f"down: {living.down}"] * bool(living.down)
    forced = [f"{site} is forced {state}" for site, state in living.forced.items()]
    left = living.addresses or living.well
    if not left and candidates:
        said = ["every site is down: all of them are answered", *forced]
        return _Step(candidates, "; ".join(said), all_down=True)
    if left and not living.addresses:
        said = [f"every site is down, and {', '.join(left)} is well again: that is answered"]
    kept = tuple(
        dataclasses.replace(c, addresses=of_family(left[c.site], context.family) or c.addresses)
        for c in candidates
        if c.site in left
    )
    reason = "; ".join([*(said or ["every site is up"]), *forced])
    return _Step(kept, reason, flip_s=living.flip_s if living.addresses else 0.0)


def _only(_context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    return _Step(tuple(c for c in candidates if c.site in item.sites), f"allowed: {', '.join(item.sites)}")


def _networks(context: _Context, _item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    """Prefer the site with the longest network that the client is in."""
    client = context.client
    if client is None:
        return _Step(candidates, "the client is unknown")
    found = {c.site: context.snapshot.sites[c.site].home.find(client) for c in candidates}
    bits = max((telling for _, telling in found.values()), default=0)
    length = {site: -1 if prefix is None else prefix for site, (prefix, _) in found.items()}
    best = max(length.values(), default=-1)
    if best < 0:
        return _Step(candidates, "the client is in no site's networks", bits)
    ranked = tuple(dataclasses.replace(c, rank=c.rank * 2 + (length[c.site] < best)) for c in candidates)
    homes = ", ".join(site for site in found if length[site] == best)
    return _Step(ranked, f"the client is in a network of {homes}", bits)


def _priority(_context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    last = len(item.sites)
    order = {site: place for place, site in enumerate(item.sites)}
    ranked = tuple(dataclasses.replace(c, rank=c.rank * (last + 1) + order.get(c.site, last)) for c in candidates)
    return _Step(ranked, f"in the order {', '.join(item.sites)}")


def _geo(context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    if context.live.geo is None:
        return _Step(candidates, "no database of places is loaded: the order stays")
    if context.client is None:
        return _Step(candidates, "the client is unknown")
    place, bits = context.live.geo.find(context.client)
    if place is None:
        return _Step(candidates, "the database does not know where the client is", bits)
    sites = context.snapshot.sites
    reason = geo_reason(item, [sites[c.site] for c in candidates], place)
    return _Step(_ranked(context, candidates, geo_ranks(item, sites, place)), reason, bits)


def _latency(context: _Context, _item: Filter, candidates: tuple[Candidate, ...]) -> _Step:
    if context.client is None:
        return _Step(candidates, "the client is unknown")
    measured, bits = context.snapshot.latency.find(context.client)
    if measured is None:
        return _Step(candidates, "nothing was measured from the client's network", bits)
    ranks = latency_ranks(context.snapshot.sites, measured)
    return _Step(_ranked(context, candidates, ranks), latency_reason([c.site for c in candidates], measured), bits)


def _ranked(context: _Context, candidates: tuple[Candidate, ...], ranks: tuple[int, ...]) -> tuple[Candidate, ...]:
    """Candidates of equal rank told apart by `ranks`, which stand in the order of the snapshot's sites."""
    by_site = dict(zip(context.snapshot.sites, ranks, strict=True))
    return tuple(dataclasses.replace(c, rank=c.rank * len(ranks) + by_site[c.site]) for c in candidates)


_FILTERS = {
    "healthy": _healthy,
    "only": _only,
    "networks": _networks,
    "geo": _geo,
    "latency": _latency,
    "priority": _priority,
}


def _best(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    rank = min((c.rank for c in candidates), default=0)
    return tuple(c for c in candidates if c.rank == rank)


def _weighted(context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Pick:
    """One site by weight, among the best rank of those with weight. Weight 0 is standby: used when nobody with weight
    is left. What sites that are gone had is spread by room, where capacities are known."""
    weights = dict(item.weights)
    active = _best(tuple(c for c in candidates if weights[c.site] > 0))
    if not active:
        standby = _best(candidates)
        shares, how = _taken_over(context, standby, dict.fromkeys(weights, 0.0))
        alike = tuple(_outcome((c,), share) for c, share in zip(standby, shares, strict=True))
        return _Pick(alike, f"no site with weight is left: standby{how}")
    total = sum(weights[c.site] for c in active)
    text = ", ".join(f"{c.site} {weights[c.site]:g}" for c in active)
    whole, told = sum(weights.values()), {c.site for c in candidates}
    gone = {site for site, weight in item.weights if weight > 0} - told
    if gone and all(c in active for c in candidates if weights[c.site] > 0):
        shares, how = _taken_over(context, active, {site: weight / whole for site, weight in item.weights})
        text += f"; without {', '.join(sorted(gone))}{how}" if how else ""
    else:
        shares = tuple(weights[c.site] / total for c in active)
    outcomes, warm = _kept_warm(item, candidates, tuple(zip(active, shares, strict=True)))
    return _Pick(outcomes, f"by weight: {text}{warm}")


def _kept_warm(
    item: Filter, candidates: tuple[Candidate, ...], shares: tuple[tuple[Candidate, float], ...]
) -> tuple[tuple[Outcome, ...], str]:
    """With a trickle to each standby site that lives, taken from all others alike."""
    weights = dict(item.weights)
    standby = _best(tuple(c for c in candidates if weights[c.site] == 0)) if item.trickle_ratio else ()
    left = 1.0 - item.trickle_ratio * len(standby)
    outcomes = tuple(_outcome((c,), share * left) for c, share in shares)
    if not standby:
        return outcomes, ""
    warm = ", ".join(c.site for c in standby)
    return (*outcomes, *(_outcome((c,), item.trickle_ratio) for c in standby)), (
        f"; {100 * item.trickle_ratio:g} % keep {warm} warm"
    )


def _taken_over(
    context: _Context, living: tuple[Candidate, ...], own: Mapping[SiteName, float]
) -> tuple[tuple[float, ...], str]:
    """The shares of the living, with what is left of 1 spread by room, and how that was done; where a capacity is not
    known, in proportion to their own."""
    sites = [context.snapshot.sites[c.site] for c in living]
    base, sizes = [own[c.site] for c in living], [site.capacity_per_s for site in sites]
    known = [size for size in sizes if size]
    if len(known) < len(sites):
        whole = sum(base)
        return tuple(share / whole if whole else 1 / len(base) for share in base), ""
    demand = demand_per_s(tuple(context.snapshot.sites.values()), context.live.loads)
    how = "by capacity" if demand is None else f"by what is left of the capacities beside {demand:,.0f} requests/s"
    shares = spread(base, known, demand)
    told = ", ".join(f"{c.site} {100 * share:.3g} %" for c, share in zip(living, shares, strict=True))
    return shares, f", {how}: {told}"


def _first(context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Pick:
    """The first of the order; clients whose first choice is gone go on down the order where the next one fills up."""
    order = _in_order(candidates)
    chosen = order[: item.count]
    if item.count > 1 or not chosen or not context.live.loads or _would_be_first(context) in (None, chosen[0].site):
        outcomes: tuple[Outcome, ...] = (_as_many(context, item, order),) if chosen else ()
        return _Pick(outcomes, f"the first {item.count} of the order")
    sites = [context.snapshot.sites[c.site] for c in order]
    shares = overflow_shares(sites, context.live.loads)
    outcomes = tuple(_outcome((c,), share) for c, share in zip(order, shares, strict=True) if share > 0)
    if len(outcomes) == 1 and outcomes[0].sites == (chosen[0].site,):
        return _Pick(outcomes, "the first 1 of the order")
    told = ", ".join(f"{' '.join(o.sites)} {100 * o.weight:.3g} %" for o in outcomes)
    return _Pick(outcomes, f"{_would_be_first(context)} is gone, and the next of the order fills up: {told}", True)


def _as_many(context: _Context, item: Filter, order: tuple[Candidate, ...]) -> Outcome:
    """The first of the order; beside them as many of the family that was asked for, where some of them have none."""
    chosen = _outcome(order[: item.count], 1.0)
    if context.family == context.asked:
        return chosen
    asked = [found for c in order if (found := of_family(c.addresses, context.asked))]
    more = (address for found in asked[: item.count] for address in found)
    return dataclasses.replace(chosen, addresses=tuple(dict.fromkeys((*chosen.addresses, *more))))


def _would_be_first(context: _Context) -> SiteName | None:
    """Who would be the first of the order if every site lived and none were drained."""
    everybody = tuple(Candidate(name, ()) for name in context.snapshot.sites)
    for item in context.app.chain:
        if item.kind in _FILTERS and item.kind != "healthy":
            everybody = _FILTERS[item.kind](context, item, everybody).candidates
    order = _in_order(everybody)
    return order[0].site if order else None


def _shed(context: _Context, item: Filter, candidates: tuple[Candidate, ...]) -> _Pick:
    order, loads = _in_order(candidates), context.live.loads
    sites = [context.snapshot.sites[c.site] for c in order]
    shares = shed_shares(item, sites, loads)
    outcomes = tuple(_outcome((c,), share) for c, share in zip(order, shares, strict=True) if share > 0)
    return _Pick(outcomes, shed_reason(item, sites, loads), is_shedding(item, sites, loads))


_PICKS = {"weighted": _weighted, "first": _first, "shed": _shed}


def _in_order(candidates: tuple[Candidate, ...]) -> tuple[Candidate, ...]:
    """The best rank first; those of equal rank as the policy has them."""
    return tuple(sorted(candidates, key=lambda c: c.rank))


def _outcome(candidates: tuple[Candidate, ...], weight: float) -> Outcome:
    addresses = tuple(address for c in candidates for address in c.addresses)
    return Outcome(tuple(c.site for c in candidates), addresses, weight)
