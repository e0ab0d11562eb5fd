"""Reads, each second, what the edges have counted, and tells the loads of their sites when they change.

The edges of this machine stand in its settings, those of others in the roster. The arithmetic is `health.load`'s, what
follows from a load is steering's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Hashable, Mapping

from gslb import clock
from gslb.control.protocol import Peer, RoleState, Roster, role_name
from gslb.health.load import LoadMeter, smoothing_s
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.endpoint.peers import Tls, client_of
from gslb.roles.seeing.exchange import own_machine
from gslb.roles.settings import Settings
from gslb.snapshot.types import SiteName, Snapshot

__all__ = ["LoadReader"]

READ_S = 1.0


class LoadReader:
    """`on_loads` is called whenever `loads` has changed. Nothing is read before `follow`, nor of sites without a
    capacity; nor on other machines without `tls`, which is looked at when a roster comes."""

    def __init__(self, settings: Settings, on_loads: Callable[[], None]) -> None:
        self.tls: Tls | None = None
        here = settings.sites if "edge" in settings.roles else ()
        names = {role_name("edge", site): SiteName(site) for site in here}
        self._own = {name: (site, NodeClient(name, settings.socket(name), "dns")) for name, site in names.items()}
        self._others: dict[Peer, NodeClient] = {}
        self._on_loads, self._machine = on_loads, own_machine(settings.data)
        self._meter = LoadMeter()
        self._sized: frozenset[SiteName] = frozenset()
        self._given_up: list[NodeClient] = []
        self.loads: Mapping[SiteName, float] = {}

    def take_roster(self, roster: Roster) -> None:
        """Look at these edges too, but for those of this machine."""
        own = {*self._own, *(f"{self._machine}/{name}" for name in self._own)}
        edges = [peer for peer in roster.peers if peer.role == "edge" and peer.site and peer.name not in own]
        before = self._others
        made = {peer: before.get(peer) or client_of(peer, "dns", self.tls) for peer in edges}
        self._others = {peer: client for peer, client in made.items() if client is not None}
        self._given_up += [client for peer, client in before.items() if peer not in self._others]

    def follow(self, snapshot: Snapshot) -> None:
        """Look at the sites that have a capacity in `snapshot`."""
        sized = {site.name: site.capacity_per_s for site in snapshot.sites.values() if site.capacity_per_s}
        self._meter.expect(sized, smoothing_s(snapshot.apps.values()))
        self._sized = frozenset(sized)

    async def run(self) -> None:
        """Read for ever. An edge that does not answer keeps its last load for a while."""
        while True:
            await asyncio.gather(*(self._read(site, node) for site, node in self._edges() if site in self._sized))
            while self._given_up:
                await self._given_up.pop().close()
            loads = self._meter.loads(clock.mono_s())
            if loads != self.loads:
                self.loads = loads
                self._on_loads()
            await asyncio.sleep(READ_S)

    async def close(self) -> None:
        for node in (*(node for _, node in self._edges()), *self._given_up):
            await node.close()

    def _edges(self) -> list[tuple[SiteName, NodeClient]]:
        return [*self._own.values(), *((SiteName(peer.site or ""), node) for peer, node in self._others.items())]

    async def _read(self, site: SiteName, node: NodeClient) -> None:
        before_s = node.heard_mono_s
        await node.read()
        if node.state is not None and node.heard_mono_s is not None and node.heard_mono_s != before_s:
            counts, born_s = _counts(node.state), node.state.started_wall_s
            self._meter.take(site, counts, born_s, node.heard_mono_s, node.name)


def _counts(state: RoleState) -> dict[Hashable, int]:
    """Each counter by itself, because each begins anew by itself: requests when a split changes, mirrored copies with
    the role, and what was answered for other edges."""
    counts: dict[Hashable, int] = {}
    for route in state.edge.routes if state.edge else ():
        key = (route.app, route.route)
        counts |= {(*key, "request", backend): number for backend, number in route.requests.items()}
        counts[*key, "mirrored"] = route.mirrored
    for hop in state.edge.hops if state.edge else ():
        counts[hop.app, hop.backend, "hop"] = hop.requests
    return counts
