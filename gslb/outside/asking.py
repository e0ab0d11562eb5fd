"""DNS questions to servers that are not ours: timeouts, a second try, TCP where UDP is too small, an end to it all.

Answers come back as they are; what they mean is decided elsewhere. dnspython's asyncio side has its home here.
"""

from __future__ import annotations

import asyncio
import errno
import ipaddress
from collections.abc import Awaitable, Callable, Iterable

import dns.asyncquery
import dns.exception
import dns.flags
import dns.message
import dns.name
import dns.rcode
import dns.rdatatype
import dns.resolver
import dns.rrset

from gslb import clock
from gslb.errors import HostError
from gslb.outside.delegation_seen import Failure, Server

__all__ = ["DNS_PORT", "UNROUTABLE", "Asker", "Resolver", "parse_resolver", "query", "rrset_of"]

DNS_PORT = 53
TRY_S = 1.5
TCP_S = 3.0
WHOLE_S = 15.0
"""A person waits for this: whatever is dead, the report comes within it."""
AT_ONCE = 32
PROBE = "localhost"
"""Resolvers answer this by themselves (RFC 6761 section 6.3), those of a network without a way to the root too."""
UNROUTABLE = {errno.ENETUNREACH, errno.EHOSTUNREACH, errno.EADDRNOTAVAIL, errno.EAFNOSUPPORT}

_Exchange = Callable[[float], Awaitable[dns.message.Message]]


def query(name: str, rtype: str, *, recursive: bool = False, edns: bool = True) -> dns.message.Message:
    """A question with DO, to an authoritative server; or to a resolver, which then must not validate (CD): what is
    wrong with a zone must be seen, not hidden behind SERVFAIL."""
    message = dns.message.make_query(name, rtype, want_dnssec=edns, payload=1232 if edns else None)
    message.flags = dns.flags.RD | dns.flags.CD if recursive else dns.flags.Flag(0)
    return message


def rrset_of(section: Iterable[dns.rrset.RRset], name: str, rtype: str) -> dns.rrset.RRset | None:
    """The RRset of this owner and type in a section of a reply, or None."""
    owner, wanted = dns.name.from_text(name), dns.rdatatype.from_text(rtype)
    return next((rrset for rrset in section if rrset.name == owner and rrset.rdtype == wanted), None)


def parse_resolver(text: str) -> tuple[str, int]:
    """`192.0.2.1`, `192.0.2.1:5353`, `2001:db8::1` or `[2001:db8::1]:5353` as (address, port). Raises ValueError."""
    host, colon, port = text.rpartition(":")
    if text.startswith("[") and text.endswith("]"):
        host, colon, port = text, "", ""
    bare = not colon or (host.count(":") > 0 and not host.startswith("["))
    address, number = (text, str(DNS_PORT)) if bare else (host, port)
    try:
        ip = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        ip = None
    if ip is None or not (number.isascii() and number.isdigit() and 1 <= int(number) <= 65535):
        raise ValueError(f"{text!r} is not a resolver; write an address, such as 192.0.2.1 or 192.0.2.1:5353")
    return str(ip), int(number)


class Asker:
    """Asks authoritative servers on `port`, some at a time, and nobody any more once `whole_s` seconds have passed."""

    def __init__(self, *, port: int = DNS_PORT, whole_s: float = WHOLE_S) -> None:
        self._port = port
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._end_mono_s = clock.mono_s() + whole_s

    async def ask(self, message: dns.message.Message, address: str, port: int = 0) -> dns.message.Message | Failure:
        """Over UDP, and over TCP where the reply says that it was cut."""
        reply = await self.udp(message, address, port)
        if isinstance(reply, dns.message.Message) and reply.flags & dns.flags.TC:
            return await self.tcp(message, address, port)
        return reply

    async def udp(self, message: dns.message.Message, address: str, port: int = 0) -> dns.message.Message | Failure:
        """Replies that do not belong to the question are ignored, and the wait goes on."""

        async def exchange(timeout_s: float) -> dns.message.Message:
            return await dns.asyncquery.udp(
                message, address, timeout_s, port or self._port, ignore_unexpected=True, ignore_errors=True
            )

        first = await self._bounded(exchange, TRY_S, "UDP")
        if not isinstance(first, Failure) or first.kind != "silent":
            return first
        second = await self._bounded(exchange, TRY_S, "UDP")
        return first if isinstance(second, Failure) else second

    async def tcp(self, message: dns.message.Message, address: str, port: int = 0) -> dns.message.Message | Failure:
        async def exchange(timeout_s: float) -> dns.message.Message:
            return await dns.asyncquery.tcp(message, address, timeout_s, port or self._port)

        return await self._bounded(exchange, TCP_S, "TCP")

    async def _bounded(self, exchange: _Exchange, limit_s: float, transport: str) -> dns.message.Message | Failure:
        async with self._slots:
            timeout_s = min(limit_s, self._end_mono_s - clock.mono_s())
            if timeout_s <= 0:
                return Failure("unasked", f"no time was left to ask over {transport}")
            try:
                return await exchange(timeout_s)
            except dns.exception.Timeout:
                return Failure("silent", f"no answer over {transport}")
            except (OSError, EOFError) as error:
                return _broken(error, transport)
            except dns.exception.DNSException as error:
                return Failure("lame", f"its reply over {transport} cannot be read: {type(error).__name__}")


