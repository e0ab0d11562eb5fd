"""Whether other loads mean other answers: tables are compiled anew only then. Nothing is chosen here."""

from __future__ import annotations

from gslb.snapshot.types import App, Filter, LiveState, Snapshot
from gslb.steering.room import FAILOVER, demand_per_s
from gslb.steering.shed import kept_ratio

__all__ = ["loads_matter"]


def loads_matter(snapshot: Snapshot, app: App, old: LiveState, new: LiveState) -> bool:
    """Whether `app` may be answered otherwise under the loads of `new` than under those of `old`."""
    if old.loads == new.loads:
        return False
    pick = app.chain[-1]
    if pick.kind == "shed":
        return _keeps_others(pick, old, new)
    if not _lacks_a_site(app, new):
        return False
    if pick.kind == "first":
        return _keeps_others(FAILOVER, old, new)
    sites = tuple(snapshot.sites.values())
    return demand_per_s(sites, old.loads) != demand_per_s(sites, new.loads)


def _keeps_others(item: Filter, old: LiveState, new: LiveState) -> bool:
    sites = old.loads.keys() | new.loads.keys()
    return any(kept_ratio(item, old.loads.get(site)) != kept_ratio(item, new.loads.get(site)) for site in sites)


def _lacks_a_site(app: App, live: LiveState) -> bool:
    """While every site is there, only `shed` looks at loads."""
    if app.no_entry or app.forced or any(name == app.name for name, _ in live.ramps):
        return True
    return any(
        name == app.name and verdict.state not in ("up", "unknown") for (name, _), verdict in live.verdicts.items()
    )
