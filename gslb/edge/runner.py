"""The edge of one site: takes snapshots, hands them to Envoy, keeps Envoy alive, tells what was counted.

Composition only. What Envoy serves is decided in `render`, the order of a change in `handover`, life in `keeper`.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import json
import os
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from gslb import clock
from gslb.edge.admin import Admin
from gslb.edge.arrivals import ArrivalMeter, Arrivals
from gslb.edge.certificates import Certificates, CertificateState
from gslb.edge.documents import Document, Encoder
from gslb.edge.files import Credentials, Files
from gslb.edge.handover import Handover
from gslb.edge.keeper import EnvoyState, Hooks, Keeper
from gslb.edge.outcomes import OutcomeMeter, Outcomes, parse_look, stats_pattern
from gslb.edge.process import Command, refuse_taken_addresses
from gslb.edge.render import (
    EdgeConfig,
    Renderer,
    StatsIndex,
    Stores,
    bootstrap,
    changed_part,
    needs_peers,
    static_bootstrap,
)
from gslb.edge.stats import (
    CAPTURES_DROPPED,
    CONNECTIONS,
    COUNTERS_FILTER,
    REFUSED,
    Tally,
    counting_apps,
    hop_counts,
    route_counts,
    take_waiting,
)
from gslb.edge.uncopied import Uncopied
from gslb.errors import HostError, RefusedError
from gslb.model.words import IpAddress
from gslb.snapshot.types import AppName, BackendName, RouteCounts, RouteId, SiteName, Snapshot
from gslb.whole_file import write_whole

__all__ = ["Credentials", "EdgeRunner", "Places", "RouteState"]

_VALIDATE_LIMIT_S = 110.0
_LIVE_LIMIT_S = 10.0
_DEADLINE_LOOK_S = 0.5
_STATE_WAIT_S = 0.5
"""How long a state may wait for Envoy's statistics: whoever asks for it gives up after a second."""
_LONG_COUNT_S, _LONGEST_COUNT_S, _COUNT_PAUSES = 0.1, 6.0, 10.0
"""An Envoy of 20,000 clusters looks through its statistics for a sixth of a second, in the thread that takes changes:
who asks every second must not have it do little else. A split that changes then counts from the next look on."""


@dataclass(frozen=True, slots=True)
class RouteState:
    route: RouteId
    counts: RouteCounts


@dataclass(frozen=True, slots=True)
class Places:
    """What of this machine an edge shares with others: the folder of the certificates that clients see, and the socket
    of the comparer."""

    certificates: Path
    comparer: Path


