"""The node endpoint: how a dns or edge role takes snapshots, over HTTP on a unix socket, and serves what it sees.

A node compiles the offered Intent by itself, and never goes back to an older version because somebody asks it to. What
it holds, on disk too, is `holding`'s business; what people bring to it while control is gone, `overrides`'.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
from collections.abc import Awaitable, Callable
from http import HTTPStatus
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web
from pydantic import ValidationError

from gslb import clock
from gslb.control.protocol import (
    CALLER,
    Applied,
    Observations,
    Outcomes,
    PushedStates,
    Refusal,
    RoleState,
    RosterHeld,
    SignersHeld,
)
from gslb.control.telling import Teller
from gslb.errors import GslbError, HostError, PolicyError
from gslb.roles.endpoint.overrides import OverridesHere
from gslb.roles.endpoint.taking import read_body
from gslb.roles.heap import LongLived
from gslb.roles.keeping.generation_files import MAX_OFFER_BYTES
from gslb.roles.keeping.holding import Holding, NodeRole
from gslb.roles.keeping.roster import MAX_BYTES as ROSTER_BYTES
from gslb.roles.keeping.roster import RosterHolder
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signing import Signers

__all__ = ["ASKED_BY", "Node", "NodeRole", "serve_unix"]

OPEN_MODE = 0o600
SIGNERS_BYTES = 256 * 1024
PUSHED_BYTES = 4 * 1024 * 1024
LOOK_S = 1.0
"""How often it is looked whether a bake, or the time of what was done here, is over, and whether there is any news."""
WAIT_LIMIT_MS = 10_000
"""Who wants to wait longer asks again."""

ASKED_BY = web.RequestKey("asked_by", str)
"""Who asks, where that was proven; over the unix socket they say it themselves."""
_ENDING = web.AppKey("ending", asyncio.Event)
"""Set when the endpoint is about to close: nobody waits for news any longer."""

_log = structlog.get_logger(__name__)


class Node:
    """One role process's side of publishing. `folder` is the role's own folder below the data folder; `trust` says whom
    this machine believes; `identity_ends_s` is asked when the role's certificate ends; an edge's `comparison` for what
    was compared of a route (APP/ROUTE), and its `outcomes` for what became of an app's requests."""

    def __init__(
        self,
        role: NodeRole,
        folder: Path,
        trust: TrustFolder,
        observations: Callable[[], Observations] | None = None,
        take_pushed: Callable[[PushedStates], None] | None = None,
        holding: Holding | None = None,
    ) -> None:
        """`observations` tells what the role sees; None: nothing, and nobody may ask. `take_pushed` None: it makes no
        checks that could be told anything. `holding`: what the role serves from already; None: it is made here."""
        self._role = role
        self._trust = trust
        self._take_pushed = take_pushed
        self._observations = observations
        self.identity_ends_s: Callable[[], float | None] = lambda: None
        self.comparison: Callable[[str], Awaitable[bytes | None]] = _no_comparison
        self.outcomes: Callable[[str], Awaitable[Outcomes]] | None = None
        self._holding = holding or Holding(role, folder, trust)
        self.overrides = OverridesHere(self._holding, folder, trust)
        self._long_lived = LongLived()
        self._teller = Teller(f"{os.getpid()}.{clock.wall_s()}")
        self.rosters = RosterHolder(folder)
        self._heard_mono_s = clock.mono_s()
        self._fatal: asyncio.Future[HostError] = asyncio.get_running_loop().create_future()

    async def resume(self) -> None:
        """Serve what was served before the restart, if anything was."""
        await self._holding.resume()

    async def run(self) -> None:
        """Ends only by raising what makes the role unable to go on."""
        raise await self._fatal

    async def look(self) -> None:
        """For ever: what time brings to what is held."""
        while True:
            await asyncio.sleep(LOOK_S)
            await self._holding.look()
            applied = self._holding.applied
            self._long_lived.look(applied.revision if applied else None, clock.mono_s())

    def stop(self) -> None:
        """Must be called where the process ends because it was told to: any other end is a crash."""
        self._holding.stop()

    def app(self, *guards: Any) -> web.Application:
        """The endpoint; `guards` are middlewares that say who may ask what."""
        app = web.Application(client_max_size=MAX_OFFER_BYTES, middlewares=guards)
        app[_ENDING] = asyncio.Event()
        app.on_shutdown.append(_end_waits)
        app.add_routes(
            [
                web.post("/prepare", self._prepare),
                web.post("/publish", self._publish),
                web.get("/state", self._state),
                web.get("/observations", self._observed),
                web.get("/comparisons/{app}/{route}", self._compared),
                web.get("/outcomes/{app}", self._outcomes),
                web.put("/roster", self._roster),
                web.put("/pushed", self._pushed),
                web.put("/signers", self._signers),
                *self.overrides.routes(),
            ]
        )
        return app

    # Control asks -----------------------------------------------------------------------------------------------------

    async def _prepare(self, request: web.Request) -> web.Response:
        self._silence_s(request)
        body = await read_body(request, MAX_OFFER_BYTES)
        try:
            applied = await self._holding.prepare(body)
        except Exception as error:  # noqa: BLE001 - a bug that a policy meets is a reason to refuse that policy
            return _answer(Refusal(reasons=_reasons(error)), HTTPStatus.UNPROCESSABLE_ENTITY)
        return _answer(applied)

    async def _publish(self, request: web.Request) -> web.Response:
        self._silence_s(request)
        body = await read_body(request, MAX_OFFER_BYTES)
        try:
            applied = await self._holding.take(body)
        except Exception as error:  # noqa: BLE001 - as in prepare
            if isinstance(error, HostError) and self._holding.applied is None and not self._fatal.done():
                self._holding.stop()
                self._fatal.set_result(error)
            return _answer(Refusal(reasons=_reasons(error)), HTTPStatus.CONFLICT)
        return _answer(applied)

    async def _state(self, request: web.Request) -> web.Response:
        """At once; or, for who is willing to wait, as soon as something is new, and no oftener made than every LOOK_S.
        Status 304 after that."""
        silence_s, since = self._silence_s(request), request.query.get("since", "")
        told = self._teller.tell(await self._whole_state(silence_s), since)
        left_s = wait_s = _wait_s(request)
        while wait_s and not self._teller.is_news(told):
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(request.app[_ENDING].wait(), min(LOOK_S, left_s))
            left_s -= LOOK_S
            if left_s <= 0 or request.app[_ENDING].is_set():
                return web.Response(status=HTTPStatus.NOT_MODIFIED)
            told = self._teller.tell(await self._whole_state(silence_s), since)
        return _answer(told)

    async def _whole_state(self, silence_s: float) -> RoleState:
        return self._holding.told(await self._role.state()).model_copy(
            update={
                "control_silence_s": silence_s,
                "roster": self.rosters.held,
                "signers": self._believed(),
                "identity_ends_wall_s": self.identity_ends_s(),
            }
        )

    async def _observed(self, _request: web.Request) -> web.Response:
        if self._observations is None:
            raise web.HTTPNotFound
        return _answer(self._observations())

    async def _compared(self, request: web.Request) -> web.Response:
        self._silence_s(request)
        told = await self.comparison(f"{request.match_info['app']}/{request.match_info['route']}")
        if told is None:
            raise web.HTTPNotFound
        return web.Response(body=told, content_type="application/json")

    async def _outcomes(self, request: web.Request) -> web.Response:
        if self.outcomes is None:
            raise web.HTTPNotFound
        try:
            return _answer(await self.outcomes(request.match_info["app"]))
        except HostError as error:
            return _answer(Refusal(reasons=_reasons(error)), HTTPStatus.SERVICE_UNAVAILABLE)

    async def _roster(self, request: web.Request) -> web.Response:
        self._silence_s(request)
        try:
            held = await self.rosters.take(await read_body(request, ROSTER_BYTES))
        except (GslbError, ValidationError) as error:
            return _answer(Refusal(reasons=_reasons(error)), HTTPStatus.CONFLICT)
        return _answer(held)

    async def _pushed(self, request: web.Request) -> web.Response:
        self._silence_s(request)
        try:
            told = PushedStates.model_validate_json(await read_body(request, PUSHED_BYTES))
        except ValidationError as error:
            return _answer(Refusal(reasons=_reasons(error)), HTTPStatus.CONFLICT)
        if self._take_pushed is not None:
            self._take_pushed(told)
        return web.Response(status=HTTPStatus.NO_CONTENT)

    async def _signers(self, request: web.Request) -> web.Response:
        self._silence_s(request)
        try:
            told = Signers.model_validate_json(await read_body(request, SIGNERS_BYTES))
            taken = await asyncio.to_thread(self._trust.take, told)
        except (GslbError, ValidationError) as error:
            return _answer(Refusal(reasons=_reasons(error)), HTTPStatus.CONFLICT)
        return _answer(SignersHeld(number=taken.number))

    def _believed(self) -> int:
        try:
            return self._trust.signers().number
        except HostError:
            return 0

    def _silence_s(self, request: web.Request) -> float:
        """How long control was silent before this request."""
        now_s = clock.mono_s()
        silence_s = now_s - self._heard_mono_s
        if request.get(ASKED_BY, request.headers.get(CALLER)) == "control":
            self._heard_mono_s = now_s
        return silence_s


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


async def _end_waits(app: web.Application) -> None:
    app[_ENDING].set()


def _wait_s(request: web.Request) -> float:
    """How long who asks is willing to wait."""
    told = request.query.get("wait_ms", "")
    return min(int(told), WAIT_LIMIT_MS) / 1000 if told.isascii() and told.isdecimal() and len(told) < 9 else 0.0


async def _no_comparison(_key: str) -> bytes | None:
    return None


def _reasons(error: Exception) -> tuple[str, ...]:
    if isinstance(error, PolicyError):
        return tuple(str(problem) for problem in error.problems)
    if not isinstance(error, GslbError | ValidationError):
        _log.error("an offer met a bug", exc_info=error)
        return (f"unexpected {type(error).__name__}: {error}",)
    return (str(error),)


def _answer(
    message: Applied | Observations | Outcomes | Refusal | RoleState | RosterHeld | SignersHeld,
    status: int = HTTPStatus.OK,
) -> web.Response:
    return web.Response(text=message.model_dump_json(), status=status, content_type="application/json")
