"""The one way by which anything changes: prepare everywhere, write to the store, publish everywhere, collect the acks.

A refusal before the store was written changes nothing. A refusal after it (Envoy says no to what it had validated) puts
the content from before back everywhere, as a newer version: versions only ever rise. A node that cannot be reached, or
falls silent meanwhile, does not hold the others up; `follow` brings it to the current version when it is back. Edges
are published before DNS, so that no answer names an edge that does not know the host yet.

Several controls may publish to the same nodes: a node takes newer versions only. What another control has written is
that one's to publish; here it is taken over after a moment, by whatever node does not have it yet.

A policy may go in waves (`waving` knows whose turn it is). Who is not reached yet keeps the policy from before, under
the overrides of now: drains and shifts are for everybody at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence

import structlog

from gslb import clock
from gslb.control.changes import set_policy
from gslb.control.checks import PushBoard
from gslb.control.compared import Compared
from gslb.control.dnskeys import keyring
from gslb.control.dnskeys.keyring import Maker, Role
from gslb.control.followed import Followed
from gslb.control.installation.fleet import Fleet, Trail, followed
from gslb.control.installation.leader import Lead
from gslb.control.installation.waves import Wave
from gslb.control.protocol import Outcomes, Refusal, RoleState
from gslb.control.publishing import Make, Published
from gslb.control.registrar import Registrar
from gslb.errors import GslbError, RefusedError
from gslb.model.given import Checker
from gslb.model.policy import Policy
from gslb.model.words import IpAddress
from gslb.roles.endpoint.node_client import CONTACT_S, NodeClient
from gslb.roles.heap import LongLived
from gslb.roles.publishing.believing import Believing
from gslb.roles.publishing.leading import Leading
from gslb.roles.publishing.nodes import NodeSet, is_dns
from gslb.roles.publishing.rounds import Current, differs, prepare, publish, sentence, unless_lost
from gslb.roles.publishing.signing import Signing
from gslb.roles.publishing.waving import Waving
from gslb.roles.seeing.geo import GeoFile
from gslb.snapshot import Compiler
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.checks import PushedAsk
from gslb.snapshot.intent import Intent
from gslb.snapshot.networks import GeoMap
from gslb.snapshot.types import Snapshot, ZoneKey
from gslb.store import AuditEntry, AuditRecord, Store

__all__ = ["RolePublisher"]

EDGES_FIRST_S = 1.0
"""How long DNS waits for the edges with what changes no policy: a drain must not wait for the site that is dead."""
HEAD_START_S = 1.0
"""How long what another control wrote is left to that one, on other machines."""


class RolePublisher:
    """Control's publisher to the role processes of `nodes`, edges first. One change at a time.

    `signing` signs bundles and says which are believed. `nodes` are this machine's; `nodes.take` brings those of
    others. `on_intent` hears of every Intent that comes into force; `make_key` makes DNSSEC keys, without it there are
    none.
    """

    def __init__(
        self,
        store: Store,
        signing: Signing,
        nodes: tuple[NodeClient, ...],
        on_intent: Callable[[Intent], None],
        geo: GeoFile | None = None,
        make_key: Maker | None = None,
    ) -> None:
        self._store = store
        self._signing = signing
        self.nodes = NodeSet(nodes)
        self._on_intent = on_intent
        self._geo = geo or GeoFile(None)
        self._make_key = make_key
        self.registrar: Registrar | None = None
        self._lock = asyncio.Lock()
        self._compiler = Compiler()
        self._current: Current | None = None
        self._held: Current | None = None
        self._trail: Trail = ()
        self.leading: Leading | None = None
        self.believing: Believing | None = None
        self.waving = Waving(store, self.nodes, lambda: self.leading.term() if self.leading is not None else None)
        self.git: Followed | None = None
        self.pushed = PushBoard()
        self.checker = Checker()

    # What control's API reads ---------------------------------------------------------------------------------------

    def current(self) -> tuple[Intent, Snapshot] | None:
        return (self._current.intent, self._current.snapshot) if self._current else None

    def compiled(self, intent: Intent, wall_s: float) -> Snapshot:
        return self._compiler.preview(intent, wall_s)

    def roles(self) -> Mapping[str, RoleState | None]:
        return {node.name: node.state for node in self.nodes.all}

    def ages_s(self) -> Mapping[str, float]:
        """Seconds since each node last answered; those that never did, or left a change unanswered, are missing."""
        return {node.name: node.silent_s for node in self.nodes.all if node.heard_mono_s is not None}

    def revision(self) -> int | None:
        """Of the policy in force."""
        return self._current.intent.revision if self._current else None

    def fleet(self) -> Fleet:
        wanted = [(node.name, self._wanted(node)) for node in self.nodes.all]
        return Fleet(
            machine=self.nodes.machine,
            registry=self.nodes.registry,
            trail=self._trail,
            wanted={name: made.snapshot if made is not None else None for name, made in wanted},
            wave=self.waving.wave,
            lead=self.leading.lead() if self.leading is not None else Lead(),
            signers_trouble=self.believing.trouble if self.believing is not None else "",
        )

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

    async def hand_pushed(self) -> list[str]:
        """As Publisher.hand_pushed; nothing is sent where no check can be pushed."""
        snapshot = self._current.snapshot if self._current else None
        if snapshot is None or not any(isinstance(check.ask, PushedAsk) for check in snapshot.checks.values()):
            return []
        states = self.pushed.living(clock.mono_s())
        looking = [node for node in self.nodes.reachable if node.state is not None and node.state.probing is not None]
        taken = await self.nodes.ask(looking, lambda node: node.hand_pushed(states))
        return [node.name for node, took in zip(looking, taken, strict=True) if took]

    async def comparisons(self, app: str, route: str) -> Mapping[str, Compared | None]:
        comparing = [
            node for node in self.nodes.reachable if node.state and node.state.edge and node.state.edge.comparing
        ]
        told = await self.nodes.ask(comparing, lambda node: node.comparison(app, route))
        return {node.name: item for node, item in zip(comparing, told, strict=True)}

    async def outcomes(self, app: str) -> Sequence[Outcomes]:
        """As Publisher.outcomes."""
        edges = [node for node in self.nodes.reachable if node.state is not None and node.state.edge is not None]
        told = await self.nodes.ask(edges, lambda node: node.outcomes(app))
        return [one for one in told if one is not None]

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

    async def _newest(self) -> Current | None:
        """What is in force, once the store has said that nobody wrote something newer."""
        version = self._current.snapshot.version if self._current else None
        if await asyncio.to_thread(self._store.changed, version, 0.0):
            await self._load()
        return self._current

    async def _load(self) -> bool:
        stored = await asyncio.to_thread(self._store.read)
        if stored is None or (self._current is not None and stored.version <= self._current.snapshot.version):
            return False
        bundle, intent = await asyncio.to_thread(self._signing.opened, stored)
        current = await Current.of(self._compiler, intent, bundle, clock.wall_s(), HEAD_START_S)
        if self._current is None or intent.revision != self._current.intent.revision:
            await self.waving.read()  # its position was written before it
        await self._take(current)
        refusals, _ = await self._publish(self.nodes.own)
        log = structlog.get_logger().bind(version=str(current.snapshot.version))
        if refusals:
            log.error("the stored version was refused", why=sentence(refusals))
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

    async def change(
        self, make: Make, audit: AuditEntry, bake_s: float | None = None, fence: int | None = None
    ) -> Published:
        """Publish what `make` turns the Intent in force into, whoever wrote that. Returns when every reachable role has
        it in force; of a policy with `bake_s` that goes in waves, those of the first. `fence` is the term in which this
        control leads, of a change that only the leader may make.

        Raises PolicyError, RefusedError or HostError, and then nothing has changed.
        """
        async with self._lock:
            before = await self._newest()
            intent = make(before.intent if before else None)
            if before is not None and intent == before.intent:
                return Published(before.snapshot, before.snapshot, {})
            after = await self._made(intent, before, clock.wall_s())
            await prepare(self.nodes, after)
            wave, is_policy = None, before is None or before.intent.revision != intent.revision
            if before is not None and bake_s is not None and is_policy:
                wave = await self.waving.begin(intent.revision, before.intent.revision, bake_s)
            await self._commit(before, after, audit, fence)
            patience_s = after.publish_s if is_policy else EDGES_FIRST_S
            refusals, silent = await self._publish(self.nodes.all, patience_s)
            if refusals:
                raise await self._put_back(before, after, refusals)
            await self.refresh()
            structlog.get_logger().info("published", version=str(after.snapshot.version), digest=after.snapshot.digest)
            return Published(before.snapshot if before else None, after.snapshot, silent, wave)

    async def settle(self) -> None:
        """The waves have moved, or the version has: see what those keep who must wait. What cannot be made, they do
        not get; they keep what they have."""
        current, wave = self._current, self.waving.wave
        if current is None or wave is None or not wave.is_on or wave.revision != current.intent.revision:
            self._held = None
            return
        held = self._held
        version = (wave.before, current.intent.overrides.version)
        if held is not None and (held.intent.revision, held.intent.overrides.version) == version:
            return
        try:
            policy = held.intent.policy if held and held.intent.revision == wave.before else None
            policy = policy or await self.policy(wave.before)
            intent = Intent(revision=wave.before, policy=policy, overrides=current.intent.overrides)
            self._held = await self._made(intent, held, current.wall_s)
        except GslbError as error:
            structlog.get_logger().error("nodes that wait for their wave do not get a change", why=str(error))
            self._held = None

    async def take_back(self, wave: Wave, fence: int) -> None:
        """The policy from before the waves goes to everybody, as a newer revision. Raises GslbError."""
        async with self._lock:
            before = await self._newest()
            if before is None or before.intent.revision != wave.revision:
                return
            policy, wall_s = await self.policy(wave.before), clock.wall_s()
            intent = keyring.fit(before.intent, set_policy(before.intent, policy), self.make_key, wall_s)
            back = await self._made(intent, before, wall_s)
            detail = f"revision {wave.revision} back to {wave.before}: {wave.why}"
            audit = AuditEntry(at_s=wall_s, author="gslb", action="wave-back", detail=detail)
            await self._commit(before, back, audit, fence)
            await self._publish(self.nodes.all)

    async def follow(self) -> None:
        """For ever: read every node, bring those that are behind to the current version, tell them of each other."""
        long_lived = LongLived()
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self.nodes.watch())
            while True:
                await self._catch_up()
                await self.nodes.hand_rosters()
                await self.hand_pushed()
                long_lived.look(self.revision(), clock.mono_s())
                await asyncio.sleep(CONTACT_S)

    async def close(self) -> None:
        await self.nodes.close()

    async def _catch_up(self) -> None:
        current = self._current
        if current is None or self._lock.locked():
            return
        mine = self.nodes.all if clock.mono_s() >= current.ours_mono_s else self.nodes.own
        behind = [node for node in mine if node.reachable and self._is_behind(node)]
        await self.nodes.ask([node for node in behind if not is_dns(node)], self._bring)
        await self.nodes.ask([node for node in behind if is_dns(node)], self._bring)

    def _wanted(self, node: NodeClient) -> Current | None:
        """What the node is to have in force; None: whatever it has."""
        current = self._current
        if current is not None and self.waving.must_wait(node, current.intent.revision):
            return self._held
        return current

    def _is_behind(self, node: NodeClient) -> bool:
        wanted = self._wanted(node)
        return wanted is not None and differs(node, wanted.snapshot)

    async def _bring(self, node: NodeClient) -> None:
        """Offered each time, complained of once: a node that stepped back from a version refuses it for good."""
        current = self._wanted(node)
        if current is None:
            return
        answer = await unless_lost(node, node.offer("/publish", current.offer, current.publish_s))
        log = structlog.get_logger().bind(node=node.name, version=str(current.snapshot.version))
        if isinstance(answer, Refusal):
            if node.refused != (current.snapshot.version, answer.reasons):
                log.error("a node refused the current version", why=answer.reasons)
            node.refused = current.snapshot.version, answer.reasons
        elif answer is not None:
            log.info("a node caught up")

    async def _made(self, intent: Intent, before: Current | None, wall_s: float) -> Current:
        """`intent` compiled and signed. Raises PolicyError, RefusedError and HostError."""
        unsigned = await asyncio.to_thread(Bundle.of, intent, before.bundle if before else None)
        bundle = await asyncio.to_thread(self._signing.signed, unsigned)
        return await Current.of(self._compiler, intent, bundle, wall_s)

    async def _commit(
        self, before: Current | None, after: Current, audit: AuditEntry, fence: int | None = None
    ) -> None:
        expected = before.snapshot.version if before else None
        await asyncio.to_thread(self._store.write, expected, after.bundle, audit, fence)
        await self._take(after)

    async def _take(self, after: Current) -> None:
        self._current = after
        self._trail = followed(self._trail, after.snapshot.version, clock.mono_s())
        self._on_intent(after.intent)
        await self.settle()

    async def _publish(
        self, nodes: Sequence[NodeClient], patience_s: float | None = None
    ) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
        """What is in force, to `nodes`. `patience_s` None: DNS waits for the edges as long as those may take."""
        assert self._current is not None
        patience_s = self._current.publish_s if patience_s is None else patience_s
        return await publish(self.nodes, nodes, self._wanted, patience_s)

    async def _put_back(
        self, before: Current | None, after: Current, refusals: Mapping[str, tuple[str, ...]]
    ) -> RefusedError:
        """What was in force before goes everywhere again, as a newer version. The error to raise."""
        why = sentence(refusals)
        structlog.get_logger().error("a published version was refused", version=str(after.snapshot.version), why=why)
        if before is None:
            return RefusedError("refused", why, "this was the first policy, so that nothing is in force")
        revised = after.intent.revision != before.intent.revision
        overrides = before.intent.overrides.model_copy(update={"version": after.intent.overrides.version + 1})
        update = {"overrides": overrides, "revision": after.intent.revision + 1 if revised else before.intent.revision}
        intent = before.intent.model_copy(update=update)
        back = await self._made(intent, before if not revised else None, after.wall_s)
        await self._commit(after, back, AuditEntry(at_s=after.wall_s, author="gslb", action="put-back", detail=why))
        await self._publish(self.nodes.all)
        await self.waving.end(why)
        return RefusedError("refused", why, "what was in force before is in force again")
