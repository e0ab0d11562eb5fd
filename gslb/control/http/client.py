"""What the command line uses to reach control: HTTP over its unix socket, or over TCP with a token.

Only the standard library's light parts, because every command waits for this import. Prints nothing.
"""

from __future__ import annotations

import http.client
import json
import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, urlencode, urlsplit

from gslb.errors import GslbError, HostError, PolicyError, Problem, RefusedError

if TYPE_CHECKING:
    import ssl

__all__ = ["Client", "TlsFiles", "control_socket", "path_of", "runtime_folder"]

TIMEOUT_S = 60.0
"""Of a change: longer than control takes to hear from every role or to give up on it."""
READ_TIMEOUT_S = 20.0
"""Of what changes nothing."""
LIMIT_BYTES = 16 * 1024 * 1024
_IN_DOUBT = "a change may have been made: gslb status and gslb history tell"
_START = "is gslb running? start it with gslb run or gslb demo, or say where it is with --server"
_FROZEN = "look at its log; gslb node status tells what the nodes of a machine do, without control"
_ELSEWHERE = "ask a machine that has one: --server https://HOST:PORT; of the nodes here tells gslb node status"


def runtime_folder() -> Path:
    """Where the processes of this installation keep their sockets: `$GSLB_RUNTIME`, or by who runs it."""
    if chosen := os.environ.get("GSLB_RUNTIME"):
        return Path(chosen)
    if os.getuid() == 0:
        return Path("/run/gslb")
    if session := os.environ.get("XDG_RUNTIME_DIR"):
        return Path(session) / "gslb"
    return Path(f"/tmp/gslb-{os.getuid()}")  # noqa: S108 - the name holds the user; who makes it checks its owner


def control_socket(runtime: Path) -> Path:
    """The socket on which control takes changes."""
    return runtime / "control.sock"


_TOKEN = re.compile(r"[!-~]{1,256}")


class _UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: str, timeout_s: float) -> None:
        super().__init__("localhost", timeout=timeout_s)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


@dataclass(frozen=True, slots=True)
class TlsFiles:
    """Whom to believe (`ca`, None: whom the system does), and who asks (`certificate` with its `key`), in PEM.
    `any_name`: whom `ca` has signed is believed, whatever it is called."""

    ca: str | None = None
    certificate: str | None = None
    key: str | None = None
    any_name: bool = False

    def context(self) -> ssl.SSLContext:
        """Raises HostError where a file cannot be used."""
        import ssl

        try:
            context = ssl.create_default_context(cafile=self.ca)
            context.check_hostname = not self.any_name
            if self.certificate is not None:
                context.load_cert_chain(self.certificate, self.key, password=lambda: b"")
        except (OSError, ValueError) as error:
            files = ", ".join(filter(None, (self.ca, self.certificate, self.key)))
            raise HostError(f"{files} cannot be used for TLS: {error}", "check the files of the context") from None
        return context

    def ended(self) -> str | None:
        """When the certificate that is shown has ended; None: it has not, or none is. With TLS 1.3 a server turns it
        away after the request has gone out, by closing the connection."""
        if self.certificate is None:
            return None
        from gslb import clock
        from gslb.model.words import iso
        from gslb.trust.authority import certificates_of, lifetime_s

        _, until_s = lifetime_s(certificates_of(Path(self.certificate).read_text())[0])
        return iso(until_s) if until_s < clock.wall_s() else None


