"""The API's TCP port: where it may listen, TLS, and what one connection and all of them together may take.

What aiohttp limits by itself: the length of the first line, of a header and of their number, and (by `IDLE_S`) how long
a request's headers may take to come. Here is the rest. What is asked over a connection is not this module's business.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from pathlib import Path
from typing import Any

import structlog
from aiohttp import web

from gslb.control.http.access import is_loopback, require_guarded
from gslb.control.http.problems import BadRequestError, new_request_id, problem_of
from gslb.control.publishing import Publisher
from gslb.errors import HostError
from gslb.roles.identities.identity import Identity
from gslb.roles.settings import Settings
from gslb.trust.tls import IDENTITY_NAME

__all__ = ["Certificate", "open_api", "serve_tcp"]

IDLE_S = 15.0
"""From the connection, or from the last answer, until the next request's headers are complete."""
LINGER_S = 2.0
"""How long the rest of a body is read and thrown away that nobody wanted, so that its sender reads the answer."""
SLOW_READER_S = 30.0
"""How long an answer may wait for its reader."""
HANDSHAKE_S = 10.0
RENEW_S = 30.0
"""How often somebody looks whether the certificate's files were replaced."""
LIMIT = 256
LIMIT_PER_ADDRESS = 64
STOP_S = 1.0


class Seats:
    """How many connections there are, and from where."""

    def __init__(self) -> None:
        self._taken: Counter[str] = Counter()

    def take(self, address: str) -> bool:
        """Whether there was room; if so, `leave` must follow."""
        if self._taken.total() >= LIMIT or self._taken[address] >= LIMIT_PER_ADDRESS:
            return False
        self._taken[address] += 1
        return True

    def leave(self, address: str) -> None:
        self._taken[address] -= 1
        if not self._taken[address]:
            del self._taken[address]


