"""Living with a store that other machines write to, too: taking over what they wrote, and going on while it is silent.

Nothing here writes to the store or decides what is newer: that is the publisher's.
The machines that belong to the installation are read as often whether one joined or none.
"""

from __future__ import annotations

import asyncio

import structlog

from gslb.control.installation.registry import FOLDER, Registry, registry_of
from gslb.errors import GslbError, HostError, RefusedError
from gslb.roles.publishing.nodes import NodeSet
from gslb.roles.publishing.publish import RolePublisher
from gslb.store import Store

__all__ = ["follow_machines", "follow_store", "reach_store", "read_machines"]

WAIT_S = 1.0
"""One wait for news. A role that is told to stop may have to wait for so long."""
PAUSE_S = 1.0
MACHINES_S = 2.0

_log = structlog.get_logger()


async def reach_store(publisher: RolePublisher) -> None:
    """Go on from the store, however long it stays silent, or what it holds is not believed: the other roles serve from
    their own disks meanwhile."""
    told = ""
    while True:
        try:
            await publisher.load()
        except (HostError, RefusedError) as error:
            if str(error) != told:
                _log.error("the store cannot be used; this control waits for it", why=str(error))
            told = str(error)
            await asyncio.sleep(PAUSE_S)
        else:
            return


async def follow_store(store: Store, publisher: RolePublisher) -> None:
    """For ever: what another control wrote comes into force here. What fails is told once, and tried every second."""
    failed = ""
    while True:
        try:
            current = publisher.current()
            news = await asyncio.to_thread(store.changed, current[1].version if current else None, WAIT_S)
            taken = await publisher.load() if news else True
        except GslbError as error:
            if str(error) != failed:
                _log.error("the store cannot be followed; what is in force stays", why=str(error))
            failed, taken = str(error), False
        else:
            if failed:
                _log.info("the store is followed again")
            failed = ""
        if not taken:
            await asyncio.sleep(PAUSE_S)


async def follow_machines(store: Store, nodes: NodeSet) -> None:
    """For ever: the nodes of machines that join are published to, those of machines that are removed no more. While the
    store is silent, those that were known stay."""
    damaged: tuple[str, ...] = ()
    while True:
        try:
            registry = await read_machines(store)
        except GslbError:
            registry = None  # following the store says so
        if registry is not None:
            nodes.take(registry)
            if registry.damaged != damaged:
                damaged = registry.damaged
                _log.error("documents of machines do not read; those are left out", names=damaged)
        await asyncio.sleep(MACHINES_S)


async def read_machines(store: Store) -> Registry:
    """As the store has them now. Raises HostError."""
    documents = await asyncio.to_thread(store.documents, FOLDER)
    return registry_of((item.name, item.number, item.value) for item in documents)
