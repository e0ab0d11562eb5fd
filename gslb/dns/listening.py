"""Sockets for the responder: UDP and TCP on each address, all of them or none, with errors that say what to do.

Nothing is read or answered here.
"""

from __future__ import annotations

import contextlib
import errno
import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass

from gslb.errors import HostError
from gslb.model.words import format_endpoint

__all__ = ["IP_PKTINFO", "Listener", "bind_all"]

IP_PKTINFO: int = getattr(socket, "IP_PKTINFO", 8)
"""Linux, ip(7); the socket module names it from Python 3.14 on."""

_UDP_BUFFER_BYTES = 4 * 1024 * 1024
"""Rides out a pause of some 20 ms at 200,000 queries a second; the kernel caps it at net.core.rmem_max."""
_TCP_BACKLOG = 128
_PORT_ATTEMPTS = 8
"""For port 0 alone: the UDP port that the kernel chose may be taken for TCP."""


@dataclass(frozen=True, slots=True)
class Listener:
    """A bound address with its sockets, non-blocking. `wildcard`: bound to all addresses of the machine. `proxied`:
    what comes in starts with a header of the PROXY protocol. Among several sockets of `udp` the kernel shares out
    clients by hash."""

    host: str
    port: int
    wildcard: bool
    proxied: bool
    udp: tuple[socket.socket, ...]
    tcp: socket.socket

    def close(self) -> None:
        for sock in self.udp:
            sock.close()
        self.tcp.close()


def bind_all(
    listen: Sequence[tuple[str, int]], proxied: Sequence[tuple[str, int]] = (), udp_sockets: int = 1
) -> tuple[Listener, ...]:
    """Bind UDP and TCP of each (address, port), `proxied` ones last; port 0 lets the kernel choose one port for both.
    Each of `listen` gets `udp_sockets`.

    Raises HostError, with nothing left open, where any of them cannot be had.
    """
    with contextlib.ExitStack() as undo:
        listeners = []
        for place, (host, port) in enumerate((*listen, *proxied)):
            is_proxied = place >= len(listen)
            listeners.append(_bind(host, port, is_proxied, 1 if is_proxied else udp_sockets))
            undo.callback(listeners[-1].close)
        undo.pop_all()
    return tuple(listeners)


def _bind(host: str, port: int, proxied: bool, udp_sockets: int) -> Listener:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        raise HostError(f"cannot listen on {host!r}: not an IP address", "write one such as 192.0.2.53 or ::") from None
    family = socket.AF_INET if address.version == 4 else socket.AF_INET6
    attempts = 1 if port else _PORT_ATTEMPTS
    while True:
        attempts -= 1
        udp = _open(family, socket.SOCK_DGRAM, host, port)
        chosen: int = udp.getsockname()[1]
        try:
            tcp = _open(family, socket.SOCK_STREAM, host, chosen)
        except HostError:
            udp.close()
            if not attempts:
                raise
            continue
        try:
            sockets = _shared_out(udp, udp_sockets)
        except HostError:
            tcp.close()
            raise
        if address.is_unspecified:
            for sock in sockets:
                _ask_for_destination(sock)
        return Listener(host, chosen, address.is_unspecified, proxied, sockets, tcp)


def _shared_out(first: socket.socket, count: int) -> tuple[socket.socket, ...]:
    """`first` and others on its address. It was bound to be alone, so that another program there was an error; only now
    may it share (SO_REUSEPORT)."""
    sockets = [first]
    with contextlib.ExitStack() as undo:
        undo.callback(first.close)
        for _ in range(1, count):
            first.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            sockets.append(_open(first.family, socket.SOCK_DGRAM, *first.getsockname()[:2], shared=True))
            undo.callback(sockets[-1].close)
        undo.pop_all()
    return tuple(sockets)


def _open(family: int, kind: int, host: str, port: int, *, shared: bool = False) -> socket.socket:
    sock = socket.socket(family, kind)
    try:
        sock.setblocking(False)
        if family == socket.AF_INET6:
            sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        if kind == socket.SOCK_STREAM:
            # Connections of a process that just ended must not keep its successor from binding.
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        else:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _UDP_BUFFER_BYTES)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, shared)
        sock.bind((host, port))
        if kind == socket.SOCK_STREAM:
            sock.listen(_TCP_BACKLOG)
    except OSError as error:
        sock.close()
        raise _explained(error, host, port, "TCP" if kind == socket.SOCK_STREAM else "UDP") from None
    return sock


def _ask_for_destination(udp: socket.socket) -> None:
    """With several addresses the kernel would choose the source of a reply: have it tell us which one was asked."""
    if udp.family == socket.AF_INET:
        udp.setsockopt(socket.IPPROTO_IP, IP_PKTINFO, 1)
    else:
        udp.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_RECVPKTINFO, 1)


def _explained(error: OSError, host: str, port: int, transport: str) -> HostError:
    what = f"cannot listen on {transport} {format_endpoint(host, port)}"
    if error.errno == errno.EADDRINUSE:
        option = "-ltnp" if transport == "TCP" else "-lunp"
        return HostError(
            f"{what}: another program has it",
            f"see which: ss {option} 'sport = :{port}'; stop it, or listen on another address or port",
        )
    if error.errno in (errno.EACCES, errno.EPERM):
        return HostError(
            f"{what}: ports below 1024 need a privilege",
            "give it to the service (systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE) or to the interpreter "
            "(setcap cap_net_bind_service=+ep), or listen on another port",
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return HostError(
            f"{what}: this machine does not have that address",
            "see which it has: ip -brief address; listen on one of them, on 0.0.0.0 or on ::",
        )
    return HostError(
        f"{what}: {error.strerror}", "see that the address family is enabled and the limits on files allow it"
    )
