"""What a dns role does beside answering: it looks, hears what others see, keeps its files, and is asked at its node
endpoint. A restart answers from disk before this is imported.
"""

from __future__ import annotations

import asyncio

from gslb.errors import HostError
from gslb.health.checks import ask  # noqa: F401 - the first look at a named check does not wait for it
from gslb.roles.dns import NAME, DnsRole
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_door import being_known
from gslb.roles.identities.identity import Identity
from gslb.roles.keeping.holding import Holding
from gslb.roles.seeing.checking import Pushes, watch_prober
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running
from gslb.trust.signer_files import TrustFolder

__all__ = ["keep"]


async def keep(role: DnsRole, holding: Holding, settings: Settings) -> None:
    """Keep `role` in company until cancelled. Raises HostError where the machine is in the way; its offers are not."""
    try:
        identity = Identity.of(settings, NAME)
        node = _node(role, holding, settings, identity)
        server = await serve_unix(node.app(), settings.socket(NAME))
    except HostError:
        holding.stop()
        raise
    try:
        async with asyncio.TaskGroup() as group:
            for name, run in (
                ("prober", role.prober.run),
                ("watch over the prober", lambda: watch_prober(role.prober)),
                ("exchange", role.exchange.run),
                ("judge", role.judge.run),
                ("signatures", role.composer.run),
                ("cookie secret", role.follow_cookie_secret),
                ("database of places", role.follow_geo),
                ("loads", role.load_reader.run),
                ("last seen", role.keep_last_seen),
                ("what is held", node.look),
            ):
                group.create_task(keep_running(name, run))
            group.create_task(node.run())
            for task in being_known(node, identity, settings):
                group.create_task(task)
            if role.query_log.sampler is not None:
                group.create_task(keep_running("query log", role.query_log.run))
            role.company.set()
    finally:
        await server.cleanup()


def _node(role: DnsRole, holding: Holding, settings: Settings, identity: Identity | None) -> Node:
    trust = TrustFolder(settings.trust)
    node = Node(role, settings.data / NAME, trust, role.outlook.observations, Pushes(role.prober).take, holding)
    if identity is not None:
        node.identity_ends_s = lambda: identity.ends_s
        role.exchange.tls = role.load_reader.tls = identity.tls
    node.rosters.follow(role.load_reader.take_roster)
    node.rosters.follow(role.exchange.take_roster)
    return node
