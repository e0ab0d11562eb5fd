"""The control role's composition root: store, publisher, API, the folder that is followed, and expiry of overrides."""

from __future__ import annotations

import asyncio
import platform
from datetime import UTC, datetime
from pathlib import Path

import structlog
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from gslb import clock
from gslb.control.changes import prune_expired, require, set_policy
from gslb.control.dnskeys import keyring
from gslb.control.handlers import plan_routes
from gslb.control.http.api import build_app
from gslb.control.installation import rosters
from gslb.control.installation.leader import BEAT_S
from gslb.errors import GslbError, PolicyError, RefusedError
from gslb.model.folder import load_folder
from gslb.model.policy import Policy
from gslb.roles.api_listener import open_api
from gslb.roles.endpoint.node import serve_unix
from gslb.roles.endpoint.node_client import NodeClient
from gslb.roles.identities.secret_file import dnssec_secret
from gslb.roles.identities.trust_desk import TrustDesk
from gslb.roles.keys import KeyKeeper, KeyVault
from gslb.roles.process import Stop
from gslb.roles.publishing.alarm_log import follow_alarms
from gslb.roles.publishing.believing import Believing, follow_signers
from gslb.roles.publishing.git_follow import GitFollower
from gslb.roles.publishing.leading import Leading
from gslb.roles.publishing.publish import RolePublisher
from gslb.roles.publishing.shared_store import follow_machines, follow_store, reach_store, read_machines
from gslb.roles.publishing.signing import Signing
from gslb.roles.publishing.watch import Fingerprint, changes, fingerprint, is_taken, write_taken
from gslb.roles.seeing.geo import GeoFile
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running
from gslb.snapshot import next_expiry_s
from gslb.snapshot.intent import Intent
from gslb.store import SQLITE, AuditEntry, open_store
from gslb.trust.signer_files import TrustFolder

__all__ = ["run"]

REACH_S = 10.0
"""How long the first publication waits for the other roles to start."""
EXPIRY = "expiry"
AGAIN_S = 30.0
"""When to try again to take back what has expired. Meanwhile nothing counts it any more."""