class Connection(web.RequestHandler):
    """One connection: closed where there is no room for it, or where its reader does not keep up."""

    __slots__ = ("_address", "_reading", "_seats")

    def __init__(self, server: web.Server, seats: Seats) -> None:
        super().__init__(
            server,
            loop=asyncio.get_running_loop(),
            keepalive_timeout=IDLE_S,
            lingering_time=LINGER_S,
            access_log=None,  # type: ignore[arg-type] # as the runner has it
        )
        self._seats = seats
        self._address: str | None = None
        self._reading: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        address = str(transport.get_extra_info("peername")[0])
        if self._seats.take(address):
            self._address = address
        else:
            self.force_close()

    def connection_lost(self, exc: BaseException | None) -> None:
        self._keeps_up()
        if self._address is not None:
            self._seats.leave(self._address)
            self._address = None
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._reading = asyncio.get_running_loop().call_later(SLOW_READER_S, self._give_up)

    def resume_writing(self) -> None:
        self._keeps_up()
        super().resume_writing()

    def handle_error(
        self,
        request: web.BaseRequest,  # noqa: ARG002 - aiohttp's signature
        status: int = 500,  # noqa: ARG002
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """What does not read as HTTP, or failed outside of the application."""
        made = new_request_id()
        if message is None:
            structlog.get_logger().error("a connection failed", request=made, exc_info=exc)
            answer = problem_of(exc if isinstance(exc, Exception) else RuntimeError(), made)
        else:
            said = message.partition("\n")[0].rstrip(":")[:200]
            answer = problem_of(BadRequestError("http-400", said, "send a request as RFC 9112 has it"), made)
        answer.headers["X-Request-Id"] = made
        answer.force_close()
        return answer

    def log_exception(self, *args: Any, **kw: Any) -> None:
        """What is left when an answer was given. A body that cannot be unpacked is its sender's fault, and the rest of
        it is thrown away: no stranger fills the log."""
        if not isinstance(kw.get("exc_info"), web.RequestPayloadError):
            super().log_exception(*args, **kw)

    def _keeps_up(self) -> None:
        if self._reading is not None:
            self._reading.cancel()
            self._reading = None

    def _give_up(self) -> None:
        if self.transport is not None:
            self.transport.abort()


class Certificate:
    """The certificate of the API, read anew when its files are replaced. Raises HostError where they cannot be used."""

    def __init__(self, file: Path, key: Path) -> None:
        self._files = file, key
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        self._load(self.context)
        self._stamp = self._look()

    def renew(self) -> None:
        """For new connections; those that are open keep what they have."""
        stamp = self._look()
        if stamp == self._stamp:
            return
        self._stamp = stamp
        try:
            self._load(ssl.create_default_context(ssl.Purpose.CLIENT_AUTH))
            self._load(self.context)
        except HostError as error:
            structlog.get_logger().error("the API keeps its old certificate", why=str(error))
        else:
            structlog.get_logger().info("the API has a new certificate", file=str(self._files[0]))

    def _look(self) -> object:
        try:
            return [(seen.st_mtime_ns, seen.st_ino) for seen in (file.stat() for file in self._files)]
        except OSError:
            return None

    def _load(self, context: ssl.SSLContext) -> None:
        file, key = self._files
        try:
            context.load_cert_chain(file, key, password=_no_password)
        except (OSError, ValueError) as error:
            why = getattr(error, "strerror", None) or getattr(error, "reason", None) or str(error)
            raise HostError(
                f"the API's certificate {file} with the key {key} cannot be used: {why}",
                "give PEM files that this user may read: --api-cert with its chain, --api-key not encrypted",
            ) from error


class Listener:
    """What was opened, and how it is closed."""

    def __init__(self, runner: web.AppRunner, server: asyncio.Server) -> None:
        self._runner = runner
        self.certificate: Certificate | None = None
        self._server = server
        self.address: tuple[str, int] = server.sockets[0].getsockname()[:2]

    async def follow_certificate(self) -> None:
        """For ever."""
        while True:
            await asyncio.sleep(RENEW_S)
            if self.certificate is not None:
                self.certificate.renew()

    @property
    def connections(self) -> int:
        """How many are open."""
        server = self._runner.server
        return len(server.connections) if server else 0

    async def cleanup(self) -> None:
        """No new connection from now on; what is under way has `STOP_S`, streams end at once."""
        self._server.close()
        await self._runner.cleanup()


async def open_api(publisher: Publisher, settings: Settings, identity: Identity | None = None) -> Listener:
    """Serve the API at `settings.api`: with the certificate of the settings, else with that of `identity` where others
    know the API by an https URL, or it is not on loopback.

    Raises RefusedError, rule `api-open`, where it could be reached from elsewhere without TLS, and HostError where a
    certificate or the address cannot be used.
    """
    from gslb.control.http.api import build_app  # nodes use this module too, and start quicker without the whole API

    host, port = settings.api
    certificate = Certificate(settings.api_cert, settings.api_key) if settings.api_cert and settings.api_key else None
    known = identity is not None and (identity.machine.api is not None or not is_loopback(host))
    require_guarded(host, tls=certificate is not None or known)
    app = build_app(publisher, "loopback" if is_loopback(host) else "guarded")
    context = _context(certificate, identity if known else None)
    listener = await serve_tcp(app, host, port, context)
    listener.certificate = certificate
    return listener


def _context(certificate: Certificate | None, identity: Identity | None) -> ssl.SSLContext | None:
    """Who asks for IDENTITY_NAME is shown the identity, also where people are shown another certificate."""
    if identity is None:
        return certificate.context if certificate else None
    own = identity.server()
    if certificate is None:
        return own
    shown = certificate.context

    def choose(connection: ssl.SSLObject, name: str, _context: ssl.SSLContext) -> None:
        if name == IDENTITY_NAME:
            connection.context = own

    identity.believe_people(shown)
    shown.sni_callback = choose
    return shown


async def serve_tcp(
    app: web.Application, host: str, port: int, context: ssl.SSLContext | None = None, what: str = "the API"
) -> Listener:
    """Serve `app`, which is `what` to people, within the limits of this module. Raises HostError."""
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=STOP_S)
    await runner.setup()
    aiohttp_server, seats = runner.server, Seats()
    assert aiohttp_server is not None
    try:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(aiohttp_server, seats),
            host.strip("[]"),
            port,
            ssl=context,
            ssl_handshake_timeout=HANDSHAKE_S if context else None,
        )
    except OSError as error:
        await runner.cleanup()
        raise HostError(
            f"{what} cannot listen on {host}:{port}: {error.strerror or error}",
            f"see who has it: ss -ltnp 'sport = :{port}'; or choose another: gslb run --api or --node HOST:PORT",
        ) from error
    return Listener(runner, server)


def _no_password() -> str:
    """Asked for where the key is encrypted: nobody is there to type one."""
    raise ValueError("the key is encrypted")
