"""What nodes look at for a snapshot: every front door, one by one. Pure; who looks and how is not known here."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gslb.model.words import IpAddress
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.types import AppName, BackendName, SiteName, Snapshot

__all__ = ["EDGE_CHECK", "Place", "ProbeTarget", "TargetKey", "probe_targets"]

EDGE_CHECK = HealthCheck(path="/", interval_s=2.0, timeout_s=1.0, rise=2, fall=3)
"""How an edge is probed for an app none of whose needed backends has a check."""

Place = tuple[AppName, IpAddress]
"""An app at a public edge address: what a verdict is about."""


class TargetKey(NamedTuple):
    """What makes a target the same one in the next snapshot, whatever became of its check or host name."""

    app: AppName
    address: IpAddress
    port: int
    backend: BackendName | None


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """One thing that DNS nodes look at: can `backend` of `app` be used through this edge address? `backend` is None
    where the app needs no checked backend: then the edge itself answers."""

    app: AppName
    site: SiteName
    address: IpAddress
    port: int
    host: str
    backend: BackendName | None
    check: HealthCheck

    @property
    def key(self) -> TargetKey:
        return TargetKey(self.app, self.address, self.port, self.backend)

    @property
    def subject(self) -> str:
        """What reasons call it."""
        return self.backend or "edge"

    @property
    def places(self) -> tuple[Place, ...]:
        """Whose verdicts it decides."""
        return ((self.app, self.address),)


def probe_targets(snapshot: Snapshot) -> Iterable[ProbeTarget]:
    """Everything that a DNS node looks at for this snapshot: per app and public edge address, each needed backend."""
    for app in snapshot.apps.values():
        checks: list[tuple[BackendName | None, HealthCheck]] = []
        checks += [(name, check) for name in app.needed if (check := app.backends[name].check)]
        checks = checks or [(None, EDGE_CHECK)]
        for site in snapshot.sites.values():
            for address in (address for edge in site.edges for address in edge.public):
                for backend, check in checks:
                    yield ProbeTarget(app.name, site.name, address, site.http_port, app.hosts[0], backend, check)
