"""ICMP: one echo over Linux's ping sockets, which need no privilege where `net.ipv4.ping_group_range` allows them."""

from __future__ import annotations

import asyncio
import ipaddress
import secrets
import socket

from gslb.errors import HostError
from gslb.health.target import Result
from gslb.snapshot.checks import IcmpAsk

__all__ = ["ask_icmp"]

_ECHO_V4, _REPLY_V4 = 8, 0  # RFC 792
_ECHO_V6, _REPLY_V6 = 128, 129  # RFC 4443 section 4
_READ_BYTES = 2048


async def ask_icmp(subject: str, ask: IcmpAsk) -> Result:
    """Healthy is an echo with what was sent. The caller limits the time. Raises HostError where the kernel lets this
    process send none, OSError as sending does."""
    loop = asyncio.get_running_loop()
    family, address = await _address(ask.host)
    v6 = family == socket.AF_INET6
    try:
        ping = socket.socket(family, socket.SOCK_DGRAM, socket.IPPROTO_ICMPV6 if v6 else socket.IPPROTO_ICMP)
    except PermissionError as error:
        raise HostError(
            "this process may not send echo requests",
            "allow its group: sysctl net.ipv4.ping_group_range='0 2147483647', or use another kind of check",
        ) from error
    with ping:
        ping.setblocking(False)
        ping.connect((address, 0))
        said = secrets.token_bytes(16)
        # the kernel puts the identifier and the checksum in
        ping.send(bytes([_ECHO_V6 if v6 else _ECHO_V4, 0, 0, 0, 0, 0, 0, 1]) + said)
        while True:
            packet = await loop.sock_recv(ping, _READ_BYTES)
            if packet[:1] == bytes([_REPLY_V6 if v6 else _REPLY_V4]) and packet[8:] == said:
                return Result(ok=True, reason=f"{subject}: {address} answers")


async def _address(host: str) -> tuple[socket.AddressFamily, str]:
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, 0, type=socket.SOCK_DGRAM)
        return found[0][0], str(found[0][4][0])
    return (socket.AF_INET6 if address.version == 6 else socket.AF_INET), str(address)
