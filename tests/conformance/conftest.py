"""A responder on loopback for the whole session; `GSLB_CONFORMANCE_SERVER=ADDRESS:PORT` asks another server instead,
which must serve `zone.ZONE_FILE`."""

import asyncio
import os
import threading
from typing import NamedTuple

import dns.message
import dns.query
import pytest

from gslb.dns.responder import Responder
from tests.conformance.zone import APEX, tables

TIMEOUT_S = 10


class Server(NamedTuple):
    host: str
    port: int

    def udp(self, message, **more):
        return dns.query.udp(message, self.host, TIMEOUT_S, self.port, **more)

    def tcp(self, message, **more):
        return dns.query.tcp(message, self.host, TIMEOUT_S, self.port, **more)

    def ask(self, name, qtype, **more):
        """One query over UDP; dnspython checks id, question and source address."""
        return self.udp(dns.message.make_query(f"{name}.{APEX}" if name else APEX, qtype, **more))


@pytest.fixture(scope="session")
def server():
    elsewhere = os.environ.get("GSLB_CONFORMANCE_SERVER")
    if elsewhere:
        host, _, port = elsewhere.rpartition(":")
        yield Server(host, int(port))
        return
    started, address, loop, stop = threading.Event(), [], asyncio.new_event_loop(), asyncio.Event()

    async def serve():
        responder = Responder()
        await responder.open([("127.0.7.1", 0)])
        responder.publish(tables())
        address.extend(responder.addresses())
        started.set()
        await stop.wait()
        await responder.close()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(TIMEOUT_S)
    yield Server(*address[0])
    loop.call_soon_threadsafe(stop.set)
    thread.join()
    loop.close()
