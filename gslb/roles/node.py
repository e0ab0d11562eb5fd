"""The node endpoint: how a dns or edge role takes snapshots, over HTTP on a unix socket, and serves what it sees.

A node compiles the offered Intent by itself, never goes back to an older version, and keeps the last offer it took on
disk, so that it serves again after a restart with everything else gone.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from pathlib import Path
from typing import Protocol

import structlog
from aiohttp import web
from pydantic import ValidationError

from gslb import clock
from gslb.control.protocol import Applied, Offer, Refusal, RoleState
from gslb.errors import HostError, PolicyError, RefusedError
from gslb.snapshot import compile_snapshot
from gslb.snapshot.types import Snapshot, Version

__all__ = ["Node", "NodeRole", "serve_unix"]

MAX_OFFER_BYTES = 64 * 1024 * 1024
OPEN_MODE = 0o600


class NodeRole(Protocol):
    """What a role does with a snapshot. Both raise RefusedError or HostError; `prepare` changes nothing."""

    async def prepare(self, snapshot: Snapshot) -> None: ...
    async def publish(self, snapshot: Snapshot) -> None: ...
    async def state(self) -> RoleState: ...


class Node:
    """One role process's side of publishing. `folder` is the role's own folder below the data folder."""

    def __init__(self, role: NodeRole, folder: Path) -> None:
        self._role = role
        self._last_good = folder / "last-good.json"
        self._lock = asyncio.Lock()
        self._fatal: asyncio.Future[HostError] = asyncio.get_running_loop().create_future()
        self.applied: Applied | None = None
        self.applied_wall_s: float | None = None

    async def resume(self) -> None:
        """Serve what was served before the restart, if anything was. A file that does not read is left alone."""
        try:
            offer = Offer.model_validate_json(self._last_good.read_bytes())
        except FileNotFoundError:
            return
        except (OSError, ValidationError) as error:
            structlog.get_logger().warning(
                "last good snapshot does not read", file=str(self._last_good), why=str(error)
            )
            return
        try:
            await self._take(offer)
        except (PolicyError, RefusedError) as error:
            structlog.get_logger().warning("last good snapshot was refused", why=str(error))

    async def run(self) -> None:
        """Ends only by raising what makes the role unable to go on."""
        raise await self._fatal

    def app(self) -> web.Application:
        app = web.Application(client_max_size=MAX_OFFER_BYTES)
        app.add_routes(
            [
                web.post("/prepare", self._prepare),
                web.post("/publish", self._publish),
                web.get("/state", self._state),
            ]
        )
        return app

    async def _prepare(self, request: web.Request) -> web.Response:
        try:
            offer = Offer.model_validate_json(await request.read())
            snapshot = compile_snapshot(offer.intent, offer.wall_s)
            async with self._lock:
                await self._role.prepare(snapshot)
        except (PolicyError, RefusedError, HostError, ValidationError) as error:
            return _answer(Refusal(reasons=_reasons(error)), 422)
        return _answer(_applied(snapshot))

    async def _publish(self, request: web.Request) -> web.Response:
        try:
            applied = await self._take(Offer.model_validate_json(await request.read()))
        except (PolicyError, RefusedError, ValidationError) as error:
            return _answer(Refusal(reasons=_reasons(error)), 409)
        except HostError as error:
            if self.applied is None and not self._fatal.done():
                self._fatal.set_result(error)
            return _answer(Refusal(reasons=_reasons(error)), 409)
        return _answer(applied)

    async def _state(self, _request: web.Request) -> web.Response:
        state = await self._role.state()
        return _answer(state.model_copy(update={"applied": self.applied, "applied_wall_s": self.applied_wall_s}))

    async def _take(self, offer: Offer) -> Applied:
        snapshot = compile_snapshot(offer.intent, offer.wall_s)
        async with self._lock:
            has = self.applied
            if has is not None and snapshot.version < Version(has.revision, has.overrides):
                raise RefusedError(
                    "older", f"{snapshot.version} is older than what is in force", "read the state again"
                )
            if has is None or has != _applied(snapshot):
                await self._role.publish(snapshot)
                self.applied, self.applied_wall_s = _applied(snapshot), clock.wall_s()
                await asyncio.to_thread(self._remember, offer)
            return self.applied or _applied(snapshot)

    def _remember(self, offer: Offer) -> None:
        aside = self._last_good.with_suffix(".new")
        try:
            aside.write_text(offer.model_dump_json())
            aside.replace(self._last_good)
        except OSError as error:
            structlog.get_logger().error("cannot keep the last good snapshot", file=str(aside), why=str(error))


async def serve_unix(app: web.Application, path: Path) -> web.AppRunner:
    """Serve `app` on a unix socket that only its owner may open (mode 0600). Raises HostError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    with contextlib.suppress(FileNotFoundError):
        path.unlink()
    before = os.umask(0o777 - OPEN_MODE)
    try:
        await web.UnixSite(runner, str(path)).start()
    except OSError as error:
        raise HostError(
            f"cannot listen on the unix socket {path}: {error.strerror or error}",
            "use a shorter runtime folder that you may write (--runtime DIR); socket paths end at 107 characters",
        ) from error
    finally:
        os.umask(before)
    return runner


def _applied(snapshot: Snapshot) -> Applied:
    return Applied(revision=snapshot.version.revision, overrides=snapshot.version.overrides, digest=snapshot.digest)


def _reasons(error: Exception) -> tuple[str, ...]:
    if isinstance(error, PolicyError):
        return tuple(str(problem) for problem in error.problems)
    return (str(error),)


def _answer(message: Applied | Refusal | RoleState, status: int = 200) -> web.Response:
    return web.Response(text=message.model_dump_json(), status=status, content_type="application/json")
