"""What nodes look at for a snapshot: front doors and named checks. Pure; who looks and how is not known here.

A target says what makes it the same one later (`key`), what reasons call it, whose verdicts it decides (`places`) and
how many results decide (`check`, as Rounds). Whoever judges needs no more than these.
"""

from __future__ import annotations

import graphlib
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from gslb.model.words import IpAddress
from gslb.snapshot.checks import CalculatedAsk, CheckName, HealthCheck, NamedCheck
from gslb.snapshot.types import AppName, BackendName, SiteName, Snapshot

__all__ = [
    "EDGE_CHECK",
    "CheckKey",
    "CheckTarget",
    "Key",
    "Place",
    "ProbeTarget",
    "Target",
    "TargetKey",
    "check_targets",
    "probe_targets",
]

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


class CheckKey(NamedTuple):
    """What makes a named check the same one in the next snapshot."""

    check: CheckName


Key = TargetKey | CheckKey


@dataclass(frozen=True, slots=True)
class ProbeTarget:
    """One thing that DNS nodes look at: can `backend` of `app` be used through this edge address? `backend` is None
    where the app needs no checked backend: then the edge itself answers. `tls`: by https, with a certificate that is
    in force and names `host`."""

    app: AppName
    site: SiteName
    address: IpAddress
    port: int
    host: str
    backend: BackendName | None
    check: HealthCheck
    tls: bool = False

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


@dataclass(frozen=True, slots=True)
class CheckTarget:
    """A named check, and the verdicts that it decides: those of every address of the sites that name it. None for one
    that is only watched, or only a part of others."""

    check: NamedCheck
    places: tuple[Place, ...] = ()

    @property
    def key(self) -> CheckKey:
        return CheckKey(self.check.name)

    @property
    def subject(self) -> str:
        return self.check.name


Target = ProbeTarget | CheckTarget


def probe_targets(snapshot: Snapshot) -> Iterable[ProbeTarget]:
    """Everything that a DNS node looks at for this snapshot: per app and public edge address, each needed backend."""
    for app in snapshot.apps.values():
        checks: list[tuple[BackendName | None, HealthCheck]] = []
        checks += [(name, check) for name in app.needed if (check := app.backends[name].check)]
        checks = checks or [(None, EDGE_CHECK)]
        for site in snapshot.sites.values():
            for address in (address for edge in site.edges for address in edge.public):
                port, tls = site.port_of(app), site.serves_tls(app)
                for backend, check in checks:
                    yield ProbeTarget(app.name, site.name, address, port, app.own_host, backend, check, tls)


def check_targets(snapshot: Snapshot) -> Iterable[CheckTarget]:
    """Every named check, those that are calculated after all that they are calculated from."""
    places: dict[CheckName, list[Place]] = {}
    for app in snapshot.apps.values():
        for site, names in app.ready.items():
            addresses = [address for edge in snapshot.sites[site].edges for address in edge.public]
            for name in names:
                places.setdefault(name, []).extend((app.name, address) for address in addresses)
    members = {
        name: check.ask.of if isinstance(check.ask, CalculatedAsk) else () for name, check in snapshot.checks.items()
    }
    for name in graphlib.TopologicalSorter(members).static_order():
        yield CheckTarget(snapshot.checks[name], tuple(places.get(name, ())))
