"""Checks to make, and small servers on loopback to make them of."""

import asyncio
import contextlib
import ssl

from gslb.health.checks.ask import look_at
from gslb.health.checks.tools import Tools
from gslb.health.request import open_session
from gslb.snapshot.checks import HttpAsk, HttpExpect, NamedCheck, Tls

HOST = "127.0.7.4"


def named(ask, kind="kind", timeout_s=5.0, **options):
    return NamedCheck("db", kind, ask, 1.0, timeout_s, 1, 1, **options)


def http(url, **options):
    values = {"method": "GET", "host": None, "headers": (), "http2": False, "tls": Tls(), "bearer": None}
    values |= {"expect": HttpExpect()} | options
    return HttpAsk(url=url, **values)


async def found(ask, tools=None, **options):
    tools = tools or Tools()
    async with open_session() as tools.session:
        return await look_at(named(ask, **options), tools)


@contextlib.asynccontextmanager
async def server(answer, context=None):
    """`answer(reader, writer)` serves one connection. Yields the port."""

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            await answer(reader, writer)
            await writer.drain()
        writer.close()

    listening = await asyncio.start_server(serve, HOST, 0, ssl=context)
    async with listening:
        yield listening.sockets[0].getsockname()[1]


def saying(data, heads=None):
    async def answer(reader, writer):
        head = await reader.readuntil(b"\r\n\r\n")
        if heads is not None:
            heads.append(head.decode())
        writer.write(data)

    return answer


async def silence(reader, _writer):
    await reader.read()


def tls_server(certificate, key, *, ca=None, alpn=()):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    if ca is not None:
        context.load_verify_locations(ca)
        context.verify_mode = ssl.CERT_REQUIRED
    if alpn:
        context.set_alpn_protocols(list(alpn))
    return context


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]
