"""One round of asking nodes: can you take this, take this. What nodes are asked for, and what follows, is `publish`'s.

A node that cannot be reached, or does not even tell its state any more, holds nobody up.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass

from gslb import clock
from gslb.control.protocol import Applied, Offer, Refusal
from gslb.errors import RefusedError
from gslb.roles.endpoint.node_client import CONTACT_S, NodeClient
from gslb.roles.publishing.nodes import NodeSet, is_dns
from gslb.snapshot import Compiler
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import Snapshot

__all__ = ["Current", "differs", "prepare", "publish", "sentence", "unless_lost"]

PREPARE_TIMEOUT_S = 120.0
PUBLISH_S, PUBLISH_S_PER_MB = 15.0, 60.0
"""How long a node may take to put an offer in force, and how much longer for each megabyte of it. An edge waits 10 s
for its Envoy, and 8 s for each megabyte of its files, of which an offer makes seven: this is longer, so that the edge
gets to say what is wrong. Who does not even tell its state meanwhile is given up after seconds."""
UNREACHABLE = "cannot be reached; it takes the change when it is back"

_Answer = Applied | Refusal | None


@dataclass(frozen=True, slots=True)
class Current:
    """What is in force, and the offer of it as it is sent. `ours_mono_s`: from when on it is ours to bring to the nodes
    of other machines."""

    intent: Intent
    bundle: Bundle
    snapshot: Snapshot
    wall_s: float
    offer: bytes
    ours_mono_s: float

    @property
    def publish_s(self) -> float:
        """How long a node may take to put it in force."""
        return PUBLISH_S + PUBLISH_S_PER_MB * len(self.offer) / 1e6

    @classmethod
    async def of(
        cls, compiler: Compiler, intent: Intent, bundle: Bundle, wall_s: float, head_start_s: float = 0.0
    ) -> Current:
        """`bundle` is `intent`, signed. Compiled aside: a large policy takes seconds. Raises PolicyError."""
        snapshot = await asyncio.to_thread(compiler.compile, intent, wall_s)
        offer = Offer(bundle=bundle, wall_s=wall_s)
        octets = (await asyncio.to_thread(offer.model_dump_json)).encode()
        return cls(intent, bundle, snapshot, wall_s, octets, clock.mono_s() + head_start_s)


async def prepare(nodes: NodeSet, after: Current) -> None:
    """Can every node that is reachable take this? Raises RefusedError."""

    async def offered(node: NodeClient) -> _Answer:
        return await unless_lost(node, node.offer("/prepare", after.offer, PREPARE_TIMEOUT_S))

    asked = nodes.reachable
    answers = await nodes.ask(asked, offered)
    refusals = {n.name: a.reasons for n, a in zip(asked, answers, strict=True) if isinstance(a, Refusal)}
    if refusals:
        raise RefusedError("refused", sentence(refusals), "nothing has changed; correct what is named and try again")


async def publish(
    nodes: NodeSet, some: Sequence[NodeClient], wanted: Callable[[NodeClient], Current | None], patience_s: float
) -> tuple[dict[str, tuple[str, ...]], dict[str, str]]:
    """Refusals and silences by node: edges side by side, then DNS, at the latest after `patience_s`. Each gets what is
    `wanted` of it; who has that, or keeps what it has, is not asked."""
    answers: dict[str, _Answer] = {}

    async def offer(node: NodeClient) -> None:
        made = wanted(node)
        if made is None or not differs(node, made.snapshot):
            return
        answers[node.name] = None
        if node.reachable:
            answers[node.name] = await unless_lost(node, node.offer("/publish", made.offer, made.publish_s))

    def refusals() -> dict[str, tuple[str, ...]]:
        return {name: answer.reasons for name, answer in answers.items() if isinstance(answer, Refusal)}

    async with asyncio.TaskGroup() as tasks:
        edges = tasks.create_task(nodes.ask([node for node in some if not is_dns(node)], offer))
        await asyncio.wait([edges], timeout=patience_s)
        if not refusals():
            await nodes.ask([node for node in some if is_dns(node)], offer)
    return refusals(), {name: UNREACHABLE for name, answer in answers.items() if answer is None}


async def unless_lost(node: NodeClient, answering: Coroutine[None, None, _Answer]) -> _Answer:
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


def differs(node: NodeClient, snapshot: Snapshot) -> bool:
    """Whether the node had something else in force when it was last asked."""
    applied = node.state.applied if node.state else None
    wanted = (snapshot.version.revision, snapshot.version.overrides, snapshot.digest)
    return applied is None or (applied.revision, applied.overrides, applied.digest) != wanted


def sentence(refusals: Mapping[str, tuple[str, ...]]) -> str:
    return "; ".join(f"{name}: {' '.join(reasons)}" for name, reasons in refusals.items())
