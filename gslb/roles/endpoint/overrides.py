"""Overrides that somebody brings to a node itself, for when control is gone: with the paths and bodies of control's API
over the unix socket, whose mode says who may (its owner and root); or signed, by whoever brings them.

What an override means are control's rules (`changes`, `mirrors`); what becomes of it at the node is `holding`'s to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from aiohttp import web

from gslb import clock
from gslb.control import answers, changes, mirrors
from gslb.control.bodies.messages import DrainKey, DrainRequest
from gslb.control.bodies.mirror_messages import MirrorStopKey, MirrorStopRequest
from gslb.control.protocol import Deed
from gslb.control.publishing import Published
from gslb.errors import RefusedError
from gslb.roles.endpoint.taking import read_body, telling
from gslb.roles.keeping.holding import Holding
from gslb.roles.keeping.signed_overrides import SignedOverrides
from gslb.snapshot.intent import Drain, Intent, MirrorStop, Provenance
from gslb.trust import emergency
from gslb.trust.signer_files import TrustFolder

__all__ = ["OverridesHere"]

_BODY_BYTES = 64 * 1024
_HERE = "gslb node {} --all"
"""How a command begins that takes back what holds here."""


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is wanted, as the command line says it; how it is done, and how it is told."""

    did: str
    make: Callable[[Intent], Intent]
    answer: Callable[[Published], dict[str, Any]]
    is_for_edges: bool = False


class OverridesHere:
    """Of one node. `folder` is the role's own; `trust` says whose signatures are believed."""

    def __init__(self, holding: Holding, folder: Path, trust: TrustFolder) -> None:
        self._holding = holding
        self.copies = False
        """Whether it is a node that mirrors requests: who stops mirrors elsewhere must not believe that he did."""
        self._signed = SignedOverrides(folder, trust)

    def routes(self) -> Sequence[web.RouteDef]:
        """Of the node endpoint."""
        return (
            web.post("/v1/drains", telling(self._drain)),
            web.delete("/v1/drains/{site}", telling(self._undrain)),
            web.post("/v1/mirror-stops", telling(self._stop_mirrors)),
            web.delete("/v1/mirror-stops", telling(self._start_mirrors)),
            web.post("/v1/override", telling(self._take_signed)),
        )

    async def _drain(self, request: web.Request) -> web.Response:
        wanted = DrainRequest.model_validate_json(await read_body(request, _BODY_BYTES))
        by = _by(wanted.author, wanted.reason, wanted.expires_in_s)
        drain = Drain(
            site=wanted.site, app=wanted.app, entry_only=wanted.entry_only, deadline_s=wanted.deadline_s, by=by
        )
        return await self._do(_draining(drain, wanted.allow), by)

    async def _undrain(self, request: web.Request) -> web.Response:
        query = DrainKey.model_validate(dict(request.query))
        if query.over_s is not None:
            raise RefusedError("over", "a node puts a site back at once", "leave --over out, or ask control")
        return await self._do(_undraining(request.match_info["site"], query.app), _by(query.author, query.reason))

    async def _stop_mirrors(self, request: web.Request) -> web.Response:
        wanted = MirrorStopRequest.model_validate_json(await read_body(request, _BODY_BYTES))
        by = _by(wanted.author, wanted.reason, wanted.expires_in_s)
        return await self._do(_stopping(MirrorStop(app=wanted.app, route=wanted.route, by=by)), by)

    async def _start_mirrors(self, request: web.Request) -> web.Response:
        query = MirrorStopKey.model_validate(dict(request.query))
        return await self._do(_starting(query.app, query.route), _by(query.author, query.reason))

    async def _take_signed(self, request: web.Request) -> web.Response:
        """Whoever brings it: its signature is its authority. Nobody may have much read for nothing."""
        body = await read_body(request, emergency.LIMIT_BYTES)
        environment = self._holding.environment
        if environment is None:
            raise RefusedError("no-policy", "this node has nothing in force yet", "wait until it has")
        at_s = clock.wall_s()
        wanted, signer = await asyncio.to_thread(self._signed.take, body, environment, at_s)
        author = f"{wanted.author or 'somebody'} (signed: {signer})"
        by = Provenance(author=author, reason=wanted.reason, at_s=at_s, expires_s=wanted.expires_s)
        return await self._do(_wish(wanted, by), by)

    async def _do(self, wish: _Wish, by: Provenance) -> web.Response:
        if wish.is_for_edges and not self.copies:
            raise RefusedError("no-edge", "this node copies nothing: edges do", "bring it to the edges: gslb nodes")
        before, after = await self._holding.override(Deed(did=wish.did, by=by), wish.make)
        return web.json_response(wish.answer(Published(before, after)))


def _by(author: str, reason: str, lasting_s: float | None = None) -> Provenance:
    at_s = clock.wall_s()
    return Provenance(
        author=author, reason=reason, at_s=at_s, expires_s=None if lasting_s is None else at_s + lasting_s
    )


def _wish(wanted: emergency.Emergency, by: Provenance) -> _Wish:
    """What a signature asks for."""
    if isinstance(wanted, emergency.MirrorEmergency):
        if wanted.action == "mirror-start":
            return _starting(wanted.app, wanted.route)
        return _stopping(MirrorStop(app=wanted.app, route=wanted.route, by=by))
    if wanted.action == "undrain":
        return _undraining(wanted.site, wanted.app)
    drain = Drain(site=wanted.site, app=wanted.app, entry_only=wanted.entry_only, by=by)
    return _draining(drain, wanted.allow)


def _draining(drain: Drain, allow: Collection[str]) -> _Wish:
    place = _place(drain.site, drain.app)
    return _Wish(
        f"drain {place}{' --entry' * drain.entry_only}",
        lambda intent: changes.drain(intent, drain, allow),
        lambda published: answers.drain_change(published, drain.site, drain.app, f"gslb node undrain {place}"),
    )


def _undraining(site: str, app: str | None) -> _Wish:
    return _Wish(
        f"undrain {_place(site, app)}",
        lambda intent: changes.undrain(intent, site, app, _HERE),
        lambda published: answers.drain_change(published, site, app, f"gslb node drain {_place(site, app)}"),
    )


def _stopping(stop: MirrorStop) -> _Wish:
    return _Wish(
        f"mirror stop {mirrors.scope(stop.app, stop.route)}".strip(),
        lambda intent: mirrors.stop(intent, stop),
        lambda published: answers.mirror_change(published, stop.app, stop.route, "start"),
        is_for_edges=True,
    )


def _starting(app: str | None, route: str | None) -> _Wish:
    return _Wish(
        f"mirror start {mirrors.scope(app, route)}".strip(),
        lambda intent: mirrors.start(intent, app, route, _HERE),
        lambda published: answers.mirror_change(published, app, route, "stop"),
        is_for_edges=True,
    )


def _place(site: str, app: str | None) -> str:
    return site if app is None else f"{site} --app {app}"
