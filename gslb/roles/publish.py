"""The one way by which anything changes: prepare everywhere, write to the store, publish everywhere, collect the acks.

A refusal before the store was written changes nothing. A refusal after it (Envoy says no to what it had validated) puts
the content from before back everywhere, as a newer version: versions only ever rise. A node that cannot be reached, or
falls silent meanwhile, does not hold the others up; `follow` brings it to the current version when it is back. Edges
are published before DNS, so that no answer names an edge that does not know the host yet.

Several controls may publish to the same nodes: a node takes newer versions only. What another control has written is
that one's to publish; here it is taken over after a moment, by whatever node does not have it yet.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

import structlog

from gslb import clock
from gslb.control.followed import Followed
from gslb.control.keyring import Maker, Role
from gslb.control.protocol import Applied, Offer, Refusal, RoleState
from gslb.control.publishing import Make, Published
from gslb.control.registrar import Registrar
from gslb.errors import RefusedError
from gslb.model.policy import Policy
from gslb.model.words import IpAddress
from gslb.roles.geo import GeoFile
from gslb.roles.node_client import CONTACT_S, NodeClient
from gslb.roles.nodes import NodeSet, is_dns
from gslb.snapshot import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.networks import GeoMap
from gslb.snapshot.types import Snapshot, ZoneKey
from gslb.store import AuditEntry, AuditRecord, Store, version_of

__all__ = ["RolePublisher"]

PREPARE_TIMEOUT_S = 120.0
PUBLISH_TIMEOUT_S = 10.0
EDGES_FIRST_S = 1.0
"""How long DNS waits for the edges with what changes no policy: a drain must not wait for the site that is dead."""
HEAD_START_S = 1.0
"""How long what another control wrote is left to that one, on other machines."""

_Answer = Applied | Refusal | None

UNREACHABLE = "cannot be reached; it takes the change when it is back"


@dataclass(frozen=True, slots=True)
class _Current:
    """What is in force, and the offer of it as it is sent. `ours_mono_s`: from when on it is ours to bring to the nodes
    of other machines."""

    intent: Intent
    snapshot: Snapshot
    wall_s: float
    offer: bytes
    ours_mono_s: float

    @classmethod
    async def of(cls, intent: Intent, wall_s: float, head_start_s: float = 0.0) -> _Current:
        """Compiled aside: a large policy takes seconds. Raises PolicyError."""
        snapshot = await asyncio.to_thread(compile_snapshot, intent, wall_s)
        offer = Offer(intent=intent, wall_s=wall_s)
        octets = (await asyncio.to_thread(offer.model_dump_json)).encode()
        return cls(intent, snapshot, wall_s, octets, clock.mono_s() + head_start_s)


class RolePublisher:
    """Control's publisher to the role processes of `nodes`, edges first. One change at a time.

    `nodes` are this machine's; `nodes.take` brings those of others. `on_intent` hears of every Intent that comes into
    force; `make_key` makes DNSSEC keys, without it there are none.
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
        self.nodes = NodeSet(nodes)
        self._on_intent = on_intent
        self._geo = geo or GeoFile(None)
        self._make_key = make_key
        self.registrar: Registrar | None = None
        self._lock = asyncio.Lock()
        self._current: _Current | None = None
        self.git: Followed | None = None

    # What control's API reads ---------------------------------------------------------------------------------------

    def current(self) -> tuple[Intent, Snapshot] | None:
        return (self._current.intent, self._current.snapshot) if self._current else None

    def roles(self) -> Mapping[str, RoleState | None]:
        return {node.name: node.state for node in self.nodes.all}

    def ages_s(self) -> Mapping[str, float]:
        """Seconds since each node last answered; those that never did, or left a change unanswered, are missing."""
        now = clock.mono_s()
        return {node.name: now - node.heard_mono_s for node in self.nodes.all if node.heard_mono_s is not None}

    def places(self, client: IpAddress | None) -> GeoMap | None:
        return self._geo.ask(client)

    def all_places(self) -> GeoMap | None:
        return self._geo.read()

    def followed(self) -> Followed | None:
        return self.git

    def make_key(self, zone: str, role: Role, algorithm: int) -> ZoneKey:
        assert self._make_key is not None
        return self._make_key(zone, role, algorithm)

    async def policy(self, revision: int) -> Policy:
        return await asyncio.to_thread(self._store.policy, revision)

    async def history(self, limit: int) -> Sequence[AuditRecord]:
        return await asyncio.to_thread(self._store.history, limit)

    async def refresh(self) -> None:
        """Read every node's state now, but for those that are lost."""
        await self.nodes.refresh()

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
        self._current = current = await _Current.of(intent, clock.wall_s(), HEAD_START_S)
        self._on_intent(intent)
        refusals, _ = await self._publish(current, self.nodes.own)
        log = structlog.get_logger().bind(version=str(current.snapshot.version))
        if refusals:
            log.error("the stored version was refused", why=_sentence(refusals))
        else:
            log.info("the stored version is in force")
        return True

    async def reach_all(self, timeout_s: float) -> None:
        """Wait until every node of this machine answers, at most `timeout_s`."""
        until = clock.mono_s() + timeout_s
        await self.nodes.seek()
        while clock.mono_s() < until and not all(node.reachable for node in self.nodes.own):
            await asyncio.sleep(0.05)
            await self.nodes.seek()

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
            after = await _Current.of(intent, clock.wall_s())
            await self._prepare(after)
            await self._commit(before, after, audit)
            patience_s = PUBLISH_TIMEOUT_S if _is_policy(before, after) else EDGES_FIRST_S
            refusals, silent = await self._publish(after, self.nodes.all, patience_s)
            if refusals:
                raise await self._put_back(before, after, refusals)
            await self.refresh()
            structlog.get_logger().info("published", version=str(after.snapshot.version), digest=after.snapshot.digest)
            return Published(before.snapshot if before else None, after.snapshot, silent)

    async def follow(self) -> None:
        """For ever: read every node, bring those that are behind to the current version, tell them of each other."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.nodes.watch())
            while True:
                await self._catch_up()
                await self.nodes.hand_rosters()
                await asyncio.sleep(CONTACT_S)

    async def close(self) -> None:
        await self.nodes.close()

    async def _catch_up(self) -> None:
        current = self._current
        if current is None or self._lock.locked():
            return
        mine = self.nodes.all if clock.mono_s() >= current.ours_mono_s else self.nodes.own
        behind = [node for node in mine if node.reachable and _is_behind(node, current.snapshot)]
        await self.nodes.ask(behind, lambda node: self._bring(node, current))

    async def _bring(self, node: NodeClient, current: _Current) -> None:
        """Offered each time, complained of once: a node that stepped back from a version refuses it for good."""
        answer = await _unless_lost(node, node.offer("/publish", current.offer, PUBLISH_TIMEOUT_S))
        log = structlog.get_logger().bind(node=node.name, version=str(current.snapshot.version))
        if isinstance(answer, Refusal):
            if node.refused != (current.snapshot.version, answer.reasons):
                log.error("a node refused the current version", why=answer.reasons)
            node.refused = current.snapshot.version, answer.reasons
        elif answer is not None:
            log.info("a node caught up")

    async def _prepare(self, after: _Current) -> None:
        async def offered(node: NodeClient) -> _Answer:
            return await _unless_lost(node, node.offer("/prepare", after.offer, PREPARE_TIMEOUT_S))

        asked = self.nodes.reachable
        answers = await self.nodes.ask(asked, offered)
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

    async def _publish(
        self, after: _Current, nodes: Sequence[NodeClient], patience_s: float = PUBLISH_TIMEOUT_S
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
        """Refusals and silences by node: edges side by side, then DNS, at the latest after `patience_s`."""
        answers: dict[str, _Answer] = {}

        async def offer(node: NodeClient) -> None:
            answers[node.name] = None
            if node.reachable:
                offered = node.offer("/publish", after.offer, PUBLISH_TIMEOUT_S)
                answers[node.name] = await _unless_lost(node, offered)

        def refusals() -> dict[str, tuple[str, ...]]:
            return {name: answer.reasons for name, answer in answers.items() if isinstance(answer, Refusal)}

        async with asyncio.TaskGroup() as tasks:
            edges = tasks.create_task(self.nodes.ask([node for node in nodes if not is_dns(node)], offer))
            await asyncio.wait([edges], timeout=patience_s)
            if not refusals():
                await self.nodes.ask([node for node in nodes if is_dns(node)], offer)
        return refusals(), {name: UNREACHABLE for name, answer in answers.items() if answer is None}

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
        back = await _Current.of(intent, after.wall_s)
        await self._commit(after, back, AuditEntry(at_s=after.wall_s, author="gslb", action="put-back", detail=why))
        await self._publish(back, self.nodes.all)
        return RefusedError("refused", why, "what was in force before is in force again")


async def _unless_lost(node: NodeClient, answering: Coroutine[None, None, _Answer]) -> _Answer:
    """What the node answers; None once it does not even tell its state any more."""
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(answering)
        while node.reachable:
            done, _ = await asyncio.wait([task], timeout=CONTACT_S)
            if done:
                return task.result()
            await node.read()
        task.cancel()
    return None


def _is_policy(before: _Current | None, after: _Current) -> bool:
    return before is None or before.intent.revision != after.intent.revision


def _is_behind(node: NodeClient, snapshot: Snapshot) -> bool:
    applied = node.state.applied if node.state else None
    wanted = (snapshot.version.revision, snapshot.version.overrides, snapshot.digest)
    return applied is None or (applied.revision, applied.overrides, applied.digest) != wanted


def _sentence(refusals: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name}: {' '.join(reasons)}" for name, reasons in refusals.items())
