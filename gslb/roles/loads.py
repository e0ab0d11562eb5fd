"""Reads, each second, what the edges on this machine have counted, and tells the loads of their sites when they change.

Edges on other machines are not reached: nobody knows the load of their sites, and they do not shed. The arithmetic is
`health.load`'s, what follows from a load is steering's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping

from gslb import clock
from gslb.control.protocol import RoleState, role_name
from gslb.health.load import LoadMeter, smoothing_s
from gslb.roles.node_client import NodeClient
from gslb.roles.settings import Settings
from gslb.snapshot.types import SiteName, Snapshot

__all__ = ["LoadReader"]

READ_S = 1.0


class LoadReader:
    """`on_loads` is called whenever `loads` has changed. Nothing is read before `follow`, nor of sites without a
    capacity."""

    def __init__(self, settings: Settings, on_loads: Callable[[], None]) -> None:
        here = settings.sites if "edge" in settings.roles else ()
        names = {SiteName(site): role_name("edge", site) for site in here}
        self._nodes = {site: NodeClient(name, settings.socket(name), "dns") for site, name in names.items()}
        self._on_loads = on_loads
        self._meter = LoadMeter()
        self._watched: tuple[SiteName, ...] = ()
        self.loads: Mapping[SiteName, float] = {}

    def follow(self, snapshot: Snapshot) -> None:
        """Look at the sites that have a capacity in `snapshot`."""
        sized = {site.name: site.capacity_per_s for site in snapshot.sites.values() if site.capacity_per_s}
        self._meter.expect(sized, smoothing_s(snapshot.apps.values()))
        self._watched = tuple(site for site in self._nodes if site in sized)

    async def run(self) -> None:
        """Read for ever. An edge that does not answer keeps its last load for a while."""
        while True:
            await asyncio.gather(*(self._read(site) for site in self._watched))
            loads = self._meter.loads(clock.mono_s())
            if loads != self.loads:
                self.loads = loads
                self._on_loads()
            await asyncio.sleep(READ_S)

    async def close(self) -> None:
        for node in self._nodes.values():
            await node.close()

    async def _read(self, site: SiteName) -> None:
        node = self._nodes[site]
        before_s = node.heard_mono_s
        await node.read()
        if node.state is not None and node.heard_mono_s is not None and node.heard_mono_s != before_s:
            self._meter.take(site, _counts(node.state), node.state.started_wall_s, node.heard_mono_s)


def _counts(state: RoleState) -> dict[Hashable, int]:
    """Each counter by itself, because each begins anew by itself: requests when a split changes, mirrored copies with
    the role."""
    counts: dict[Hashable, int] = {}
    for route in state.edge.routes if state.edge else ():
        key = (route.app, route.route)
        counts |= {(*key, "request", backend): number for backend, number in route.requests.items()}
        counts[*key, "mirrored"] = route.mirrored
    return counts