def _broken(error: OSError | EOFError, transport: str) -> Failure:
    if isinstance(error, OSError) and error.errno in UNROUTABLE:
        return Failure("unasked", f"this machine has no route to it ({error.strerror})")
    if isinstance(error, ConnectionRefusedError):
        return Failure("silent", f"it refuses connections over {transport}")
    return Failure("silent", f"the connection over {transport} broke")


class Resolver:
    """One recursive resolver, asked without validation."""

    def __init__(self, asker: Asker, address: str, port: int) -> None:
        self.asker, self.address, self.port = asker, address, port

    @classmethod
    async def open(cls, asker: Asker, chosen: tuple[str, int] | None = None) -> Resolver:
        """The `chosen` one, or the first of this machine's that answers, whatever it says. Raises HostError where none
        does."""
        candidates = [cls(asker, *where) for where in ([chosen] if chosen else _configured())]
        replies = await asyncio.gather(*(candidate.ask(PROBE, "A") for candidate in candidates))
        for candidate, reply in zip(candidates, replies, strict=True):
            if isinstance(reply, dns.message.Message):
                return candidate
        names = ", ".join(candidate.address for candidate in candidates) or "nobody is configured"
        raise HostError(f"no DNS resolver answers: {names}", "name one that does: --resolver ADDRESS[:PORT]")

    async def ask(self, name: str, rtype: str) -> dns.message.Message | Failure:
        return await self.asker.ask(query(name, rtype, recursive=True), self.address, self.port)

    async def find(self, name: str, rtype: str) -> dns.rrset.RRset | None:
        """The records of a type at the end of the name's CNAMEs; None where there are none, or nobody knows."""
        reply = await self.ask(name, rtype)
        if isinstance(reply, Failure) or reply.rcode() != dns.rcode.NOERROR:
            return None
        wanted = dns.rdatatype.from_text(rtype)
        return next((rrset for rrset in reversed(reply.answer) if rrset.rdtype == wanted), None)

    async def addresses(self, name: str) -> tuple[str, ...]:
        """Every address of a host, IPv4 first."""
        found = await asyncio.gather(self.find(name, "A"), self.find(name, "AAAA"))
        return tuple(sorted_addresses(rdata.address for rrset in found if rrset for rdata in rrset))

    async def zone_of(self, name: str) -> tuple[str, tuple[Server, ...]] | Failure:
        """The zone whose own data `name` is (its apex may be the name itself), with its servers at each address.

        Walks up from the name to the first one that has NS records of its own (RFC 1034 section 4.2).
        """
        here = dns.name.from_text(name)
        while True:
            top = here.to_text(omit_final_dot=True)
            reply = await self.ask(top, "NS")
            if isinstance(reply, Failure):
                return reply
            if reply.rcode() not in (dns.rcode.NOERROR, dns.rcode.NXDOMAIN):
                said = dns.rcode.to_text(reply.rcode())
                return Failure("lame", f"the resolver {self.address} answers {said} for the name servers of {top}")
            rrset = rrset_of(reply.answer, top, "NS")
            if rrset is not None:
                return top, await self.servers(host_names(rrset))
            if here == dns.name.root:
                return Failure("lame", f"the resolver {self.address} does not know the root")
            here = here.parent()

    async def servers(self, names: Iterable[str]) -> tuple[Server, ...]:
        """Each of these hosts at each of its addresses."""
        ordered = sorted(names)
        found = await asyncio.gather(*(self.addresses(name) for name in ordered))
        return tuple(Server(name, ip) for name, ips in zip(ordered, found, strict=True) for ip in ips)


def host_names(rrset: dns.rrset.RRset) -> frozenset[str]:
    """What NS records point at: lower-case, without the last dot."""
    return frozenset(rdata.target.to_text(omit_final_dot=True).lower() for rdata in rrset)


def sorted_addresses(addresses: Iterable[str]) -> list[str]:
    """IPv4 before IPv6, each in the order of its numbers."""
    return [str(ip) for ip in sorted(map(ipaddress.ip_address, addresses), key=lambda ip: (ip.version, int(ip)))]


def _configured() -> list[tuple[str, int]]:
    try:
        machine = dns.resolver.Resolver()
    except dns.resolver.NoResolverConfiguration:
        return []
    return [(server, machine.port) for server in machine.nameservers if isinstance(server, str)]