class EdgeRunner:
    """One Envoy for `site`, with its files in `data`. `run` must be under way for `publish` to succeed."""

    def __init__(
        self,
        site: SiteName,
        data: Path,
        envoy: Path,
        concurrency: int = 1,
        credentials: Callable[[], Credentials | None] = lambda: None,
        places: Places | None = None,
    ) -> None:
        """`credentials` are asked for with each snapshot; None: this edge has no identity yet."""
        self._site, self._envoy, self._credentials = site, envoy, credentials
        self._files = Files(data)
        places = places or Places(data / "certificates", data / "comparer.sock")
        source = places.certificates.absolute()
        self._stores = Stores(str(self._files.secrets), str(source), comparer=str(places.comparer.absolute()))
        self._certificates = Certificates(source, self._files.secrets)
        self._admin = Admin(self._files.paths.admin)
        self._handover = Handover(self._files, self._admin)
        command = Command(envoy, self._files.bootstrap, concurrency)
        hooks = Hooks(self._became_live, self._count, self._ended, lambda: _addresses(self._on_disk()))
        self._keeper = Keeper(command, self._files, self._admin, hooks)
        self._publishing = asyncio.Lock()
        self._settled = asyncio.Event()
        self._startable = asyncio.Event()
        self._renderer, self._encoder = Renderer(), Encoder()
        self._config: EdgeConfig | None = None
        self._snapshot: Snapshot | None = None
        self._shut_out: tuple[str, ...] = ()
        self._arrivals = ArrivalMeter()
        self._outcomes = OutcomeMeter()
        self._tally = Tally()
        self._uncopied = Uncopied()
        self._connections = 0
        self._count_again_s = self._count_took_s = 0.0
        self._moved: set[str] = set()
        self._told: dict[RouteId, RouteState] | None = None
        self._routes: tuple[RouteState, ...] = ()

    async def prepare(self, snapshot: Snapshot) -> None:
        """Can this Envoy take `snapshot`? Nothing changes. Raises RefusedError (rule `envoy-validate`)."""
        self._files.make_folders()
        config = await asyncio.to_thread(self._render, snapshot)
        async with self._publishing:
            await asyncio.to_thread(self._encoder.documents, config, self._files.paths)
            part = changed_part(self._config, config) if self._config is not None else None
            if part is not None and not part.apps:
                return  # shares alone: nothing that Envoy could not take
            static = static_bootstrap(part or config, self._files.paths.admin)
            content = await asyncio.to_thread(lambda: json.dumps(static).encode())
            aside = self._files.folder / "prepared.json"
            write_whole(aside, content)
            await _validate(self._envoy, aside)

    async def publish(self, snapshot: Snapshot) -> None:
        """Put `snapshot` in force; returns when it is. Raises RefusedError where Envoy refuses and HostError where it
        cannot start or does not answer: the last good files are then back in place."""
        self._files.make_folders()
        config = await asyncio.to_thread(self._render, snapshot)
        async with self._publishing:
            await self._settle()
            await self._put_in_force(config)
            self._snapshot = snapshot

    def shut_out(self, machines: Sequence[str]) -> None:
        """No process of these machines comes in at the door for other edges, from the next request on. Raises
        HostError where that cannot be written; then those of before are shut out."""
        self._shut_out = tuple(machines)
        credentials = self._credentials() if self._snapshot is not None and needs_peers(self._snapshot) else None
        if credentials is not None:
            self._files.peering(credentials, self._shut_out)

    async def watch_deadline(self) -> None:
        """For ever: when the deadline of a drain is over, close what is still open. Needs nobody else."""
        while True:
            await asyncio.sleep(_DEADLINE_LOOK_S)
            async with self._publishing:
                snapshot, config = self._snapshot, self._config
                if snapshot is not None and config is not None and not config.closing and self._is_over(snapshot):
                    await self._put_in_force(await asyncio.to_thread(self._render, snapshot))

    async def _put_in_force(self, config: EdgeConfig) -> None:
        await self._hand_over(config)
        await self._keeper.live(_LIVE_LIMIT_S + self._files.patience_s())
        if self._counts_quickly:
            await self._count()
        before = self._config
        self._config = config
        await self.look_at_certificates()
        self._certificates.forget(config.secrets)
        self._moved.update(_moved(before, config))
        if before is None or before.index != config.index:
            self._told = None
        if self._counts_quickly:
            self._tell_more(self._begin_anew())
        self._uncopied.begin(config.index, self._whole_counts(config.index))
        await self._admin.set_leaving(config.drained)

    async def run(self) -> None:
        """Keep Envoy alive until cancelled, with the files of an earlier run at once where there are some."""
        self._files.make_folders()
        self._files.begin_runtime()
        write_whole(self._files.bootstrap, json.dumps(bootstrap(self._files.paths, self._site), indent=1).encode())
        await self._keeper.adopt()
        if self._keeper.running or self._files.complete():
            self._startable.set()
        self._settled.set()
        await self._startable.wait()
        await self._keeper.run()

    @property
    def serves(self) -> bool:
        """Does an Envoy of it? What the edge says of itself to those who look at it from elsewhere."""
        return self._keeper.serves

    async def state(self) -> tuple[EnvoyState, tuple[RouteState, ...]]:
        """Envoy's life and what it counted, per route. Counters are as of now, or of the last look at an Envoy that
        does not answer; of a large policy they may be some seconds old, and then the routes are the same object."""
        if self.serves and clock.mono_s() >= self._count_again_s:
            with contextlib.suppress(HostError, TimeoutError):
                async with asyncio.timeout(_STATE_WAIT_S):
                    await self._count()
        envoy = self._keeper.state()
        if self._config is None:
            return envoy, ()
        if self._told is None:
            counts = self._counts(self._config.index)
            self._arrivals.take(counts, self._connections, clock.mono_s())
            self._told = {route: RouteState(route, counts[route]) for route in counts}
            self._routes = tuple(self._told.values())
        return envoy, self._routes

    async def close(self, end_envoy: bool) -> None:
        """After `run` was cancelled: end Envoy, or leave it serving for the next run to adopt."""
        if end_envoy:
            await self._keeper.end()
        else:
            self._keeper.leave()

    def arrivals(self) -> Arrivals:
        """What still comes, as of the last calls of `state`."""
        return self._arrivals.seen()

    async def outcomes(self, app: AppName) -> Outcomes:
        """What became of the requests of `app` lately. Raises HostError where Envoy does not answer."""
        config = self._config
        if config is None:
            return Outcomes(0.0, {})
        body = await self._admin.histograms(stats_pattern(app))
        look = await asyncio.to_thread(parse_look, body, config.index, self._keeper.state().pid, clock.mono_s())
        return self._outcomes.take(app, look)

    def refused(self) -> int:
        """Requests that got 503 because they were beyond the capacity, as of the last `state`."""
        return self._tally.total(REFUSED)

    def captures_dropped(self) -> int:
        """Captured answers that the comparer did not take in time, as of the last `state`."""
        return self._tally.total(CAPTURES_DROPPED)

    def hops(self) -> Mapping[tuple[AppName, BackendName], int]:
        """Requests that were answered for other edges, as of the last `state`."""
        index = self._config.index if self._config else None
        return hop_counts(index, self._tally.totals()) if index and index.hops else {}

    def _render(self, snapshot: Snapshot) -> EdgeConfig:
        credentials = self._credentials() if needs_peers(snapshot) else None
        peering = self._files.peering(credentials, self._shut_out) if credentials else None
        place = self._site, peering, self._stores
        config = self._renderer.render(snapshot, place, closing=self._is_over(snapshot))
        self._certificates.hand_over({**(self._config.secrets if self._config else {}), **config.secrets})
        return config

    async def look_at_certificates(self) -> None:
        """Let Envoy have what operators have replaced since the last look."""
        if self._config is not None:
            await asyncio.to_thread(self._certificates.hand_over, self._config.secrets)

    def certificates(self) -> tuple[CertificateState, ...]:
        return self._certificates.states

    def _is_over(self, snapshot: Snapshot) -> bool:
        at_s = snapshot.sites[self._site].closing_wall_s
        return at_s is not None and clock.wall_s() >= at_s

    async def _settle(self) -> None:
        """Not before it is known whether an Envoy of an earlier run serves."""
        try:
            await asyncio.wait_for(self._settled.wait(), _LIVE_LIMIT_S)
        except TimeoutError:
            raise HostError("the edge role does not look after its Envoy", "restart it") from None

    async def _hand_over(self, config: EdgeConfig) -> None:
        new = await asyncio.to_thread(self._encoder.documents, config, self._files.paths)
        bound = await self._bound() if self._keeper.binds else frozenset()
        wanted = _addresses(new[self._files.paths.listeners])
        refuse_taken_addresses([address for address in wanted if address not in bound])
        if self._keeper.running:
            await self._handover.to_running(new)
        else:
            await self._handover.to_starting(new, self._startable.set)

    async def _bound(self) -> frozenset[tuple[IpAddress, int]]:
        """What our own Envoy has bound, or, where it is starting, will bind."""
        expected = frozenset(_addresses(self._on_disk()))
        try:
            return expected | await self._admin.listening()
        except HostError:
            return expected

    def _on_disk(self) -> Document | None:
        return self._files.read(self._files.paths.listeners)

    async def _became_live(self) -> None:
        if self._config is not None:
            await self._admin.set_leaving(self._config.drained)

    def _counts(self, index: StatsIndex) -> dict[RouteId, RouteCounts]:
        counts = route_counts(index, self._tally.totals())
        more = {route: reasons for route in counts if (reasons := self._uncopied.reasons(route))}
        return counts | {
            route: replace(counts[route], skipped={**counts[route].skipped, **reasons})
            for route, reasons in more.items()
        }

    def _whole_counts(self, index: StatsIndex) -> Mapping[RouteId, RouteCounts]:
        """Since the start, of routes whose copies are counted; where no route has any, nobody asks."""
        return route_counts(index, self._tally.sums()) if index.shadows else {}

    @property
    def _counts_quickly(self) -> bool:
        return self._count_took_s <= _LONG_COUNT_S

    def _begin_anew(self) -> set[AppName]:
        """Splits that changed count from what was seen last. The apps that have some."""
        aliases = self._config.index.aliases if self._config else {}
        self._tally.rebase(self._moved)
        apps = {aliases[cluster][0].app for cluster in self._moved if cluster in aliases}
        self._moved.clear()
        return apps

    async def _count(self) -> None:
        begun_s, took_s = clock.mono_s(), self._count_took_s
        self._count_took_s = min(2 * took_s, _LONGEST_COUNT_S)  # where nobody waits for the end: Envoy is at it still
        try:
            stats = await self._admin.stats(COUNTERS_FILTER)
            self._count_took_s = 0.0
        finally:
            self._count_took_s = max(self._count_took_s, clock.mono_s() - begun_s)
            self._count_again_s = begun_s + (0.0 if self._counts_quickly else self._count_took_s * _COUNT_PAUSES)
        numbers = {name: value for name, value in stats.items() if isinstance(value, int)}
        self._connections = numbers.pop(CONNECTIONS, 0)
        index = self._config.index if self._config else StatsIndex({}, {}, {})
        waiting = take_waiting(index, numbers)
        counted = counting_apps(index, self._tally.observe(numbers))
        if index.shadows:
            self._told = None
        self._tell_more(counted | self._begin_anew())
        self._uncopied.look(index, self._whole_counts(index), waiting)

    def _tell_more(self, apps: Collection[AppName]) -> None:
        """Where all routes were told already, bring those of `apps` up to date, the only ones that counted anything."""
        if self._told is None or self._config is None:
            return
        totals, more = self._tally.totals(), dict[RouteId, RouteCounts]()
        for app in apps:
            more |= route_counts(self._config.apps[app].index, totals)
        self._arrivals.take_more(more, self._connections, clock.mono_s())
        if more:
            self._told |= {route: RouteState(route, counts) for route, counts in more.items()}
            self._routes = tuple(self._told.values())

    def _ended(self) -> None:
        self._tally.process_ended()
        self._connections, self._told = 0, None


