"""What went wrong, in words: an error of a connection to the result that it is. No network here.

What only says that this machine cannot ask (no file, no port, no resolver) is a HostError, and decides nothing.
"""

from __future__ import annotations

import asyncio
import errno
import socket
import ssl

from gslb.errors import HostError
from gslb.health.http1 import NotHttpError
from gslb.health.target import Result

__all__ = ["EXHAUSTED", "failed"]

EXHAUSTED = frozenset({errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM, errno.EADDRNOTAVAIL})
"""This machine has nothing left to connect with: that says nothing about the target."""
_NO_SUCH_NAME = frozenset({socket.EAI_NONAME, socket.EAI_NODATA, socket.EAI_FAMILY})


def failed(subject: str, error: Exception, *, connected: bool) -> Result:
    """The result that `error` is. Raises HostError where it says nothing about the target, and `error` itself where it
    is none that connections have."""
    import aiohttp  # a process that looks at nothing yet starts without it

    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        error = error.certificate_error
    if isinstance(error, aiohttp.ClientConnectorError):
        error = error.os_error
    words = _words(error, connected=connected)
    if words is None:
        raise error
    return Result(ok=False, reason=f"{subject}: {words}")


def _words(error: Exception, *, connected: bool) -> str | None:
    import aiohttp

    match error:
        case ssl.SSLError():
            return _tls(error)
        case asyncio.IncompleteReadError() | EOFError() | aiohttp.ServerDisconnectedError():
            return "closed without an answer"
        case NotHttpError() | aiohttp.ClientResponseError() | aiohttp.ClientPayloadError():
            return "the answer is not HTTP, or its head is too large"
        case socket.gaierror():
            return _unresolved(error)
        case OSError():
            return _socket(error, connected=connected)
    return None


def _tls(error: ssl.SSLError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"certificate: {error.verify_message}"
    return f"TLS: {(error.reason or 'failed').lower().replace('_', ' ')}"


def _unresolved(error: socket.gaierror) -> str:
    if error.errno in _NO_SUCH_NAME:
        return "there is no address of this name"
    raise HostError(
        f"names cannot be resolved: {error.strerror}", "look at this machine's resolver (/etc/resolv.conf)"
    ) from error


def _socket(error: OSError, *, connected: bool) -> str:
    if error.errno in EXHAUSTED:
        raise HostError(
            f"cannot open a connection to probe with: {error.strerror}",
            "raise this process's limit of open files (ulimit -n, LimitNOFILE=) or the range of local ports",
        ) from error
    if error.errno == errno.ECONNREFUSED:
        return "connect refused"
    what = "connection lost" if connected else "connect failed"
    return f"{what}: {(error.strerror or 'unknown error').lower()}"
