"""The filter `healthy`: which sites live, with which of their addresses, and for how long that is sure. Pure.

What a person forces beats every verdict, and is sure: nothing that is observed changes it. A site whose living share of
addresses is below the threshold counts as down as a whole: whoever answers with it after all, answers with all of its
addresses. What is held looks dead and is answered all the same; within a living site a held address that nobody doubts
to be dead gives way to the living ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf

from gslb.model.words import IpAddress
from gslb.snapshot.types import App, Filter, LiveState, SiteName

__all__ = ["Living", "find_living"]

Addresses = Mapping[SiteName, tuple[IpAddress, ...]]


@dataclass(frozen=True, slots=True)
class Living:
    """`addresses` has the sites that may be answered, with what of them lives; empty: everything is down. `well` are
    then those that are seen to be up, and kept out. `down`, `held` and `forced` say why, in words."""

    addresses: Addresses
    well: Addresses
    down: str
    held: str
    forced: Mapping[SiteName, str]
    flip_s: float


def find_living(live: LiveState, app: App, item: Filter, ours: Addresses) -> Living:
    """`ours` are the sites in question, each with the addresses that decide."""
    found = {site: _living(live, app, site, addresses) for site, addresses in ours.items()}
    living = {site: some for site, some in found.items() if len(some) >= _least(item, len(ours[site]))}
    held = {
        site: addresses
        for site, addresses in ours.items()
        if site not in living and any(_is_held(live, app, site, address) for address in addresses)
    }
    served = {int(address.version) for some in (*living.values(), *held.values()) for address in some}
    lost = {site: set() if app.mixed_families else _lost(ours[site], some, served) for site, some in living.items()}
    whole = {site: some for site, some in living.items() if not lost[site]} or living
    kept = {site: whole.get(site) or held[site] for site in ours if site in whole or site in held}
    down = [_named(site, lost.get(site, set()), len(found[site]), len(ours[site])) for site in ours if site not in kept]
    return Living(
        addresses=kept,
        well={} if kept else _well(live, app, ours),
        down=", ".join(down),
        held=_held(live, app, held),
        forced={site: f"{it.state} {it.detail}" for site in ours if (it := app.forced_state(site))},
        flip_s=_flip_s(live, app, ours),
    )


def _living(live: LiveState, app: App, site: SiteName, addresses: tuple[IpAddress, ...]) -> tuple[IpAddress, ...]:
    if forced := app.forced_state(site):
        return addresses if forced.state == "up" else ()
    return tuple(address for address in addresses if not live.is_dead(app.name, address))


def _is_held(live: LiveState, app: App, site: SiteName, address: IpAddress) -> bool:
    verdict = live.verdicts.get((app.name, address))
    return app.forced_state(site) is None and verdict is not None and verdict.state == "held"


def _well(live: LiveState, app: App, ours: Addresses) -> Addresses:
    """What is seen to be up, though it is kept out for the time being."""
    well: dict[SiteName, tuple[IpAddress, ...]] = {}
    for site, addresses in ours.items():
        verdicts = {address: live.verdicts.get((app.name, address)) for address in addresses}
        some = tuple(a for a, verdict in verdicts.items() if verdict is not None and verdict.seen == "up")
        if some and app.forced_state(site) is None:
            well[site] = some
    return well


def _least(item: Filter, addresses: int) -> float:
    """How many must live: at least one, and the share that the policy asks for."""
    return max(1.0, round(item.threshold_ratio * addresses, 6))


def _lost(ours: tuple[IpAddress, ...], living: tuple[IpAddress, ...], served: set[int]) -> set[int]:
    """The families that a site lost while others still serve them."""
    return {family for family in served if any(a.version == family for a in ours)} - {int(a.version) for a in living}


def _named(site: SiteName, lost: set[int], living: int, addresses: int) -> str:
    if lost:
        return f"{site} ({', '.join(f'IPv{family}' for family in sorted(lost))})"
    return f"{site} ({living} of {addresses} addresses live)" if living else site


def _held(live: LiveState, app: App, held: Addresses) -> str:
    """Why those who look dead are answered: the reasons of their verdicts, each once."""
    said = []
    for site, addresses in held.items():
        verdicts = (live.verdicts.get((app.name, address)) for address in addresses)
        reasons = dict.fromkeys(verdict.reason for verdict in verdicts if verdict and verdict.state == "held")
        said.append(f"{site} ({'; '.join(reasons)})")
    return ", ".join(said)


def _flip_s(live: LiveState, app: App, ours: Addresses) -> float:
    return min(
        (
            live.flip_s(app.name, address)
            for site, addresses in ours.items()
            if app.forced_state(site) is None
            for address in addresses
        ),
        default=inf,
    )
