"""The dns role's composition root: prober, tables and responder around one snapshot.

Sockets open only after the first snapshot was compiled and every target was looked at once, so that no answer is given
before anything is known; after a restart, with what was believed a moment ago, which the same look corrects. Whatever
such an answer does not need stands in `dns_company`, and is imported after it.
"""

from __future__ import annotations

import asyncio
import dataclasses
import importlib
import os
import signal
from pathlib import Path

import structlog

from gslb import __version__, clock
from gslb.control.protocol import RoleState
from gslb.dns.native import choose, thread_count
from gslb.dns.networks import Networks
from gslb.dns.protocol import Protocol
from gslb.dns.ratelimit import Limiter
from gslb.dns.responder import Responder
from gslb.errors import HostError, RefusedError
from gslb.health.probes import Prober
from gslb.roles.answering.composer import Composer
from gslb.roles.answering.query_log import QueryLog
from gslb.roles.identities.secret_file import cookie_secret, dnssec_secret
from gslb.roles.keeping.holding import Holding
from gslb.roles.process import Stop
from gslb.roles.seeing.checking import Told, probing_told, tools_of
from gslb.roles.seeing.exchange import Exchange, Outlook, own_machine
from gslb.roles.seeing.geo import GeoFile
from gslb.roles.seeing.judge import Judge
from gslb.roles.seeing.last_seen import LastSeen
from gslb.roles.seeing.loads import LoadReader
from gslb.roles.settings import DnsSettings, Settings
from gslb.snapshot.targets import check_targets, probe_targets
from gslb.snapshot.types import LiveState, Snapshot
from gslb.trust.signer_files import TrustFolder

__all__ = ["run"]

NAME = "dns"
GEO_S = 1.0
"""How often the database of places is looked at."""

COOKIE_SECRET_S = 1.0
"""How often the file with the cookie secret is looked at."""

LAST_SEEN_S = 0.1
"""How often it is looked whether answers are given by now."""

_log = structlog.get_logger(__name__)


def _protocol(given: DnsSettings, cookie_secrets: tuple[bytes, ...]) -> Protocol:
    version = f"gslb {__version__}" if given.tell_version else ""
    return Protocol.telling(given.identity.encode(), version.encode(), cookie_secrets, ecs=given.ecs)


