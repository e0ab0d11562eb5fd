"""Which wire serves, and what only the native one does: batches, and counters of its own."""

import asyncio
import dataclasses
import os
import random
import signal
import socket
import subprocess
import sys

import dns.message
import pytest
import structlog.testing

from gslb.dns import native
from gslb.dns.compose import compose, recompile
from gslb.dns.lanes import Lanes
from gslb.dns.listening import bind_all
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


def test_how_many_threads():
    assert native.thread_count("python", None) == native.thread_count("python", 0) == 0
    assert native.thread_count("native", None) == len(os.sched_getaffinity(0))
    assert [native.thread_count("native", asked) for asked in (0, 3)] == [0, 3]
    with pytest.raises(HostError, match="4 DNS threads were asked for") as caught:
        native.thread_count("python", 4)
    assert "--wire native" in caught.value.remedy


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


@pytest.fixture(params=[0, 1, 2])
def threads(request):
    return request.param


async def serve(tables, **settings):
    responder = Responder(wire="native", **settings)
    await responder.open([("127.0.7.18", 0)])
    responder.publish(tables)
    return responder


@built
async def test_plain_and_other_packets_of_one_batch_are_all_answered_and_counted_once(threads):
    responder = await serve(compose(policy(), LiveState()), threads=threads)
    plain = [query(id=number) for number in range(150)]
    other = [query(qtype="ANY", id=1000 + number) for number in range(100)]
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
async def test_draws_by_answer_have_their_weights(threads):
    """2,000 draws of 80 to 20: outside of 5 standard deviations once in 1.7 million runs."""
    responder = await serve(compose(policy(), LiveState()), threads=threads)
    replies = []
    for _ in range(10):
        replies += await collect(responder.addresses()[0], [query(id=number) for number in range(200)])
    await responder.close()
    first = sum(b"\xc0\x00\x02\x0a" in reply for reply in replies)
    assert abs(first - 1600) < 5 * (2000 * 0.8 * 0.2) ** 0.5


@built
async def test_the_limiter_is_one_for_packets_of_c_and_of_python(threads):
    responder = await serve(compose(policy(), LiveState()), limiter=Limiter(20), threads=threads)
    packets = [query(id=number) for number in range(30)]
    packets += [query(qtype="ANY", id=100 + number) for number in range(30)]
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


# Threads ------------------------------------------------------------------------------------------------------------------


def ask(sock, packet):
    sock.send(packet)
    return dns.message.from_wire(sock.recv(4096))


def connected(address):
    sock = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    sock.settimeout(TIMEOUT_S)
    sock.connect(address)
    return sock


@built
async def test_tables_are_replaced_under_load_without_a_lost_query(threads):
    """Eight clients ask as fast as they can while 300 tables follow one another; what is answered is never older than
    what was published before the question."""
    tables = [compose(policy(shop=app(weighted(**{site: 1}))), LiveState()) for site in ("dc", "aws")]
    given = [b"\xc0\x00\x02\x0a", b"\xc6\x33\x64\x14"]
    responder = await serve(tables[0], threads=threads)
    stopped = False

    def hammer(number):
        asked = 0
        with connected(responder.addresses()[0]) as sock:
            while not stopped:
                reply = ask(sock, query(id=number))
                assert reply.answer[0][0].address in ("192.0.2.10", "198.51.100.20")
                asked += 1
        return asked

    clients = [asyncio.create_task(asyncio.to_thread(hammer, number)) for number in range(8)]  # noqa: TID251
    loop = asyncio.get_running_loop()
    with connected(responder.addresses()[0]) as sock:
        for number in range(300):
            responder.publish(tables[number % 2])
            sock.send(query(id=number))
            sock.setblocking(False)
            assert given[number % 2] in await loop.sock_recv(sock, 4096)
    stopped = True
    asked = sum(await asyncio.gather(*clients))
    assert responder.counts()["queries_udp"] == responder.counts()["responses_noerror"] == asked + 300
    await responder.close()


@built
async def test_threads_answer_while_the_event_loop_is_busy():
    responder = await serve(compose(policy(), LiveState()), threads=2)
    for _ in range(20):  # nothing is awaited here, so that the loop has no turn
        with connected(responder.addresses()[0]) as sock:
            assert ask(sock, query()).answer
    assert responder.counts()["queries_udp"] == 20
    await responder.close()


