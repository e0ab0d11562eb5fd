"""The one way by which anything changes: prepare everywhere, write to the store, publish everywhere, collect the acks.

A refusal before the store was written changes nothing. A refusal after it (Envoy says no to what it had validated) puts
the content from before back everywhere, as a newer version: versions only ever rise. A node that cannot be reached does
not hold the others up; `follow` brings it to the current version when it is back. Edges are published before DNS, so
that no answer names an edge that does not know the host yet.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from gslb import clock
from gslb.control.keyring import Maker, Role
from gslb.control.protocol import Offer, Peer, Refusal, RoleState
from gslb.control.publishing import Make, Published
from gslb.control.rosters import roster_for
from gslb.errors import RefusedError
from gslb.model.policy import Policy
from gslb.model.words import IpAddress
from gslb.roles.geo import GeoFile
from gslb.roles.node_client import CONTACT_S, NodeClient
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.networks import GeoMap
from gslb.snapshot.types import Snapshot, ZoneKey
from gslb.store import AuditEntry, AuditRecord, Store, version_of

__all__ = ["RolePublisher"]

PREPARE_TIMEOUT_S = 120.0
PUBLISH_TIMEOUT_S = 10.0
UNREACHABLE = "cannot be reached; it takes the change when it is back"


@dataclass(frozen=True, slots=True)
class _Current:
    intent: Intent
    snapshot: Snapshot
    wall_s: float

    @property
    def offer(self) -> Offer:
        return Offer(intent=self.intent, wall_s=self.wall_s)


class RolePublisher:
    """Control's publisher to the role processes of `nodes`, edges first. One change at a time.

    `on_intent` hears of every Intent that comes into force; `make_key` makes DNSSEC keys, without it there are none.
    `peers` is who the nodes are told of.
    """

    def __init__(
        self,
        store: Store,
        nodes: tuple[NodeClient, ...],
        on_intent: Callable[[Intent], None],
        geo: GeoFile | None = None,
        make_key: Maker | None = None,
    ) -> None:
        self._store = store
        self._nodes = nodes
        self._on_intent = on_intent
        self._geo = geo or GeoFile(None)
        self._make_key = make_key
        self._lock = asyncio.Lock()
        self._reading = asyncio.Lock()
        self._read_s = -math.inf
        self._current: _Current | None = None
        self.peers: tuple[Peer, ...] = ()

    # What control's API reads ---------------------------------------------------------------------------------------

    def current(self) -> tuple[Intent, Snapshot] | None:
        return (self._current.intent, self._current.snapshot) if self._current else None

    def roles(self) -> Mapping[str, RoleState | None]:
        return {node.name: node.state for node in self._nodes}

    def ages_s(self) -> Mapping[str, float]:
        """Seconds since each node last answered; those that never did, or left a change unanswered, are missing."""
        now = clock.mono_s()
        return {node.name: now - node.heard_mono_s for node in self._nodes if node.heard_mono_s is not None}

    def places(self, client: IpAddress | None) -> GeoMap | None:
        return self._geo.ask(client)

    def all_places(self) -> GeoMap | None:
        return self._geo.read()

    def make_key(self, zone: str, role: Role, algorithm: int) -> ZoneKey:
        assert self._make_key is not None
        return self._make_key(zone, role, algorithm)

    async def policy(self, revision: int) -> Policy:
        return await asyncio.to_thread(self._store.policy, revision)

    async def history(self, limit: int) -> Sequence[AuditRecord]:
        return await asyncio.to_thread(self._store.history, limit)

    async def refresh(self) -> None:
        """Read every node's state now; those who ask during a read share the next one."""
        asked_s = clock.mono_s()
        async with self._reading:
            if self._read_s < asked_s:
                self._read_s = clock.mono_s()
                await asyncio.gather(*(node.read() for node in self._nodes))

    # Changing -------------------------------------------------------------------------------------------------------

    async def load(self) -> bool:
        """Bring into force what the store holds, if that is newer than what is in force here; whether it was.

        A node that refuses keeps what it has: whoever wrote it is not overruled from here. Raises HostError, and
        PolicyError where this gslb cannot compile it.
        """
        async with self._lock:
            return await self._load()

    async def _newest(self) -> _Current | None:
        """What is in force, once the store has said that nobody wrote something newer."""
        version = self._current.snapshot.version if self._current else None
        if await asyncio.to_thread(self._store.changed, version, 0.0):
            await self._load()
        return self._current

    async def _load(self) -> bool:
        intent = await asyncio.to_thread(self._store.read)
        if intent is None or (self._current is not None and version_of(intent) <= self._current.snapshot.version):
            return False
        wall_s = clock.wall_s()
        self._current = current = _Current(intent, compile_snapshot(intent, wall_s), wall_s)
        self._on_intent(intent)
        refusals, _ = await self._publish(current)
        log = structlog.get_logger().bind(version=str(current.snapshot.version))
        if refusals:
            log.error("the stored version was refused", why=_sentence(refusals))
        else:
            log.info("the stored version is in force")
        return True

    async def reach_all(self, timeout_s: float) -> None:
        """Wait until every node answers, at most `timeout_s`."""
        until = clock.mono_s() + timeout_s
        await self.refresh()
        while clock.mono_s() < until and not all(node.reachable for node in self._nodes):
            await asyncio.sleep(0.05)
            await self.refresh()

    async def change(self, make: Make, audit: AuditEntry) -> Published:
        """Publish what `make` turns the Intent in force into, whoever wrote that. Returns when every reachable role has
        it in force.

        Raises PolicyError, RefusedError or HostError, and then nothing has changed.
        """
        async with self._lock:
            before = await self._newest()
            intent = make(before.intent if before else None)
            if before is not None and intent == before.intent:
                return Published(before.snapshot, before.snapshot, {})
            wall_s = clock.wall_s()
            after = _Current(intent, compile_snapshot(intent, wall_s), wall_s)
            await self._prepare(after)
            await self._commit(before, after, audit)
            refusals, silent = await self._publish(after)
            if refusals:
                raise await self._put_back(before, after, refusals)
            await self.refresh()
            structlog.get_logger().info("published", version=str(after.snapshot.version), digest=after.snapshot.digest)
            return Published(before.snapshot if before else None, after.snapshot, silent)

    async def follow(self) -> None:
        """For ever: read every node, bring those that are behind to the current version, tell them of each other."""
        while True:
            await self.refresh()
            current = self._current
            if current is not None and not self._lock.locked():
                behind = [node for node in self._nodes if node.reachable and _is_behind(node, current.snapshot)]
                await asyncio.gather(*(self._catch_up(node, current) for node in behind))
            await asyncio.gather(*(self._hand_roster(node) for node in self._nodes if node.reachable))
            await asyncio.sleep(CONTACT_S)

    async def _hand_roster(self, node: NodeClient) -> None:
        roster = roster_for(self.peers, node.state.roster) if node.state else None
        if roster is not None:
            await node.hand(roster)

    async def close(self) -> None:
        for node in self._nodes:
            await node.close()

    async def _catch_up(self, node: NodeClient, current: _Current) -> None:
        """Offered each time, complained of once: a node that stepped back from a version refuses it for good."""
        answer = await node.offer("/publish", current.offer, PUBLISH_TIMEOUT_S)
        log = structlog.get_logger().bind(node=node.name, version=str(current.snapshot.version))
        if isinstance(answer, Refusal):
            if node.refused != (current.snapshot.version, answer.reasons):
                log.error("a node refused the current version", why=answer.reasons)
            node.refused = current.snapshot.version, answer.reasons
        elif answer is not None:
            log.info("a node caught up")

    async def _prepare(self, after: _Current) -> None:
        asked = [node for node in self._nodes if node.reachable]
        answers = await asyncio.gather(*(node.offer("/prepare", after.offer, PREPARE_TIMEOUT_S) for node in asked))
        refusals = {n.name: a.reasons for n, a in zip(asked, answers, strict=True) if isinstance(a, Refusal)}
        if refusals:
            raise RefusedError(
                "refused", _sentence(refusals), "nothing has changed; correct what is named and try again"
            )

    async def _commit(self, before: _Current | None, after: _Current, audit: AuditEntry) -> None:
        expected = before.snapshot.version if before else None
        await asyncio.to_thread(self._store.write, expected, after.intent, audit)
        self._current = after
        self._on_intent(after.intent)

    async def _publish(self, after: _Current) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
        """Refusals and silences by node: edges side by side, then DNS."""
        refusals: dict[str, tuple[str, ...]] = {}
        silent: dict[str, str] = {}
        edges = [node for node in self._nodes if node.name != "dns"]
        for wave in (edges, [node for node in self._nodes if node.name == "dns"]):
            known = [node for node in wave if node.reachable]
            silent |= {node.name: UNREACHABLE for node in wave if not node.reachable}
            answers = await asyncio.gather(*(n.offer("/publish", after.offer, PUBLISH_TIMEOUT_S) for n in known))
            for node, answer in zip(known, answers, strict=True):
                if isinstance(answer, Refusal):
                    refusals[node.name] = answer.reasons
                elif answer is None:
                    silent[node.name] = UNREACHABLE
            if refusals:
                break
        return refusals, silent

    async def _put_back(
        self, before: _Current | None, after: _Current, refusals: Mapping[str, tuple[str, ...]]
    ) -> RefusedError:
        """What was in force before goes everywhere again, as a newer version. The error to raise."""
        why = _sentence(refusals)
        structlog.get_logger().error("a published version was refused", version=str(after.snapshot.version), why=why)
        if before is None:
            return RefusedError("refused", why, "this was the first policy, so that nothing is in force")
        revised = after.intent.revision != before.intent.revision
        overrides = before.intent.overrides.model_copy(update={"version": after.intent.overrides.version + 1})
        update = {"overrides": overrides, "revision": after.intent.revision + 1 if revised else before.intent.revision}
        intent = before.intent.model_copy(update=update)
        back = _Current(intent, compile_snapshot(intent, after.wall_s), after.wall_s)
        await self._commit(after, back, AuditEntry(at_s=after.wall_s, author="gslb", action="put-back", detail=why))
        await self._publish(back)
        return RefusedError("refused", why, "what was in force before is in force again")


def _is_behind(node: NodeClient, snapshot: Snapshot) -> bool:
    applied = node.state.applied if node.state else None
    wanted = (snapshot.version.revision, snapshot.version.overrides, snapshot.digest)
    return applied is None or (applied.revision, applied.overrides, applied.digest) != wanted


def _sentence(refusals: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name}: {' '.join(reasons)}" for name, reasons in refusals.items())
