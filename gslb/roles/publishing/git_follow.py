"""Following a git repository: each new commit of its branch is in force, or is refused and told once.

A commit is taken once. What somebody applies or rolls back to afterwards stays until the next commit.
"""

from __future__ import annotations

import asyncio
import dataclasses
import json
from pathlib import Path

import structlog

from gslb import clock
from gslb.control.followed import ACTION, TRAILER, Commit, Followed, allowed_by, detail_of, was_taken
from gslb.control.handlers import plan_routes
from gslb.errors import GslbError, HostError, RefusedError
from gslb.model.policy import Policy
from gslb.model.reader import parse_policy
from gslb.plan import RULES
from gslb.roles.publishing.git import GitCopy, parse_source
from gslb.roles.publishing.publish import RolePublisher
from gslb.roles.settings import Settings
from gslb.store import AuditEntry

__all__ = ["GitFollower", "copy_of", "newest_policy"]

_HISTORY = 1000

_log = structlog.get_logger(__name__)


def copy_of(settings: Settings) -> GitCopy:
    """Raises HostError where the source cannot be understood."""
    assert settings.git is not None
    return GitCopy(parse_source(settings.git), settings.data / "git", settings.git_verify)


def newest_policy(settings: Settings) -> Policy:
    """The policy of the newest commit, before anything runs. Raises HostError, PolicyError and RefusedError."""
    copy = copy_of(settings)
    commit_id = copy.newest()
    copy.signer(commit_id)
    return parse_policy(copy.files(commit_id)).policy


class GitFollower:
    """Of one control. What was taken is kept in the data folder and in the history, which other controls share."""

    def __init__(self, settings: Settings, publisher: RolePublisher) -> None:
        assert settings.git is not None
        self._copy = copy_of(settings)
        self._interval_s, self._bake_s = settings.git_interval_s, settings.bake_s
        self._file = settings.data / "git" / "taken.json"
        self._publisher = publisher
        self._followed = Followed(str(parse_source(settings.git)))
        self._show()

    async def start(self) -> None:
        """The first look. Raises HostError where nothing is in force, and the repository brings nothing either."""
        await self.look()
        if self._publisher.current() is None:
            why = self._followed.why or self._followed.error
            raise HostError(
                f"no commit of {self._followed.source} can be in force: {why}", "correct that, and start again"
            )

    async def run(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(self._interval_s)
            await self.look()

    async def look(self) -> None:
        """Take what is new. What stands in the way is told once, and tried again at the next look."""
        try:
            commit_id = await asyncio.to_thread(self._copy.newest)
        except HostError as error:
            self._fail(error.message)
            return
        before = self._followed
        self._followed = dataclasses.replace(before, error="", looked_wall_s=clock.wall_s())
        if before.error:
            _log.info("the repository can be read again", source=before.source)
        if before.taken is None or before.taken.id != commit_id:
            await self._consider(commit_id)
        elif before.refused is not None:
            self._followed = dataclasses.replace(self._followed, refused=None, why="")  # the branch has gone back
        self._show()

    async def _consider(self, commit_id: str) -> None:
        commit = Commit(commit_id, "", "")
        try:
            commit = await asyncio.to_thread(self._copy.commit, commit_id)
            commit = dataclasses.replace(commit, signer=await asyncio.to_thread(self._copy.signer, commit_id))
            revision = await self._known(commit)
            if revision is None:
                revision = await self._take(commit)
        except GslbError as error:
            self._refuse(commit, error)
            return
        except Exception as error:  # noqa: BLE001 - a bug that a commit meets is a reason to refuse that commit
            _log.exception("a commit met a bug", commit=commit_id)
            self._refuse(commit, HostError(f"unexpected {type(error).__name__}: {error}", "see the log of control"))
            return
        self._followed = dataclasses.replace(self._followed, taken=commit, revision=revision, refused=None, why="")
        await asyncio.to_thread(self._keep, commit, revision)

    async def _take(self, commit: Commit) -> int:
        allowed = allowed_by(commit.trailers)
        loaded = await asyncio.to_thread(lambda: parse_policy(self._copy.files(commit.id)))

        def audit(what: str) -> AuditEntry:
            detail = detail_of(commit, what)
            return AuditEntry(clock.wall_s(), commit.author, ACTION, detail, commit.subject)

        try:
            foretold = await plan_routes.bring(self._publisher, loaded.policy, allowed, audit, self._bake_s)
        except RefusedError as error:
            if error.rule not in RULES:
                raise
            remedy = f"if it is meant, end the commit's message with a line such as {TRAILER}: {error.rule} REASON"
            raise RefusedError(error.rule, error.message, remedy) from None
        current = self._publisher.current()
        assert current is not None
        if foretold:
            _log.info("a commit is in force", commit=commit.id, author=commit.author, plan=foretold)
        return current[0].revision

    async def _known(self, commit: Commit) -> int | None:
        """The revision of a commit that was taken before, by this control or by another one."""
        kept = await asyncio.to_thread(self._kept)
        if kept is not None and kept[0] == commit.id and self._publisher.current() is not None:
            return kept[1]
        return was_taken(commit.id, await self._publisher.history(_HISTORY))

    def _kept(self) -> tuple[str, int] | None:
        try:
            kept = json.loads(self._file.read_bytes())
            return str(kept["commit"]), int(kept["revision"])
        except (OSError, ValueError, KeyError, TypeError):
            return None  # then the history says it, or the commit is taken again, which changes nothing

    def _keep(self, commit: Commit, revision: int) -> None:
        """Where it cannot be kept, a restart takes the commit again."""
        beside = Path(f"{self._file}.new")
        try:
            beside.write_text(json.dumps({"commit": commit.id, "revision": revision}))
            beside.replace(self._file)
        except OSError as error:
            _log.warning("what was taken from git cannot be kept", file=str(self._file), why=error.strerror)

    def _refuse(self, commit: Commit, error: GslbError) -> None:
        why = str(error)
        if self._followed.refused != commit or self._followed.why != why:
            _log.error("a commit was refused; what was in force stays", commit=commit.id, author=commit.author, why=why)
        self._followed = dataclasses.replace(self._followed, refused=commit, why=why)

    def _fail(self, why: str) -> None:
        if self._followed.error != why:
            _log.error("the repository cannot be read; what was in force stays", source=self._followed.source, why=why)
        self._followed = dataclasses.replace(self._followed, error=why)
        self._show()

    def _show(self) -> None:
        self._publisher.git = self._followed