class DnsRole:
    """Answers for the snapshot that was published last, under the verdicts of its own probes."""

    def __init__(self, settings: Settings, folder: Path) -> None:
        """`folder` is the role's own. Raises HostError where the cookie secret or the database of places cannot be
        used, or the native wire was asked for and is not built."""
        self._settings = settings
        self._started_wall_s = clock.wall_s()
        self._snapshot: Snapshot | None = None
        self._open = False
        self.begun = asyncio.Event()
        """Answers are given, or wait for looks: whatever else the role does may begin."""
        self.company = asyncio.Event()
        """Looks are made. Whoever clears it sets it again once `begun` is."""
        self.company.set()
        self.prober = Prober(self._on_results, tools=tools_of(settings))
        self.told = Told(self.prober)
        self.exchange = Exchange(NAME, own_machine(settings.data))
        self.outlook = Outlook(lambda: self.prober.live, lambda: self.prober.running)
        self._geo_file = GeoFile(settings.geo)
        self._geo = self._geo_file.read()
        protocol = settings.dns_protocol
        self._secret = cookie_secret(protocol.cookie_secret, folder)
        self._wire = choose(protocol.wire)
        threads = thread_count(self._wire, protocol.threads)
        self.query_log = QueryLog(protocol)
        self.responder = Responder(
            protocol=_protocol(protocol, self._secret.read()),
            limiter=Limiter(protocol.rate_limit, protocol.rate_limit_exempt) if protocol.rate_limit else None,
            wire=self._wire,
            threads=threads,
            sampler=self.query_log.sampler,
        )

        self.composer = Composer(self.responder.publish, self._live, self._dnssec_secrets)
        self.judge = Judge(
            lambda: self.prober.live, lambda: self.prober.running, self.exchange, folder, self.composer.observe
        )
        self._last_seen = LastSeen(folder)
        self.load_reader = LoadReader(settings, self.composer.observe)

    async def prepare(self, snapshot: Snapshot) -> None:
        await self.composer.prepare(snapshot)

    async def publish(self, snapshot: Snapshot) -> None:
        """Look at what is new before answering with it, then replace the tables whole."""
        targets = tuple(probe_targets(snapshot))
        self.judge.follow(snapshot)
        self.prober.set_targets((*targets, *check_targets(snapshot)))
        self.load_reader.follow(snapshot)
        if self._open or not self._last_seen.covers({(target.app, target.address) for target in targets}):
            self.begun.set()
            await self.company.wait()
            await asyncio.gather(self.prober.first_round(), self.exchange.first_round())
        self.judge.look()
        await self.composer.publish(snapshot)
        self._snapshot = self.query_log.snapshot = snapshot
        if not self._open:
            protocol = self._settings.dns_protocol
            await self.responder.open(self._settings.dns, protocol.proxied, Networks(protocol.proxies))
            self._open = True
            self.begun.set()

    async def state(self) -> RoleState:
        return RoleState(
            name=NAME,
            role="dns",
            pid=os.getpid(),
            started_wall_s=self._started_wall_s,
            ready=self._open,
            verdicts=tuple(self.judge.told()),
            ramps=self._ramps(),
            places=self.judge.places(),
            loads=dict(self.load_reader.loads),
            dns_counts=dict(self.responder.counts()),
            wire=self._wire,
            signature_expires_wall_s=dict(self.composer.expiry_wall_s()),
            checks=self.told.checks(),
            probing=probing_told(self.prober),
        )

    async def keep_last_seen(self) -> None:
        """Once everything was looked at, what was believed before the restart counts no more; from then on, keep what
        the next start begins with."""
        while not self._open:
            await asyncio.sleep(LAST_SEEN_S)
        await asyncio.gather(self.prober.first_round(), self.exchange.first_round())
        self._last_seen.forget()
        self.composer.observe()
        await self._last_seen.keep(lambda: self.judge.live)

    async def follow_cookie_secret(self) -> None:
        """Take up a secret that is rolled. One that cannot be used changes nothing, and is complained of once."""
        while True:
            await asyncio.sleep(COOKIE_SECRET_S)
            if self._secret.has_changed():
                try:
                    secrets = self._secret.read()
                except HostError as error:
                    _log.error("the cookie secret stays as it was", reason=error.message, remedy=error.remedy)
                    continue
                self.responder.protocol = dataclasses.replace(self.responder.protocol, cookie_secrets=secrets)
                _log.info("another cookie secret is in use", secrets=len(secrets))

    async def follow_geo(self) -> None:
        """Take up a database that is replaced. One that cannot be read changes nothing, and is complained of once."""
        while True:
            await asyncio.sleep(GEO_S)
            if self._geo_file.has_changed():
                try:
                    self._geo = await asyncio.to_thread(self._geo_file.read)
                except HostError as error:
                    _log.error("the database of places stays as it was", reason=error.message, remedy=error.remedy)
                    continue
                self.composer.observe()
                _log.info("another database of places is in use")

    async def close(self) -> None:
        await self.responder.close()
        await self.load_reader.close()
        await self.exchange.close()
        await self.query_log.close()

    def _live(self) -> LiveState:
        live = self._last_seen.under(self.judge.live)
        return dataclasses.replace(live, geo=self._geo, loads=self.load_reader.loads)

    def _on_results(self, _live: LiveState) -> None:
        self.judge.look()

    def _ramps(self) -> dict[str, dict[str, float]]:
        told: dict[str, dict[str, float]] = {}
        for (app, site), ratio in self.judge.live.ramps.items():
            told.setdefault(app, {})[site] = ratio
        return told

    def _dnssec_secrets(self) -> tuple[bytes, ...]:
        """Read anew each time that keys are opened. A file that cannot be used refuses the change, and ends nothing."""
        try:
            return dnssec_secret(self._settings.dnssec_secret, self._settings.data).read()
        except HostError as error:
            raise RefusedError("dnssec-secret", error.message, error.remedy) from None


async def run(settings: Settings, stop: asyncio.Future[Stop]) -> None:
    """Serve until `stop`. Raises HostError where the addresses cannot be bound."""
    folder = settings.data / NAME
    folder.mkdir(mode=0o700, exist_ok=True)
    role = DnsRole(settings, folder)
    role.company.clear()
    holding = Holding(role, folder, TrustFolder(settings.trust))
    asyncio.get_running_loop().add_signal_handler(signal.SIGHUP, role.query_log.reopen)
    try:
        async with asyncio.TaskGroup() as group:
            resumed = group.create_task(holding.resume())
            resumed.add_done_callback(lambda _: role.begun.set())
            company = group.create_task(_in_company(role, holding, settings))
            await asyncio.shield(stop)
            holding.stop()
            resumed.cancel()
            company.cancel()
    finally:
        await role.close()


async def _in_company(role: DnsRole, holding: Holding, settings: Settings) -> None:
    """What answers from disk do not wait for. Importing it takes as long as all that they need."""
    await role.begun.wait()
    company = await asyncio.to_thread(importlib.import_module, "gslb.roles.dns_company")
    await company.keep(role, holding, settings)
