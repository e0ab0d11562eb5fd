"""DNS: a question to a server, and what its answer must hold."""

from __future__ import annotations

import asyncio
import ipaddress
import socket

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdata
import dns.rdataclass
import dns.rdatatype

from gslb.health.checks.connection import Connection
from gslb.health.target import Result
from gslb.snapshot.checks import DnsAsk

__all__ = ["ask_dns"]


async def ask_dns(subject: str, ask: DnsAsk, connection: Connection) -> Result:
    """Healthy is NOERROR with records of the type, all expected ones among them. A truncated answer is asked for again
    over TCP. Raises OSError as connecting does; the caller limits the time."""
    try:
        kind, wanted = _wanted(ask)
    except (dns.exception.DNSException, ValueError) as error:
        return Result(ok=False, reason=f"{subject}: the check cannot be made: {error}")
    message = dns.message.make_query(dns.name.from_text(ask.name), kind)
    address = await _address(ask.host, ask.port)
    try:
        answer = await _answer(message, address, ask, connection)
    except dns.exception.DNSException as error:
        words = str(error).rstrip(".").lower()
        return Result(ok=False, reason=f"{subject}: the answer cannot be read: {words[:120]}")
    return _judged(subject, answer, kind, wanted)


def _wanted(ask: DnsAsk) -> tuple[dns.rdatatype.RdataType, list[dns.rdata.Rdata]]:
    kind = dns.rdatatype.from_text(ask.type)
    return kind, [dns.rdata.from_text(dns.rdataclass.IN, kind, text, relativize=False) for text in ask.expect]


async def _address(host: str, port: int) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_DGRAM)
        return str(found[0][4][0])


async def _answer(
    message: dns.message.QueryMessage, address: str, ask: DnsAsk, connection: Connection
) -> dns.message.Message:
    """Over UDP, unless it is to be TCP or the answer does not fit."""
    if not ask.tcp:
        answer = await dns.asyncquery.udp(message, address, port=ask.port, ignore_unexpected=True)
        connection.stands()
        if not answer.flags & dns.flags.TC:
            return answer
    return await dns.asyncquery.tcp(message, address, port=ask.port)


def _judged(
    subject: str, answer: dns.message.Message, kind: dns.rdatatype.RdataType, wanted: list[dns.rdata.Rdata]
) -> Result:
    if answer.rcode() != dns.rcode.NOERROR:
        return Result(ok=False, reason=f"{subject}: {dns.rcode.to_text(answer.rcode())}")
    found = [record for rrset in answer.answer if rrset.rdtype == kind for record in rrset]
    if not found:
        return Result(ok=False, reason=f"{subject}: no {dns.rdatatype.to_text(kind)} record in the answer")
    texts = ", ".join(sorted(record.to_text() for record in found))[:120]
    missing = [record.to_text() for record in wanted if record not in found]
    if missing:
        return Result(ok=False, reason=f"{subject}: {texts}; without {', '.join(missing)[:120]}")
    return Result(ok=True, reason=f"{subject}: {texts}")