class Client:
    """`server`: a socket's path, `unix:PATH`, `http://ADDRESS:PORT`, `https://HOST:PORT`, or None for this machine's.
    `token` is shown over TCP alone, and in the clear to this machine alone; `tls` counts for https alone.

    Every call raises HostError where control cannot be reached or is broken, PolicyError where it finds the request
    wrong, RefusedError where it refuses it.
    """

    def __init__(self, server: str | None = None, token: str | None = None, tls: TlsFiles | None = None) -> None:
        self.server = server or str(control_socket(runtime_folder()))
        self._token = token
        self._tls = tls or TlsFiles()

    def get(self, path: str, query: Mapping[str, str | None] | None = None) -> Any:
        return self._call("GET", _target(path, query), None)

    def post(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("POST", path, body)

    def put(self, path: str, body: Mapping[str, Any]) -> Any:
        return self._call("PUT", path, body)

    def delete(self, path: str, query: Mapping[str, str | None] | None = None) -> Any:
        return self._call("DELETE", _target(path, query), None)

    def _call(self, method: str, target: str, body: Mapping[str, Any] | None) -> Any:
        timeout_s = READ_TIMEOUT_S if method == "GET" else TIMEOUT_S
        connection, headers = self._connection(timeout_s)
        reached = False
        try:
            text = None if body is None else json.dumps(body).encode()
            headers |= {"Content-Type": "application/json"} if text else {}
            connection.connect()
            reached = True
            connection.request(method, target, text, headers)
            response = connection.getresponse()
            data = _read(response)
        except TimeoutError:
            remedy = _FROZEN if method == "GET" else f"look at its log; {_IN_DOUBT}"
            raise HostError(f"control at {self.server} did not answer within {timeout_s:g} s", remedy) from None
        except (OSError, http.client.HTTPException) as error:
            raise self._broken(error, in_doubt=reached and method != "GET") from error
        finally:
            connection.close()
        return _understood(self.server, response.status, data)

    def _broken(self, error: Exception, *, in_doubt: bool) -> GslbError:
        """What is told where no answer came. `in_doubt`: the request may have been taken, and changes something."""
        ended = self._tls.ended() if self.server.startswith("https:") else None
        if ended is not None:
            return RefusedError(
                "certificate",
                f"the certificate {self._tls.certificate} has ended at {ended}",
                "ask for the next one: gslb identity issue operator NAME",
            )
        if in_doubt and isinstance(error, (ConnectionError, http.client.IncompleteRead)):
            return HostError(f"the connection to the gslb at {self.server} broke before it had answered", _IN_DOUBT)
        return HostError(*_why(self.server, error))

    def _connection(self, timeout_s: float) -> tuple[http.client.HTTPConnection, dict[str, str]]:
        """With the headers that say who asks."""
        if not self.server.startswith(("http:", "https:")):
            return _UnixConnection(self.server.removeprefix("unix:"), timeout_s), {}
        url = urlsplit(self.server)
        try:
            port = url.port
        except ValueError:
            port = 0
        if not url.hostname or port == 0 or url.path.strip("/") or url.username or url.query or url.fragment:
            raise HostError(
                f"{self.server} is not a server that gslb can ask",
                "write a socket's path, http://ADDRESS:PORT, such as http://127.0.0.1:8053, or https://HOST:PORT",
            )
        headers = self._authorization(url.scheme, url.hostname)
        if url.scheme == "http":
            return http.client.HTTPConnection(url.hostname, port, timeout=timeout_s), headers
        return http.client.HTTPSConnection(url.hostname, port, timeout=timeout_s, context=self._tls.context()), headers

    def _authorization(self, scheme: str, host: str) -> dict[str, str]:
        if not self._token:
            return {}
        if not _TOKEN.fullmatch(self._token):
            raise HostError("the token is no token", "give what gslb token create has printed, on one line")
        if scheme == "http" and not _is_this_machine(host):
            raise HostError(
                f"a token would go to {self.server} in the clear",
                "ask over https://; gslb run takes --api-cert and --api-key",
            )
        return {"Authorization": f"Bearer {self._token}"}


def _read(response: http.client.HTTPResponse) -> bytes:
    """The body, up to the limit. Raises IncompleteRead where the connection has ended before it."""
    data = response.read(LIMIT_BYTES)
    if response.length and len(data) < LIMIT_BYTES:
        raise http.client.IncompleteRead(data, response.length)
    return data


def _is_this_machine(host: str) -> bool:
    return host in ("localhost", "::1") or bool(re.fullmatch(r"127(\.\d{1,3}){3}", host))


def path_of(*parts: str) -> str:
    """A path of the API from its parts, each quoted whole."""
    return "/".join(("/v1", *(quote(part, safe="") for part in parts)))


def _target(path: str, query: Mapping[str, str | None] | None) -> str:
    given = {key: value for key, value in (query or {}).items() if value is not None}
    return f"{path}?{urlencode(given)}" if given else path


def _why(server: str, error: Exception) -> tuple[str, str]:
    """What went wrong on the way to control, and what to do about it."""
    if isinstance(error, FileNotFoundError):
        path = Path(server.removeprefix("unix:"))
        if path == control_socket(path.parent) and any(path.parent.glob("*.sock")):
            return f"gslb runs here, and no control: there is no {server}", _ELSEWHERE
        return f"there is no gslb at {server}", _START
    if isinstance(error, PermissionError):
        return f"this user may not talk to the gslb at {server}", "run the command as the user that runs gslb (or root)"
    if isinstance(error, ConnectionRefusedError):
        return f"nobody answers at {server}", _START
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return (
            f"the certificate of {server} is not trusted: {getattr(error, 'verify_message', error)}",
            "ask by a name that it holds; for a CA of your own: SSL_CERT_FILE=ca.pem",
        )
    return f"the gslb at {server} cannot be asked: {error}", _START


def _understood(server: str, status: int, data: bytes) -> Any:
    try:
        answer = json.loads(data)
    except ValueError:
        answer = None
    if answer is None or (status >= 400 and not isinstance(answer, dict)):
        raise HostError(f"what answers at {server} is not gslb (HTTP status {status})", "check --server")
    if status < 400:
        return answer
    raise _problem(status, answer)


def _problem(status: int, answer: Mapping[str, Any]) -> GslbError:
    """The error that control raised, again (RFC 9457, with our `rule`, `remedy` and `problems`)."""
    message, remedy = str(answer.get("detail", "")), str(answer.get("remedy", ""))
    if status >= 500:
        return HostError(message or f"control failed (HTTP status {status})", remedy or "look at its log")
    if "problems" in answer:
        return PolicyError(Problem("request", 0, 0, *_texts(item)) for item in answer["problems"])
    return RefusedError(str(answer.get("rule", f"http-{status}")), message, remedy)


def _texts(item: Mapping[str, Any]) -> tuple[str, str, str]:
    return str(item.get("rule", "")), str(item.get("message", "")), str(item.get("remedy", ""))
