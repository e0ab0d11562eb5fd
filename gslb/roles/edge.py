"""The edge role's composition root: one site's Envoy, looked after, behind a node endpoint."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Sequence

import structlog

from gslb import clock
from gslb.control.compared import COMPARER
from gslb.control.protocol import (
    CertificateSeen,
    EdgeState,
    EnvoyState,
    HopState,
    Observations,
    Outcomes,
    RoleState,
    Roster,
    RouteState,
    SideOutcome,
    role_name,
)
from gslb.edge import runner as edge_runner
from gslb.edge.process import find_envoy
from gslb.edge.runner import EdgeRunner, Places
from gslb.errors import HostError, RefusedError
from gslb.health.probes import Prober
from gslb.roles.comparisons.comparing import ComparerDesk
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_door import being_known
from gslb.roles.identities.edge_credentials import edge_credentials
from gslb.roles.identities.identity import Identity
from gslb.roles.process import Stop
from gslb.roles.seeing.checking import Pushes, Told, probing_told, tools_of, watch_prober
from gslb.roles.seeing.exchange import Outlook
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running
from gslb.snapshot.targets import check_targets, probe_targets
from gslb.snapshot.types import AppName, LiveState, RouteId, SiteName, Snapshot
from gslb.trust.signer_files import TrustFolder

__all__ = ["run"]

_log = structlog.get_logger(__name__)

_CERTIFICATES_S = 2.0
"""How soon a replaced certificate is seen."""


class EdgeRole:
    """Turns snapshots into what one Envoy serves. `prober`: with nobody else on its machine who looks at the edges, it
    does."""

    def __init__(
        self, site: SiteName, runner: EdgeRunner, comparing: ComparerDesk, prober: Prober | None = None
    ) -> None:
        self._name = role_name("edge", site)
        self._site = site
        self._runner = runner
        self._comparing = comparing
        self._started_wall_s = clock.wall_s()
        self._prober = prober
        self._told = Told(prober) if prober else None
        self._route_messages: dict[RouteId, tuple[edge_runner.RouteState, RouteState]] = {}
        self._routes_told: tuple[Sequence[edge_runner.RouteState], tuple[RouteState, ...]] = (), ()
        nothing = LiveState()
        self._outlook = Outlook(
            lambda: prober.live if prober else nothing, lambda: prober is not None and prober.running, site
        )

    def observations(self) -> Observations:
        """Its own word, and what it sees of all edges where it looks at them."""
        self._outlook.serves = self._runner.serves
        return self._outlook.observations()

    async def prepare(self, snapshot: Snapshot) -> None:
        self._demand_site(snapshot)
        await self._runner.prepare(snapshot)

    async def publish(self, snapshot: Snapshot) -> None:
        self._demand_site(snapshot)
        await asyncio.to_thread(self._comparing.publish, snapshot)
        await self._runner.publish(snapshot)
        if self._prober is not None:
            self._prober.set_targets((*probe_targets(snapshot), *check_targets(snapshot)))

    async def state(self) -> RoleState:
        envoy, routes = await self._runner.state()
        arrivals, dropped = self._runner.arrivals(), self._runner.captures_dropped()
        return RoleState(
            name=self._name,
            role="edge",
            site=self._site,
            pid=os.getpid(),
            started_wall_s=self._started_wall_s,
            ready=envoy.state == "live",
            checks=self._told.checks() if self._told else (),
            probing=probing_told(self._prober) if self._prober else None,
            edge=EdgeState(
                envoy=EnvoyState.model_validate(envoy, from_attributes=True),
                routes=self._told_routes(routes),
                certificates=tuple(
                    CertificateSeen(
                        name=item.secret,
                        hosts=item.hosts,
                        unnamed=item.unnamed,
                        begins_wall_s=item.begins_s,
                        ends_wall_s=item.ends_s,
                        problem=item.problem,
                    )
                    for item in self._runner.certificates()
                ),
                hops=tuple(
                    HopState(app=app, backend=backend, requests=number)
                    for (app, backend), number in self._runner.hops().items()
                ),
                arriving_per_s={app: round(per_s, 3) for app, per_s in arrivals.per_s.items()},
                connections=arrivals.connections,
                refused=self._runner.refused(),
                comparing=self._comparing.wanted,
                comparer=self._comparing.state,
                comparer_life=self._comparing.life,
                comparer_silent_s=self._comparing.silent_s,
                captures_dropped=dropped,
                captures_dropped_ago_s=self._comparing.dropped_ago_s(dropped),
            ),
        )

    def _told_routes(self, routes: Sequence[edge_runner.RouteState]) -> tuple[RouteState, ...]:
        """Of ten thousand routes most have counted nothing since: their messages are kept."""
        if routes is not self._routes_told[0]:
            before = self._route_messages
            self._route_messages = {
                item.route: known if (known := before.get(item.route)) and _is_still(known[0], item) else _message(item)
                for item in routes
            }
            self._routes_told = routes, tuple(message for _, message in self._route_messages.values())
        return self._routes_told[1]

    async def outcomes(self, app: str) -> Outcomes:
        seen = await self._runner.outcomes(AppName(app))
        sides = tuple(
            SideOutcome(
                route=route.route,
                backend=backend,
                answered=side.answered,
                failed=side.failed,
                bins=tuple((lower, width, count) for (lower, width), count in side.bins.items()),
            )
            for (route, backend), side in seen.sides.items()
        )
        return Outcomes(window_s=seen.window_s, sides=sides)

    def _demand_site(self, snapshot: Snapshot) -> None:
        if self._site not in snapshot.sites:
            raise RefusedError(
                "sites-changed", f"the policy has no site {self._site} any more", "stop its edge: restart gslb run"
            )


def _shut_out(runner: EdgeRunner, roster: Roster) -> None:
    try:
        runner.shut_out(roster.removed)
    except HostError as error:
        _log.error("machines that were removed may still come in", machines=roster.removed, why=str(error))


def _is_still(before: edge_runner.RouteState, now: edge_runner.RouteState) -> bool:
    """Did it count nothing since?"""
    return before is now or before.counts == now.counts


def _message(item: edge_runner.RouteState) -> tuple[edge_runner.RouteState, RouteState]:
    counts = item.counts
    return item, RouteState(
        app=item.route.app,
        route=item.route.route,
        requests=dict(counts.requests),
        mirrored=counts.mirrored,
        skipped=dict(counts.skipped),
    )


async def _watch_certificates(runner: EdgeRunner) -> None:
    while True:
        await asyncio.sleep(_CERTIFICATES_S)
        await runner.look_at_certificates()


async def run(settings: Settings, stop: asyncio.Future[Stop], site: str) -> None:
    """Serve until `stop`. SIGTERM leaves Envoy serving, to be adopted by the next start, unless in the foreground."""
    name = role_name("edge", site)
    folder = settings.data / name
    folder.mkdir(mode=0o700, exist_ok=True)
    concurrency = settings.envoy_concurrency or os.cpu_count() or 1
    identity = Identity.of(settings, name)
    runner = EdgeRunner(
        SiteName(site),
        folder,
        find_envoy(settings.envoy),
        concurrency,
        # a certificate that appears while it runs is renewed by nobody before the next start
        lambda: edge_credentials(settings.trust, name) if identity is not None else None,
        Places(settings.certificates or settings.data / "certificates", settings.socket(COMPARER)),
    )
    prober = None if {"dns", "observer"} & set(settings.roles) else Prober(lambda _: None, tools=tools_of(settings))
    comparing = ComparerDesk(settings, SiteName(site))
    role = EdgeRole(SiteName(site), runner, comparing, prober)
    pushes = Pushes(prober).take if prober is not None else None
    node = Node(role, folder, TrustFolder(settings.trust), role.observations, pushes)
    node.identity_ends_s = lambda: identity.ends_s if identity else None
    node.rosters.follow(lambda roster: _shut_out(runner, roster))
    node.comparison = comparing.comparison
    node.outcomes = role.outcomes
    node.overrides.copies = True
    server = await serve_unix(node.app(), settings.socket(name))
    ended_by = None
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(keep_running("envoy", runner.run)),
                group.create_task(keep_running("deadline of a drain", runner.watch_deadline)),
                group.create_task(keep_running("certificates", lambda: _watch_certificates(runner))),
                group.create_task(keep_running("comparer", comparing.run)),
                group.create_task(node.run()),
                group.create_task(keep_running("what is held", node.look)),
                group.create_task(node.resume()),
                *(group.create_task(task) for task in being_known(node, identity, settings)),
            ]
            if prober is not None:
                tasks.append(group.create_task(keep_running("prober", prober.run)))
                tasks.append(group.create_task(watch_prober(prober)))
            ended_by = await asyncio.shield(stop)
            node.stop()
            for task in tasks:
                task.cancel()
    finally:
        await runner.close(end_envoy=settings.foreground or ended_by == signal.SIGINT)
        await server.cleanup()