def _addresses(document: Document | None) -> list[tuple[IpAddress, int]]:
    """What the listeners of `document` bind."""
    resources = document.resources() if document else ()
    sockets = [resource["address"]["socket_address"] for resource in resources]
    return [(ipaddress.ip_address(item["address"]), int(item["port_value"])) for item in sockets]


def _moved(before: EdgeConfig | None, now: EdgeConfig) -> Sequence[str]:
    """The alias clusters of the routes whose split is not what it was."""
    old = before.splits if before else {}
    changed = {route for route, split in now.splits.items() if old.get(route) != split}
    return [cluster for cluster, (route, _) in now.index.aliases.items() if route in changed]


async def _validate(envoy: Path, file: Path) -> None:
    process = await asyncio.create_subprocess_exec(
        envoy, "--mode", "validate", "-c", file, "-l", "warning", "--disable-hot-restart",
        stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
        env=dict(os.environ),
    )  # fmt: skip
    try:
        output, _ = await asyncio.wait_for(process.communicate(), _VALIDATE_LIMIT_S)
    except TimeoutError:
        process.kill()
        await process.wait()
        raise HostError(
            f"{envoy} did not validate within {_VALIDATE_LIMIT_S:g} s", "see the load of this machine"
        ) from (None)
    if process.returncode != 0:
        lines = output.decode(errors="replace").strip().splitlines()
        reason = lines[-1] if lines else f"exit status {process.returncode}"
        raise RefusedError(
            "envoy-validate", f"Envoy cannot take this policy: {reason}", "take the reason to the policy"
        )
