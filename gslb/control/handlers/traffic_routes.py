"""The handlers of SMI's traffic metrics: `traffic` says what they mean, `routes` has their lines."""

from __future__ import annotations

from typing import Any

from gslb import clock
from gslb.control import changes, traffic
from gslb.control.protocol import Outcomes
from gslb.control.publishing import Publisher
from gslb.errors import HostError
from gslb.snapshot.types import Snapshot

__all__ = ["services", "splits"]


async def splits(publisher: Publisher, app: str, route: str | None) -> dict[str, Any]:
    """As traffic_messages.TrafficMetricsList. Raises RefusedError; HostError where no edge answers."""
    snapshot = _snapshot(publisher)
    seen = await _seen(publisher, snapshot, app)
    return traffic.splits(snapshot, app, route, seen, clock.wall_s())


async def services(publisher: Publisher, app: str, backend: str | None) -> dict[str, Any]:
    """As `splits`."""
    snapshot = _snapshot(publisher)
    seen = await _seen(publisher, snapshot, app)
    return traffic.services(snapshot, app, backend, seen, clock.wall_s())


def _snapshot(publisher: Publisher) -> Snapshot:
    current = publisher.current()
    changes.require(current[0] if current else None)
    assert current is not None
    return current[1]


async def _seen(publisher: Publisher, snapshot: Snapshot, app: str) -> list[Outcomes]:
    """Nobody is asked about what there is not."""
    if app not in snapshot.apps:
        return []
    seen = await publisher.outcomes(app)
    if not seen:
        raise HostError("no edge answers", "gslb status says which edges run")
    return list(seen)
