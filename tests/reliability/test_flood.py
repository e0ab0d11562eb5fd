"""A flood of random names from forged sources, larger than the receive buffer: of what is read, the honest client with a
good cookie is answered, and when it is over everything is as before. The large one is `make flood`."""

import random
import socket

import dns.edns
import dns.message
import pytest

from bench.amplification import ZONE, zone
from gslb import clock
from gslb.dns import native
from gslb.dns.cookies import stamp
from gslb.dns.protocol import Protocol
from gslb.dns.ratelimit import Limiter
from tests.conformance.conftest import serving

SECRET, CLIENT = bytes(range(16)), b"honestly"
HONEST = "127.0.7.46"
SOURCES, BURST, ROUNDS = 32, 3000, 10
SETTLE_S = 0.5


def honest_query():
    cookie = stamp((SECRET,), CLIENT, socket.inet_aton(HONEST), clock.wall_s()).cookie
    return dns.message.make_query(f"shop.{ZONE}", "A", options=[dns.edns.GenericOption(10, cookie)]).to_wire()


def opened(server, address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.bind((address, 0))
    sock.connect((server.host, server.port))
    sock.settimeout(SETTLE_S)
    return sock


def replies(sock):
    """What has arrived, and arrives while there is more to come."""
    found = []
    try:
        while True:
            found.append(sock.recv(1232))
    except TimeoutError:
        return found


@pytest.mark.parametrize("wire", ["python", *(["native"] if native.available() else [])])
def test_of_what_is_read_the_honest_are_answered_and_then_all_is_normal(wire):
    numbers = random.Random(1)
    names = [f"{numbers.getrandbits(64):x}.{ZONE}" for _ in range(BURST)]
    flood = [dns.message.make_query(name, "A").to_wire() for name in names]
    settings = {"protocol": Protocol(cookie_secrets=(SECRET,)), "limiter": Limiter(5), "wire": wire}
    with serving(zone(signed=False), **settings) as (server,):
        forged = [opened(server, f"127.{100 + place}.1.1") for place in range(SOURCES)]
        client, query = opened(server, HONEST), honest_query()
        for _ in range(ROUNDS):
            for place, packet in enumerate(flood):
                forged[place % SOURCES].send(packet)
            client.send(query)
        answered = replies(client)
        counts = server.counts()
        assert len(answered) == counts["cookies_good"] > 0
        assert counts["limited"] > BURST
        assert all(reply[3] & 0xF == 0 and reply[7] == 1 for reply in answered)
        for _ in range(100):
            client.send(query)
            assert client.recv(1232)[7] == 1
        assert "failed" not in server.counts()
        for sock in (client, *forged):
            sock.close()
