"""One look at a named check, whatever its kind: the time it may take, and what an error of its connection is called."""

from __future__ import annotations

import asyncio
import dataclasses

from gslb.health.checks.command import ask_command
from gslb.health.checks.connection import Connection
from gslb.health.checks.dns_answer import ask_dns
from gslb.health.checks.grpc import ask_grpc
from gslb.health.checks.http import ask_http
from gslb.health.checks.icmp import ask_icmp
from gslb.health.checks.prometheus import ask_prometheus
from gslb.health.checks.pushed import look_at_pushed
from gslb.health.checks.tcp import ask_tcp
from gslb.health.checks.tls import ask_tls
from gslb.health.checks.tools import Tools
from gslb.health.failures import failed
from gslb.health.target import Result, Unknown
from gslb.snapshot.checks import (
    CommandAsk,
    DnsAsk,
    GrpcAsk,
    HttpAsk,
    IcmpAsk,
    NamedCheck,
    PrometheusAsk,
    PushedAsk,
    TcpAsk,
    TlsAsk,
)

__all__ = ["look_at"]


async def look_at(check: NamedCheck, tools: Tools) -> Result | Unknown:
    """What is found now. A check that is calculated is not looked at. Raises HostError where this machine cannot look:
    that says nothing about whoever would be asked."""
    if isinstance(check.ask, PushedAsk):
        return _inverted(check, look_at_pushed(check.name, check.ask, tools))
    connection = Connection()
    try:
        if isinstance(check.ask, CommandAsk):
            async with asyncio.timeout(check.timeout_s):
                found = await ask_command(check.name, check.ask, tools)
        else:
            found = await tools.tries.ask(lambda: _ask(check, connection, tools), check.timeout_s, connection)
    except TimeoutError:
        what = "timeout" if connection.connected else "connect timeout"
        if isinstance(check.ask, CommandAsk | IcmpAsk | DnsAsk):
            what = "timeout"
        found = Result(ok=False, reason=f"{check.name}: {what} after {check.timeout_s:g} s")
    except Exception as error:  # noqa: BLE001 - what is not expected of a connection is raised again
        found = failed(check.name, error, connected=connection.connected)
    return _inverted(check, found)


async def _ask(check: NamedCheck, connection: Connection, tools: Tools) -> Result:
    name = check.name
    match check.ask:
        case HttpAsk() as ask:
            return await ask_http(name, ask, connection, tools)
        case TcpAsk() as ask:
            return await ask_tcp(name, ask, connection)
        case TlsAsk() as ask:
            return await ask_tls(name, ask, connection, tools)
        case GrpcAsk() as ask:
            return await ask_grpc(name, ask, connection, tools, check.timeout_s)
    return await _ask_other(check, connection, tools)


async def _ask_other(check: NamedCheck, connection: Connection, tools: Tools) -> Result:
    name = check.name
    match check.ask:
        case DnsAsk() as ask:
            return await ask_dns(name, ask, connection)
        case IcmpAsk() as ask:
            return await ask_icmp(name, ask)
        case PrometheusAsk() as ask:
            return await ask_prometheus(name, ask, connection, tools)
    raise AssertionError(check.ask)


def _inverted(check: NamedCheck, found: Result | Unknown) -> Result | Unknown:
    if not check.invert or isinstance(found, Unknown):
        return found
    return dataclasses.replace(found, ok=not found.ok, reason=f"{found.reason}, inverted")
