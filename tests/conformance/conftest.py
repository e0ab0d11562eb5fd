"""A responder on loopback for the whole session; `GSLB_CONFORMANCE_SERVER=ADDRESS:PORT` asks another server instead,
which must serve `zone.ZONE_FILE`."""

import asyncio
import contextlib
import ipaddress
import os
import threading
from collections.abc import Callable
from typing import NamedTuple

import dns.message
import dns.query
import pytest

from gslb.dns import native
from gslb.dns.networks import Networks
from gslb.dns.protocol import Protocol
from gslb.dns.ratelimit import Limiter
from gslb.dns.responder import Responder
from tests.conformance.zone import APEX, steered_tables, tables

TIMEOUT_S = 10


class Server(NamedTuple):
    host: str
    port: int
    counts: Callable[[], dict[str, int]] = dict

    def udp(self, message, **more):
        return dns.query.udp(message, self.host, TIMEOUT_S, self.port, **more)

    def tcp(self, message, **more):
        return dns.query.tcp(message, self.host, TIMEOUT_S, self.port, **more)

    def ask(self, name, qtype, **more):
        """One query over UDP; dnspython checks id, question and source address."""
        return self.udp(dns.message.make_query(f"{name}.{APEX}" if name else APEX, qtype, **more))


SECRET = bytes.fromhex("e5e973e5a6b2a43f48e7dc849e37bfcf")
IDENTITY = b"ns1.example"
PROXY = "127.0.7.3"
LIMIT_PER_S = 20


@contextlib.contextmanager
def serving(zone, *, proxied=(), proxies=(PROXY,), **settings):
    """A responder of its own in a thread; gives a Server for each address, those for proxies last."""
    started, loop, stop, servers = threading.Event(), asyncio.new_event_loop(), asyncio.Event(), []

    async def serve():
        threads = 2 if settings.get("wire") == "native" else 0
        responder = Responder(threads=threads, **settings)
        await responder.open([("127.0.7.1", 0)], proxied, Networks(map(ipaddress.ip_network, proxies)))
        responder.publish(zone)
        servers.extend(Server(*address, responder.counts) for address in responder.addresses())
        started.set()
        await stop.wait()
        await responder.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    try:
        assert started.wait(TIMEOUT_S)
        yield servers
    finally:
        loop.call_soon_threadsafe(stop.set)
        thread.join()
        loop.close()


@pytest.fixture(scope="session", params=["python", "native"] if native.available() else ["python"])
def wire(request):
    """Every server is asked everything twice: what C answers, and what Python does."""
    return request.param


@pytest.fixture(scope="session")
def server(wire):
    elsewhere = os.environ.get("GSLB_CONFORMANCE_SERVER")
    if elsewhere:
        host, _, port = elsewhere.rpartition(":")
        yield Server(host, int(port))
        return
    with serving(tables(), protocol=Protocol.telling(IDENTITY, b"", (SECRET,)), wire=wire) as (only,):
        yield only


@pytest.fixture(scope="session")
def silent_server(wire):
    """As little as a server may tell: no cookies, no subnets, no name."""
    with serving(tables(), protocol=Protocol(ecs=False), wire=wire) as (only,):
        yield only


@pytest.fixture
def limited_server(wire):
    """A fresh one that lets through 20 like answers a second."""
    protocol = Protocol.telling(b"", b"", (SECRET,))
    limiter = Limiter(LIMIT_PER_S, [ipaddress.ip_network("127.0.8.0/24")])
    with serving(tables(), protocol=protocol, limiter=limiter, wire=wire) as (only,):
        yield only


@pytest.fixture(scope="session")
def steered_server(wire):
    """A zone whose answers depend on the client, on a plain address and on one for proxies. Only whom proxies speak for
    is limited."""
    limiter = Limiter(LIMIT_PER_S, [ipaddress.ip_network("127.0.0.0/8")])
    settings = {"protocol": Protocol(), "limiter": limiter, "wire": wire}
    with serving(steered_tables(), proxied=[("127.0.7.2", 0)], **settings) as servers:
        yield servers
