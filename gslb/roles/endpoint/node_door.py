"""A node's endpoint over TCP: mTLS, and nobody asks what the table of permits does not give them.

It opens when the role has a certificate. What is asked is the same as over the unix socket, and stands in `node`.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any

import structlog
from aiohttp import web

from gslb.control.http.access import ForbiddenError, UnknownCallerError
from gslb.control.http.callers import peer_of
from gslb.control.http.problems import new_request_id, problem_of
from gslb.control.installation.rosters import REGISTERED
from gslb.control.protocol import Roster
from gslb.errors import RefusedError
from gslb.roles.api_listener import serve_tcp
from gslb.roles.endpoint.node import ASKED_BY, Node
from gslb.roles.identities.certificate_source import CertificateSource
from gslb.roles.identities.identity import Identity
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running
from gslb.trust.permits import NODE_PERMITS, Known, belongs, may, require_permits
from gslb.trust.spiffe import SpiffeId

__all__ = ["address_of", "being_known", "guarded", "serve_node"]

_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def being_known(node: Node, identity: Identity | None, settings: Settings) -> list[Coroutine[Any, Any, None]]:
    """What must run for ever so that the role has a certificate, and others reach it. Nothing without `identity`."""
    if identity is None:
        return []
    source = CertificateSource(settings, identity, lambda: node.rosters.roster.removed)
    tasks = [keep_running("identity", lambda: identity.keep(source.ask))]
    if address_of(identity, settings) is not None:
        tasks.append(keep_running("node endpoint", lambda: serve_node(node, identity, settings)))
    return tasks


async def serve_node(node: Node, identity: Identity, settings: Settings) -> None:
    """For ever, once there is a certificate. Raises HostError where the address cannot be used."""
    address = address_of(identity, settings)
    assert address is not None
    await identity.ready.wait()
    listener = await serve_tcp(guarded(node, identity), *address, identity.server(), "the node endpoint")
    structlog.get_logger().info("the node endpoint is open", address=f"{listener.address[0]}:{listener.address[1]}")
    try:
        await asyncio.get_running_loop().create_future()
    finally:
        await listener.cleanup()


def address_of(identity: Identity, settings: Settings) -> tuple[str, int] | None:
    """Where the endpoint of this process is: those of a machine have consecutive ports, in the order of
    MachineFile.processes. None: the machine's nodes are reached by nobody else."""
    machine = identity.machine
    base, processes = settings.node or machine.address, machine.processes
    if base is None or identity.process not in processes:
        return None
    return base[0], base[1] + processes.index(identity.process) if base[1] else 0


def guarded(node: Node, identity: Identity) -> web.Application:
    """The endpoint of `node`, for those who show a certificate."""

    known = _Told()
    node.rosters.follow(known.take)

    @web.middleware
    async def permit(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            peer = peer_of(request)
            caller = peer.spiffe if peer else None
            resource = request.match_info.route.resource
            if resource is None:
                raise request.match_info.http_exception or web.HTTPNotFound
            method = "GET" if request.method == "HEAD" else request.method
            _require(caller, f"{method} {resource.canonical}", identity.machine.domain, known.known)
        except (RefusedError, web.HTTPException) as error:
            return problem_of(error, new_request_id())
        request[ASKED_BY] = caller.kind if caller else ""
        return await handler(request)

    app = node.app(permit)
    require_permits(
        f"{route.method} {route.resource.canonical}"
        for route in app.router.routes()
        if route.resource is not None and route.method != "HEAD"
    )
    return app


class _Told:
    """What the roster says of who belongs to the installation, made anew with each."""

    known = Known()

    def take(self, roster: Roster) -> None:
        """As soon as there is one of all machines, role processes of others stand in it."""
        everybody = frozenset(peer.spiffe for peer in roster.peers) if roster.number > REGISTERED else None
        self.known = Known(everybody, frozenset(roster.removed))


def _require(caller: SpiffeId | None, route: str, domain: str, known: Known) -> None:
    """Raises UnknownCallerError, rule `no-certificate`, and ForbiddenError, rules `identity` and `machine-removed`."""
    if not may(caller, route, domain):
        if caller is None:
            raise UnknownCallerError(
                "no-certificate", "here nothing is asked without a certificate", "ask over the node's unix socket"
            )
        raise ForbiddenError("identity", f"{caller} may not ask this of a node", "see gslb/trust/permits.py")
    if caller is not None and NODE_PERMITS[route] is not None and not belongs(caller, known):
        raise ForbiddenError(
            "machine-removed", f"{caller} does not belong to this installation any more", "join it again"
        )
