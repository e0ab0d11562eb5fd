"""Connections to the members of an etcd, kept for the next question: making one costs more than most answers do, above
all over TLS. Safe to use from several threads."""

from __future__ import annotations

import contextlib
import http.client
import select
import ssl
import threading
import weakref
from collections.abc import Iterator

from gslb.errors import HostError
from gslb.store.etcd_url import EtcdUrl

__all__ = ["Lines"]

KEPT = 4
"""Idle connections at most: a few threads ask at the same time."""
_Kept = tuple[int, ssl.SSLContext | None, http.client.HTTPConnection]
"""To which member, and with which certificates."""


class Lines:
    """Raises HostError where the files of `url` cannot be used."""

    def __init__(self, url: EtcdUrl) -> None:
        self._endpoints = url.endpoints
        self._tls = _Tls(url) if url.tls else None
        self._lock = threading.Lock()
        self._kept: list[_Kept] = []
        weakref.finalize(self, _close, self._kept)

    def new(self, member: int, timeout_s: float) -> http.client.HTTPConnection:
        """A connection to the member of that number, not made yet."""
        host, port = self._endpoints[member]
        if self._tls is not None:
            return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=self._tls.context())
        return http.client.HTTPConnection(host, port, timeout=timeout_s)

    @contextlib.contextmanager
    def one(self, member: int, timeout_s: float) -> Iterator[http.client.HTTPConnection]:
        """A connection that is made, perhaps for an earlier question; what fails in the block ends it. Raises OSError.
        With a renewed certificate nothing goes over those of the old one."""
        context = self._tls.context() if self._tls is not None else None
        connection = self._idle(member, context) or self.new(member, timeout_s)
        try:
            if connection.sock is None:
                connection.connect()
            yield connection
        except BaseException:
            connection.close()
            raise
        self._keep(member, context, connection)

    def _idle(self, member: int, context: ssl.SSLContext | None) -> http.client.HTTPConnection | None:
        while True:
            with self._lock:
                place = next((n for n, item in enumerate(self._kept) if item[0] == member), None)
                if place is None:
                    return None
                _, shown, connection = self._kept.pop(place)
            if shown is context and _is_quiet(connection):
                return connection
            connection.close()

    def _keep(self, member: int, context: ssl.SSLContext | None, connection: http.client.HTTPConnection) -> None:
        with self._lock:
            if connection.sock is not None and len(self._kept) < KEPT:
                self._kept.append((member, context, connection))
                return
        connection.close()


def _is_quiet(connection: http.client.HTTPConnection) -> bool:
    """Nothing came since the last answer, not even an end."""
    if connection.sock is None:
        return False
    poll = select.poll()
    poll.register(connection.sock, select.POLLIN)
    return not poll.poll(0)


def _close(kept: list[_Kept]) -> None:
    for _, _, connection in kept:
        connection.close()


class _Tls:
    """The certificates for etcd, read anew when their files are replaced: ours live for hours. Those that cannot be
    used change nothing; etcd then says what it thinks of the old ones."""

    def __init__(self, url: EtcdUrl) -> None:
        """Raises HostError where they cannot be used."""
        self._url = url
        self._seen = self._look()
        self._context = _context(url)

    def context(self) -> ssl.SSLContext:
        seen = self._look()
        if seen != self._seen:
            self._seen = seen
            with contextlib.suppress(HostError):
                self._context = _context(self._url)
        return self._context

    def _look(self) -> object:
        files = (self._url.ca, self._url.cert, self._url.key)
        try:
            return [(seen.st_mtime_ns, seen.st_ino) for seen in (file.stat() for file in files if file is not None)]
        except OSError:
            return None


def _context(url: EtcdUrl) -> ssl.SSLContext:
    try:
        context = ssl.create_default_context(cafile=url.ca)
        if url.cert is not None:
            context.load_cert_chain(url.cert, url.key)
    except OSError as error:
        files = ", ".join(str(path) for path in (url.ca, url.cert, url.key) if path is not None)
        raise HostError(
            f"the certificates for etcd cannot be used ({files}): {error.strerror or error}",
            "name PEM files that the user who runs gslb may read, and the key that belongs to the certificate",
        ) from None
    return context
