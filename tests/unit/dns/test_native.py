"""Which wire serves, and what only the native one does: batches, and counters of its own."""

import asyncio
import dataclasses
import socket

import dns.message
import pytest

from gslb.dns import native
from gslb.dns.compose import compose, recompile
from gslb.dns.ratelimit import Limiter
from gslb.dns.responder import Responder
from gslb.dns.tables import Peer
from gslb.dns.wire import answer
from gslb.errors import HostError
from gslb.snapshot.types import LiveState
from tests.unit.dns.policies import APEX, app, down, snapshot, weighted

TIMEOUT_S = 10
PEER = Peer(bytes([192, 0, 2, 1]))

built = pytest.mark.skipif(not native.available(), reason="the native wire was not built")


def query(name="shop", qtype="A", **more):
    return dns.message.make_query(f"{name}.{APEX}", qtype, **more).to_wire()


def policy(**apps):
    return snapshot(apps or {"shop": app("healthy", weighted("answer", dc=80, aws=20))})


@pytest.mark.parametrize(
    ("asked", "there", "chosen"),
    [("auto", True, "native"), ("auto", False, "python"), ("native", True, "native"), ("python", True, "python")],
)
def test_the_choice(monkeypatch, asked, there, chosen):
    monkeypatch.setattr(native, "available", lambda: there)
    assert native.choose(asked) == chosen


def test_asked_for_and_not_built_is_an_error_with_a_remedy(monkeypatch):
    monkeypatch.setattr(native, "_MODULE", "gslb.dns._nowhere")
    with pytest.raises(HostError, match="is not built") as caught:
        native.choose("native")
    assert "gcc" in caught.value.remedy
    assert "--wire python" in caught.value.remedy


async def collect(address, packets):
    """Send all at once; the replies, in any order."""
    loop = asyncio.get_running_loop()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
        for packet in packets:
            sock.sendto(packet, address)
        async with asyncio.timeout(TIMEOUT_S):
            return [await loop.sock_recv(sock, 4096) for _ in packets]


async def serve(tables, **settings):
    responder = Responder(wire="native", **settings)
    await responder.open([("127.0.7.18", 0)])
    responder.publish(tables)
    return responder


@built
async def test_plain_and_other_packets_of_one_batch_are_all_answered_and_counted_once():
    responder = await serve(compose(policy(), LiveState()))
    plain = [query(id=number) for number in range(150)]
    other = [query(id=1000 + number, options=[dns.edns.NSIDOption(b"")]) for number in range(100)]
    nowhere = [query("nowhere", id=2000 + number) for number in range(50)]
    mixed = [packet for three in zip(plain, other, nowhere, strict=False) for packet in three]
    rest = plain[50:] + other[50:]
    replies = await collect(responder.addresses()[0], mixed + rest)
    await responder.close()
    assert sorted(dns.message.from_wire(reply).id for reply in replies) == sorted(
        [*range(150), *range(1000, 1100), *range(2000, 2050)]
    )
    counts = responder.counts()
    assert (counts["queries_udp"], counts["responses_noerror"], counts["responses_nxdomain"]) == (300, 250, 50)


@built
async def test_draws_by_answer_have_their_weights():
    """2,000 draws of 80 to 20: outside of 5 standard deviations once in 1.7 million runs."""
    responder = await serve(compose(policy(), LiveState()))
    replies = []
    for _ in range(10):
        replies += await collect(responder.addresses()[0], [query(id=number) for number in range(200)])
    await responder.close()
    first = sum(b"\xc0\x00\x02\x0a" in reply for reply in replies)
    assert abs(first - 1600) < 5 * (2000 * 0.8 * 0.2) ** 0.5


@built
async def test_the_limiter_is_one_for_plain_packets_and_others():
    responder = await serve(compose(policy(), LiveState()), limiter=Limiter(20))
    packets = [query(id=number) for number in range(30)]
    packets += [query(id=100 + number, options=[dns.edns.NSIDOption(b"")]) for number in range(30)]
    replies = await collect(responder.addresses()[0], packets)
    await responder.close()
    answered = [reply for reply in replies if dns.message.from_wire(reply).answer]
    assert 20 <= len(answered) <= 25, "a burst of 20, and what the time of the test allows"
    assert responder.counts()["limited"] == 60 - len(answered)


@built
def test_pools_that_did_not_change_are_not_prepared_anew():
    """What that saves is time; what must hold is that nothing old is answered."""
    from gslb.dns._wire import Prepared
    from gslb.dns._wire import answer as native_answer

    first = app({"priority": ["dc", "aws"]}, "healthy", {"first": 1}, hosts=["shop"])
    given = policy(shop=first, other={**first, "hosts": ["other"]})
    before = compose(given, LiveState())
    after = recompile(before, given, down("192.0.2.10"))
    prepared = Prepared(before)
    for tables in (after, dataclasses.replace(after, wall_offset_s=9.0), before):
        prepared = Prepared(tables, prepared)
        assert prepared.tables is tables
        for name in ("shop", "other"):
            packet = query(name, id=1)
            assert native_answer(prepared, packet, PEER, 0.0, 0) == answer(tables, packet, PEER, 0.0, 0)
    assert answer(before, query(id=1), PEER, 0.0, 0) != answer(after, query(id=1), PEER, 0.0, 0)
