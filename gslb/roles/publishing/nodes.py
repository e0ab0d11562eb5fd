"""The nodes that a control publishes to: this machine's over their sockets, and those of every machine that joined.

The set changes while it is used. Each node has one client, which stays while its address does. What is published to
whom, and what follows from an answer, is `publish`'s business.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TypeVar

from gslb import clock
from gslb.control.installation.registry import Registry
from gslb.control.installation.rosters import registered, roster_for, roster_of
from gslb.control.protocol import Peer, Roster
from gslb.roles.endpoint.node_client import CONTACT_S, POLL_S, NodeClient
from gslb.roles.endpoint.peers import Tls, client_of
from gslb.roles.publishing.awake import Awake
from gslb.trust.signing import Signers

__all__ = ["AT_ONCE", "NodeSet", "is_dns"]

AT_ONCE = 32
"""How many nodes are asked at the same time: fifty take the same as ever, and thousands cannot open every file."""

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Way:
    """How others are reached from here. `machine` is this one: its nodes are asked over their sockets."""

    machine: str
    trust_domain: str
    tls: Tls


class NodeSet:
    """`own` are this machine's. Others are added by `take`, once `reach_by` has said how."""

    def __init__(self, own: Iterable[NodeClient]) -> None:
        self._awake = Awake()
        self.own = tuple(map(self._counted, own))
        self.own_peers: tuple[Peer, ...] = ()
        self._way: _Way | None = None
        self._others: dict[Peer, NodeClient] = {}
        self._registry = Registry()
        self._rostered: tuple[tuple[Registry, tuple[Peer, ...]], Roster] | None = None
        self._given_up: list[NodeClient] = []
        self._reading = asyncio.Lock()
        self._read_s = -math.inf
        self._slots = asyncio.Semaphore(AT_ONCE)

    def reach_by(self, machine: str, trust_domain: str, tls: Tls) -> None:
        """Machines that join from now on can be reached, by this one as `machine`."""
        self._way = _Way(machine, trust_domain, tls)

    def take(self, registry: Registry) -> None:
        """These machines belong to the installation, and no others."""
        if self._way is None or registry == self._registry:
            return
        way, before, own = self._way, self._others, f"{self._way.machine}/"
        self._registry = registry
        peers = [peer for peer in registered(registry, way.trust_domain) if not peer.name.startswith(own)]
        made = {peer: before.get(peer) or client_of(peer, "control", way.tls) for peer in peers}
        self._others = {peer: self._counted(client) for peer, client in made.items() if client is not None}
        self._given_up += [client for peer, client in before.items() if peer not in self._others]

    def _counted(self, node: NodeClient) -> NodeClient:
        """Its silence counts while this process looks."""
        node.now_s = self._awake.now_s
        return node

    @property
    def all(self) -> tuple[NodeClient, ...]:
        """Those of this machine first."""
        return (*self.own, *self._others.values())

    @property
    def machine(self) -> str:
        """The name of this machine; empty where it did not join."""
        return self._way.machine if self._way else ""

    @property
    def registry(self) -> Registry:
        return self._registry

    def full_name(self, node: NodeClient) -> str:
        """`MACHINE/dns`, `MACHINE/edge-SITE`: as every control calls it."""
        return node.name if "/" in node.name else f"{self.machine}/{node.name}"

    @property
    def reachable(self) -> list[NodeClient]:
        return [node for node in self.all if node.reachable]

    async def ask(self, nodes: Sequence[NodeClient], call: Callable[[NodeClient], Awaitable[_T]]) -> list[_T]:
        """What each says, in their order; AT_ONCE at the same time."""

        async def one(node: NodeClient) -> _T:
            async with self._slots:
                return await call(node)

        return await asyncio.gather(*(one(node) for node in nodes))

    async def refresh(self) -> None:
        """Read the state of every node that is reachable, now; those who ask during a read share the next one. A node
        that is lost is looked for by `seek` alone, so that it holds nobody up."""
        asked_s = clock.mono_s()
        async with self._reading:
            if self._read_s < asked_s:
                self._read_s = clock.mono_s()
                await self.ask(self.reachable, NodeClient.read)
                await self._close_given_up()

    async def seek(self) -> None:
        """Read the state of every node that is not reachable."""
        lost = [node for node in self.all if not node.reachable]
        for start in range(0, len(lost), AT_ONCE):
            await asyncio.gather(*(node.read() for node in lost[start : start + AT_ONCE]))

    async def watch(self) -> None:
        """For ever: read every node. Who publishes needs it: a node that was not read for a while counts as lost.

        A node of which nothing is new answers in every second round; who has something to tell, in each. One that does
        not answer holds up no other."""

        async def seek() -> None:
            while True:
                await self.seek()
                await asyncio.sleep(CONTACT_S)

        asked: dict[NodeClient, asyncio.Task[None]] = {}
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(seek())
            while True:
                asked = {node: task for node, task in asked.items() if not task.done()}
                idle = [node for node in self.reachable if node not in asked]
                asked |= {node: tasks.create_task(node.read(POLL_S)) for node in idle}
                await self._close_given_up()
                await asyncio.sleep(CONTACT_S)

    async def _close_given_up(self) -> None:
        while self._given_up:
            await self._given_up.pop().close()

    async def hand_rosters(self) -> None:
        """Tell every reachable node who the others are, where it does not know."""
        everybody = self._everybody()
        told = [(node, roster_for(everybody, node.state.roster)) for node in self.reachable if node.state is not None]
        wanting = {node: roster for node, roster in told if roster is not None}
        await self.ask(tuple(wanting), lambda node: node.hand(wanting[node]))

    async def hand_signers(self, signers: Signers) -> None:
        """Tell every reachable node whose signatures are believed, where its machine has an older list."""
        behind = [node for node in self.reachable if node.state is not None and node.state.signers < signers.number]
        await self.ask(behind, lambda node: node.hand_signers(signers))

    async def close(self) -> None:
        for node in (*self.all, *self._given_up):
            await node.close()

    def _everybody(self) -> Roster:
        """Made anew when somebody has come or gone: it is compared with what every node holds, each second."""
        source = self._registry, self.own_peers
        if self._rostered is None or self._rostered[0] != source:
            known = registered(self._registry, self._way.trust_domain) if self._way else ()
            peers, number = (known, self._registry.number) if known else (self.own_peers, 0)
            self._rostered = source, roster_of(peers, number, self._registry.removed())
        return self._rostered[1]


def is_dns(node: NodeClient) -> bool:
    """Whether it takes a change after the edges."""
    return node.name.rpartition("/")[2] == "dns"