class ControlRole:
    """Brings what the folder, the operators and the clock want into force, through one publisher."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self.store = open_store(settings.store, settings.data)
        nodes = tuple(NodeClient(name, settings.socket(name)) for name in settings.nodes())
        secret = dnssec_secret(settings.dnssec_secret, settings.data)
        vault = KeyVault(secret, may_make=settings.dnssec_secret is None)
        geo = GeoFile(settings.geo)
        trust = TrustFolder(settings.trust)
        trust.make(platform.node())
        signing = Signing(trust, own_file=settings.store == SQLITE)
        believing = Believing(trust, self.store, own_file=settings.store == SQLITE)
        self.publisher = RolePublisher(self.store, signing, nodes, self._schedule_expiry, geo, vault.make)
        self.believing = self.publisher.believing = believing
        self.publisher.nodes.own_peers = rosters.here({name: settings.socket(name) for name in settings.nodes()})
        self.desk = TrustDesk.of(settings, self.store)
        if self.desk is not None:
            self.desk.serve(self.publisher)
        self.leading = self.publisher.leading = Leading(
            self.store, self.publisher.nodes.machine, alone=settings.store == SQLITE
        )
        self.keeper = KeyKeeper(self.publisher, vault, self.leading.term)
        self.git = GitFollower(settings, self.publisher) if settings.git else None
        self.scheduler = AsyncIOScheduler(timezone=UTC)
        self._folder_seen: Fingerprint = ()

    async def start(self) -> None:
        """Go on from the store, then take the folder or the newest commit. What is refused at the very first start is
        fatal."""
        await (self.publisher.load() if self._settings.store == SQLITE else reach_store(self.publisher))
        self.publisher.nodes.take(await read_machines(self.store))
        await self.publisher.reach_all(REACH_S)
        async with asyncio.TaskGroup() as tasks:
            watching = tasks.create_task(self.publisher.nodes.watch())
            await self.leading.begin()
            await self.keeper.look()  # before a role that is behind catches up: how long it was decides over waits
            await self._prune()
            if self.git is not None:
                await self.git.start()
            await self._take_first_folder()
            watching.cancel()

    async def _take_first_folder(self) -> None:
        """Once for each `gslb run`: after a crash of control what is in force stays, but for what was edited
        meanwhile in a folder that is followed."""
        folder, runtime = self._settings.policy, self._settings.runtime
        if folder is None:
            return
        now = fingerprint(folder)
        if self.publisher.current() is not None and is_taken(runtime, now if self._settings.watch else None):
            self._folder_seen = now
            return
        try:
            await self._look_at(folder)
        except (PolicyError, RefusedError) as error:
            await self.publisher.load()  # another control may have been first
            if self.publisher.current() is None:
                raise
            structlog.get_logger().error("the policy folder was refused; what was in force stays", why=str(error))

    async def follow_folder(self) -> None:
        """Publish each change of the folder that is whole and valid; say why where it is not."""
        folder = self._settings.policy
        assert folder is not None
        async for _ in changes(folder, self._folder_seen):
            try:
                await self._look_at(folder)
            except GslbError as error:
                structlog.get_logger().error("the policy folder was refused; what was in force stays", why=str(error))

    async def _look_at(self, folder: Path) -> None:
        """Take it as it is now. Where the store or the machine is in the way, a control that starts again tries again.
        Raises GslbError."""
        self._folder_seen = fingerprint(folder)
        try:
            await self._take_folder(folder)
        except (PolicyError, RefusedError):
            write_taken(self._settings.runtime, self._folder_seen)
            raise
        write_taken(self._settings.runtime, self._folder_seen)

    async def _take_folder(self, folder: Path) -> None:
        loaded = await asyncio.to_thread(load_folder, folder)
        here, wanted = set(self._settings.sites), set(loaded.policy.sites)
        new = sorted(here ^ wanted if self._settings.every_site else here - wanted)
        if new and "edge" in self._settings.roles:
            raise RefusedError(
                "sites-changed",
                f"the policy adds or removes the site {', '.join(new)}, whose edge is a process of its own",
                "restart gslb run to take it: the edges that stay go on serving meanwhile",
            )
        audit = AuditEntry(
            at_s=clock.wall_s(), author="policy folder", action="policy", detail=f"digest {loaded.digest}"
        )
        before = self.publisher.current()
        foretold = await plan_routes.foretold(self.publisher, loaded.policy)
        await self.publisher.change(
            lambda intent: self._fitted(intent, loaded.policy, audit.at_s), audit, self._settings.bake_s
        )
        if foretold:
            structlog.get_logger().info("the policy folder is in force", plan=foretold)
        after = self.publisher.current()
        assert after is not None
        for zone in keyring.no_longer_signed(before[0] if before else None, after[0]):
            structlog.get_logger().warning(
                "a zone is not signed any more",
                zone=zone,
                remedy="if the parent still has its DS records, put dnssec: true back now, and take them out first",
            )

    def _fitted(self, intent: Intent | None, policy: Policy, wall_s: float) -> Intent:
        return keyring.fit(intent, set_policy(intent, policy), self.publisher.make_key, wall_s)

    def _schedule_expiry(self, intent: Intent) -> None:
        """One job at the time when the next override ends."""
        at_s = next_expiry_s(intent, clock.wall_s())
        if at_s is None:
            if self.scheduler.get_job(EXPIRY):
                self.scheduler.remove_job(EXPIRY)
            return
        self._prune_at(at_s)

    def _prune_at(self, at_s: float) -> None:
        when = datetime.fromtimestamp(at_s, UTC)
        self.scheduler.add_job(
            self._prune, "date", id=EXPIRY, run_date=when, replace_existing=True, misfire_grace_time=None
        )

    async def _prune(self) -> None:
        if self.publisher.current() is None:
            return
        wall_s, term = clock.wall_s(), self.leading.term()
        if term is None:  # another control does it, or this one will
            self._prune_at(wall_s + BEAT_S)
            return
        audit = AuditEntry(at_s=wall_s, author="gslb", action="expire", detail="an override's time is over")
        try:
            await self.publisher.change(lambda intent: prune_expired(require(intent), wall_s), audit, fence=term)
        except GslbError as error:
            structlog.get_logger().error("an expired override could not be taken back yet", why=str(error))
            self._prune_at(wall_s + AGAIN_S)


async def run(settings: Settings, stop: asyncio.Future[Stop]) -> None:
    """Serve until `stop`. Raises HostError where the API cannot be bound, PolicyError at a bad first start."""
    role = ControlRole(settings)
    role.scheduler.start()
    if role.desk is not None:
        await role.desk.begin()
    full = await serve_unix(build_app(role.publisher, "local"), settings.socket("control"))
    listener = await open_api(role.publisher, settings, role.desk.identity if role.desk else None)
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(_work(role, settings)),
                group.create_task(keep_running("API certificate", listener.follow_certificate)),
                *(group.create_task(task) for task in (role.desk.tasks() if role.desk else ())),
            ]
            await asyncio.shield(stop)
            for task in tasks:
                task.cancel()
    finally:
        role.scheduler.shutdown(wait=False)
        await role.leading.resign()
        await full.cleanup()
        await listener.cleanup()
        await role.publisher.close()


async def _work(role: ControlRole, settings: Settings) -> None:
    await role.start()
    async with asyncio.TaskGroup() as group:
        group.create_task(keep_running("follow roles", role.publisher.follow))
        group.create_task(keep_running("alarms", lambda: follow_alarms(role.publisher)))
        group.create_task(keep_running("DNSSEC keys", role.keeper.run))
        group.create_task(keep_running("follow machines", lambda: follow_machines(role.store, role.publisher.nodes)))
        group.create_task(keep_running("signers", lambda: follow_signers(role.believing, role.publisher.nodes)))
        group.create_task(keep_running("leader", role.leading.run))
        group.create_task(keep_running("waves", lambda: role.publisher.waving.run(role.publisher)))
        if settings.store != SQLITE:
            group.create_task(keep_running("follow store", lambda: follow_store(role.store, role.publisher)))
        if role.git is not None:
            group.create_task(keep_running("follow git", role.git.run))
        if settings.watch:
            group.create_task(keep_running("follow folder", role.follow_folder))