@built
async def test_what_python_cannot_keep_up_with_is_dropped_and_counted_and_c_goes_on():
    responder = await serve(compose(policy(), LiveState()), threads=1)
    with connected(responder.addresses()[0]) as sock:
        for _ in range(100_000):
            sock.send(query(qtype="ANY"))
            if responder.counts().get("dropped"):
                break
        dropped = responder.counts()["dropped"]
        assert dropped > 0
    with connected(responder.addresses()[0]) as sock:
        assert ask(sock, query()).answer
    await responder.close()
    counts = responder.counts()
    assert counts["queries_udp"] == counts["dropped"] + counts["responses_noerror"]


@built
async def test_on_all_addresses_and_several_sockets():
    responder = Responder(wire="native", threads=3)
    await responder.open([("0.0.0.0", 0), ("::1", 0)])
    responder.publish(compose(policy(), LiveState()))
    (_, port), (_, port6) = responder.addresses()
    for _ in range(12):
        with connected(("127.0.7.19", port)) as sock:
            assert ask(sock, query()).answer
        with socket.socket(socket.AF_INET6, socket.SOCK_DGRAM) as sock:
            sock.settimeout(TIMEOUT_S)
            sock.connect(("::1", port6))
            assert ask(sock, query()).answer
    await responder.close()


@built
async def test_an_address_that_another_process_shares_out_is_in_use():
    """SO_REUSEPORT must not let a second server take half of the queries without a word."""
    responder = await serve(compose(policy(), LiveState()), threads=2)
    (address,) = responder.addresses()
    with pytest.raises(HostError, match="another program has it"):
        bind_all([address], (), 2)
    await responder.close()
    for listener in bind_all([address], (), 2):
        listener.close()


@built
@pytest.mark.parametrize("end", [OSError("out of memory"), 9], ids=["an exception", "an error of the kernel"])
async def test_a_thread_that_ends_is_told_and_its_sockets_are_served_all_the_same(end):
    from gslb.dns._wire import Datagrams

    class Broken(Datagrams):
        def attend(self, lane, fds):
            if lane:
                return super().attend(lane, fds)
            if isinstance(end, int):
                return end
            raise end

    tables = compose(policy(), LiveState())
    responder = await serve(tables, threads=2)
    await responder.close()
    lanes = Lanes(Broken(lambda *_: None, None, random.getrandbits(64), lanes=2), 2)
    datagrams = lanes._datagrams
    datagrams.publish(tables)
    listeners = bind_all([("127.0.7.18", 0)], (), 2)
    with structlog.testing.capture_logs() as lines:
        lanes.open(listeners)
        async with asyncio.timeout(TIMEOUT_S):
            while not lines:
                await asyncio.sleep(0.01)
    assert [(line["log_level"], line["lane"]) for line in lines] == [("error", 0)]
    for _ in range(12):
        await collect((listeners[0].host, listeners[0].port), [query()])
    assert lanes.counts() == {"queries_udp": 12, "responses_noerror": 12, "threads_lost": 1}
    lanes.close()
    lanes.close()
    listeners[0].close()


ENDLESS = """
import asyncio, signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # ignored where the tests run in the background
from gslb.dns.compose import compose
from gslb.dns.responder import Responder
from gslb.snapshot.types import LiveState
from tests.unit.dns.test_native import policy

async def main():
    responder = Responder(wire="native", threads=2)
    await responder.open([("127.0.7.18", 0)])
    responder.publish(compose(policy(), LiveState()))
    print("open", flush=True)
    await asyncio.Event().wait()

asyncio.run(main())
"""


@built
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_process_ends_at_once_whatever_its_threads_do(number):
    """Nobody has closed the responder: threads that wait must not hold the process."""
    command, pipe = [sys.executable, "-c", ENDLESS], subprocess.PIPE
    with subprocess.Popen(command, stdout=pipe, stderr=pipe) as process:
        assert process.stdout.readline() == b"open\n"
        process.send_signal(number)
        _, said = process.communicate(timeout=TIMEOUT_S)
    assert process.returncode == -number
    assert b"Fatal" not in said
