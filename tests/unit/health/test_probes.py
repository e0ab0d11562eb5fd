"""Real connections to small servers on loopback. No test asserts how long something took."""

import asyncio
import contextlib
import errno
import ipaddress
import resource

import pytest

from gslb.errors import HostError
from gslb.health.probes import Prober, next_due_s
from gslb.health.request import ask, open_session
from gslb.health.target import Result
from gslb.health.tries import Tries
from gslb.snapshot.checks import HealthCheck
from gslb.snapshot.targets import ProbeTarget
from gslb.snapshot.types import LiveState

HOST = ipaddress.ip_address("127.0.7.3")
OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def target(port, backend="monolith", address=HOST, app="shop", **check):
    values = {"path": "/healthz", "interval_s": 0.02, "timeout_s": 5.0, "rise": 2, "fall": 3} | check
    return ProbeTarget(app, "dc", address, port, "shop.gslb.test", backend, HealthCheck(**values))


@contextlib.asynccontextmanager
async def server(answer, host=str(HOST), **options):
    """`answer(reader, writer, head)` serves one connection. Yields the port and the heads that arrived."""
    heads = []

    async def serve(reader, writer):
        try:
            head = await reader.readuntil(b"\r\n\r\n")
            heads.append(head.decode())
            await answer(reader, writer, head)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    listening = await asyncio.start_server(serve, host, 0, **options)
    async with listening:
        yield listening.sockets[0].getsockname()[1], heads


def saying(data):
    async def answer(_reader, writer, _head):
        writer.write(data)

    return answer


async def silence(reader, _writer, _head):
    await reader.read()


async def outcome(answer, **options):
    async with server(answer) as (port, _), open_session() as session:
        return await ask(session, target(port, **options), Tries())


def free_port():
    import socket

    with socket.socket() as probe:
        probe.bind((str(HOST), 0))
        return probe.getsockname()[1]


@contextlib.asynccontextmanager
async def running(prober):
    async with asyncio.TaskGroup() as tasks:
        task = tasks.create_task(prober.run())
        try:
            yield task
        finally:
            task.cancel()


class Changes:
    """Collects what a prober announces, and waits for a LiveState that fits."""

    def __init__(self):
        self.seen = []
        self.event = asyncio.Event()

    def __call__(self, live: LiveState):
        self.seen.append(live)
        self.event.set()

    async def until(self, wanted):
        while not (self.seen and wanted(self.seen[-1])):
            self.event.clear()
            await self.event.wait()
        return self.seen[-1]


def states(live):
    return {(app, str(address)): verdict.state for (app, address), verdict in live.verdicts.items()}


# One probe ------------------------------------------------------------------------------------------------------------


async def test_status_200_is_healthy():
    assert await outcome(saying(OK)) == Result(True, "monolith: 200")


@pytest.mark.parametrize("status", [204, 301, 404, 500, 503])
async def test_any_other_status_fails_and_redirects_are_not_followed(status):
    head = f"HTTP/1.1 {status} X\r\nlocation: /elsewhere\r\ncontent-length: 0\r\n\r\n".encode()
    assert await outcome(saying(head)) == Result(False, f"monolith: {status} from the edge")


async def test_the_request_goes_through_the_front_door():
    async with server(saying(OK)) as (port, heads), open_session() as session:
        await ask(session, target(port, path="/ready?deep=%2F1"), Tries())
        await ask(session, target(port, backend=None), Tries())
    first, second = (head.lower() for head in heads)
    assert first.startswith("get /ready?deep=%2f1 http/1.1\r\n")
    assert second.startswith("get / http/1.1\r\n")
    for line in ("host: shop.gslb.test", "x-gslb-probe: monolith", "user-agent: gslb-probe", "connection: close"):
        assert line in first.split("\r\n")
    assert "x-gslb-probe: edge" in second


async def test_a_refused_connection():
    async with open_session() as session:
        assert await ask(session, target(free_port()), Tries()) == Result(False, "edge: connect refused")


async def test_an_edge_that_accepts_and_never_answers():
    assert await outcome(silence, timeout_s=0.05) == Result(False, "monolith: timeout after 0.05 s")


async def test_a_full_accept_queue_is_a_connect_timeout():
    import socket

    with socket.socket() as stuck:
        stuck.bind((str(HOST), 0))
        stuck.listen(0)
        with contextlib.ExitStack() as stack:
            for _ in range(4):
                filler = stack.enter_context(socket.socket())
                filler.setblocking(False)
                filler.connect_ex(stuck.getsockname())
            async with open_session() as session:
                result = await ask(session, target(stuck.getsockname()[1], timeout_s=0.2), Tries())
    assert result == Result(False, "edge: connect timeout after 0.2 s")


async def test_a_slow_head_is_a_timeout_however_steadily_it_drips():
    async def drip(_reader, writer, _head):
        for octet in b"HTTP/1.1 200 OK\r\n" + b"a" * 10_000:
            writer.write(bytes([octet]))
            await asyncio.sleep(0.01)

    assert await outcome(drip, timeout_s=0.1) == Result(False, "monolith: timeout after 0.1 s")


async def test_a_slow_body_is_not_waited_for():
    async def endless(reader, writer, _head):
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n")
        await reader.read()

    assert (await outcome(endless)).ok


@pytest.mark.parametrize(
    "data",
    [
        b"\x00\xff\xfe garbage\r\n\r\n",
        b"220 mail.example.com ESMTP\r\n\r\n",
        b"HTTP/1.1 two hundred\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nx: " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 " + b"a" * 20_000 + b"\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",
    ],
    ids=["binary", "smtp", "words", "huge-header", "huge-reason", "many-headers"],
)
async def test_what_is_not_http_fails(data):
    assert await outcome(saying(data)) == Result(False, "edge: the answer is not HTTP, or its head is too large")


async def test_closing_early():
    assert await outcome(saying(b"")) == Result(False, "edge: closed without an answer")
    assert not (await outcome(saying(b"HTTP/1.1 200 OK\r\nx"))).ok


async def test_a_reset_connection():
    async def reset(_reader, writer, _head):
        writer.transport.abort()

    result = await outcome(reset)
    assert not result.ok
    assert result.reason.startswith("edge: c")


async def test_ipv6():
    address = ipaddress.ip_address("::1")
    try:
        async with server(saying(OK), host="::1") as (port, heads), open_session() as session:
            assert (await ask(session, target(port, address=address), Tries())).ok
            assert len(heads) == 1
    except OSError as error:
        if error.errno != errno.EADDRNOTAVAIL:
            raise
        pytest.skip("no IPv6 on this machine")


async def test_a_network_that_is_not_there():
    async with open_session() as session:
        result = await ask(session, target(80, address=ipaddress.ip_address("255.255.255.255"), timeout_s=0.5), Tries())
    assert not result.ok
    assert result.reason.startswith("edge: connect failed: ")


@contextlib.contextmanager
def no_more_files():
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


async def test_too_many_open_files_here_says_nothing_about_the_target():
    async with server(saying(OK)) as (port, _), open_session() as session:
        with no_more_files(), pytest.raises(HostError, match="LimitNOFILE"):
            await ask(session, target(port), Tries())
        assert (await ask(session, target(port), Tries())).ok


# Many, over and over --------------------------------------------------------------------------------------------------


async def test_the_first_round_decides_every_verdict_and_is_announced_before_it_ends():
    changes = Changes()
    prober = Prober(changes)
    async with server(saying(OK)) as (port, _):
        dead = free_port()
        prober.set_targets([target(port), target(dead, app="blog")])
        assert states(changes.seen[-1]) == {("shop", "127.0.7.3"): "unknown", ("blog", "127.0.7.3"): "unknown"}
        async with running(prober):
            assert await prober.first_round()
            assert states(changes.seen[-1]) == {("shop", "127.0.7.3"): "up", ("blog", "127.0.7.3"): "down"}
            assert prober.live.verdicts["blog", HOST].reason == "edge: connect refused"
            assert prober.running
    assert not prober.running


async def test_without_targets_the_first_round_is_over_at_once():
    prober = Prober(lambda _live: None)
    prober.set_targets([])
    assert await prober.first_round()


async def test_targets_that_stay_are_neither_asked_anew_nor_waited_for():
    prober = Prober(lambda _live: None)
    async with server(saying(OK)) as (port, heads), running(prober):
        prober.set_targets([target(port, interval_s=60.0)])
        assert await prober.first_round()
        live = prober.live
        prober.set_targets([target(port, interval_s=60.0)])
        assert await prober.first_round()
        assert (len(heads), prober.live) == (1, live)
        prober.set_targets([target(port, interval_s=50.0)])
        assert await prober.first_round()
        while len(heads) < 2:
            await asyncio.sleep(0.01)


async def test_the_first_round_gives_up_when_nobody_probes():
    prober = Prober(lambda _live: None)
    prober.set_targets([target(9, timeout_s=0.05)])
    assert not await prober.first_round()


async def test_a_dying_and_reviving_backend_flips_after_fall_and_rise():
    alive = asyncio.Event()
    alive.set()

    async def answer(_reader, writer, _head):
        writer.write(OK if alive.is_set() else b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n")

    changes = Changes()
    prober = Prober(changes)
    async with server(answer) as (port, heads), running(prober):
        prober.set_targets([target(port)])
        await changes.until(lambda live: states(live) == {("shop", "127.0.7.3"): "up"})
        up, asked = changes.seen[-1], len(heads)
        alive.clear()
        down = await changes.until(lambda live: states(live) == {("shop", "127.0.7.3"): "down"})
        assert down.verdicts["shop", HOST].reason == "monolith: 503 from the edge"
        assert len(heads) - asked >= 3
        asked = len(heads)
        alive.set()
        await changes.until(lambda live: states(live) == {("shop", "127.0.7.3"): "up"})
        assert len(heads) - asked >= 2
    counters = [live.counter for live in changes.seen]
    assert counters == sorted(set(counters))
    assert up.verdicts["shop", HOST].state == "up"


async def test_a_target_that_hangs_does_not_delay_another_and_has_one_probe_in_flight():
    changes = Changes()
    prober = Prober(changes)
    async with server(silence) as (stuck, hung), server(saying(OK)) as (port, heads), running(prober):
        prober.set_targets([target(stuck, app="slow"), target(port)])
        while len(heads) < 10:
            await asyncio.sleep(0.005)
        assert len(hung) == 1
        assert states(prober.live)["slow", "127.0.7.3"] == "unknown"


async def test_at_most_so_many_in_flight_and_the_others_get_their_turn():
    busy, most = 0, 0

    async def count(_reader, writer, _head):
        nonlocal busy, most
        busy += 1
        most = max(most, busy)
        await asyncio.sleep(0.01)
        busy -= 1
        writer.write(OK)

    prober = Prober(lambda _live: None, max_in_flight=3)
    async with server(count) as (port, _), running(prober):
        prober.set_targets([target(port, app=f"app{n}") for n in range(30)])
        assert await prober.first_round()
    assert 1 < most <= 3


async def test_targets_that_stay_keep_their_health_and_those_that_leave_are_forgotten():
    changes = Changes()
    prober = Prober(changes)
    async with server(saying(OK)) as (port, _heads), running(prober):
        prober.set_targets([target(port, interval_s=60.0), target(port, app="gone")])
        assert await prober.first_round()
        prober.set_targets([target(port, interval_s=60.0), target(port, app="new", timeout_s=4.0)])
        assert states(prober.live) == {("shop", "127.0.7.3"): "up", ("new", "127.0.7.3"): "unknown"}
        assert not prober._round_done.is_set()
        assert await prober.first_round()
        assert states(changes.seen[-1]) == {("shop", "127.0.7.3"): "up", ("new", "127.0.7.3"): "up"}


async def test_a_changed_check_is_used_at_once_and_keeps_the_health():
    prober = Prober(lambda _live: None)
    async with server(saying(OK)) as (port, heads), running(prober):
        prober.set_targets([target(port, interval_s=3600.0)])
        assert await prober.first_round()
        prober.set_targets([target(port, interval_s=3600.0, path="/new")])
        assert states(prober.live) == {("shop", "127.0.7.3"): "up"}
        while not heads[-1].startswith("GET /new "):
            await asyncio.sleep(0.005)


async def test_the_result_of_a_target_that_left_meanwhile_is_dropped():
    asked, go = asyncio.Event(), asyncio.Event()

    async def hold(_reader, writer, _head):
        asked.set()
        await go.wait()
        writer.write(OK)

    prober = Prober(lambda _live: None)
    async with server(hold) as (port, _), running(prober):
        prober.set_targets([target(port)])
        await asked.wait()
        prober.set_targets([])
        go.set()
        while prober.pulse.in_flight:
            await asyncio.sleep(0.005)
        assert prober.live.verdicts == {}


async def test_an_unexpected_error_is_a_failed_probe_with_its_name():
    prober = Prober(lambda _live: None)
    async with running(prober):
        prober.set_targets([target(-1), target(free_port(), app="next")])
        assert await prober.first_round()
        assert prober.live.verdicts["shop", HOST].reason.startswith("edge: ")
        assert states(prober.live) == {("shop", "127.0.7.3"): "down", ("next", "127.0.7.3"): "down"}


async def test_a_machine_without_files_left_takes_nobody_out(capsys):
    prober = Prober(lambda _live: None)
    async with server(saying(OK)) as (port, _), running(prober):
        prober.set_targets([target(port)])
        assert await prober.first_round()
        with no_more_files():
            while prober.counts["not_asked"] < 5:
                await asyncio.sleep(0.005)
        assert states(prober.live) == {("shop", "127.0.7.3"): "up"}
        assert prober.counts["failed"] == 0
    assert capsys.readouterr().out.count("probes cannot be made") == 1


async def test_what_on_change_raises_ends_the_run_visibly_and_is_told_again_after_a_restart():
    told = []

    def refuse_once(live):
        told.append(states(live))
        if len(told) == 2:
            raise ValueError("tables")

    prober = Prober(refuse_once)
    async with server(saying(OK)) as (port, _):
        prober.set_targets([target(port)])
        with pytest.raises(ExceptionGroup):
            await prober.run()
        assert not prober.running
        async with running(prober):
            assert await prober.first_round()
    assert told[1] == told[2] == {("shop", "127.0.7.3"): "up"}


async def test_an_edge_watched_at_several_backends_is_down_with_the_one_that_fails():
    async def answer(_reader, writer, head):
        writer.write(
            OK if b"x-gslb-probe: monolith" in head.lower() else b"HTTP/1.1 503 X\r\ncontent-length: 0\r\n\r\n"
        )

    prober = Prober(lambda _live: None)
    async with server(answer) as (port, _), running(prober):
        prober.set_targets([target(port), target(port, backend="checkout")])
        assert await prober.first_round()
    assert prober.live.verdicts["shop", HOST].reason == "checkout: 503 from the edge"


def test_next_due_stays_within_a_tenth_of_the_interval_and_never_before_the_end():
    assert next_due_s(100.0, 100.1, 10.0, 0.0) == pytest.approx(109.0)
    assert next_due_s(100.0, 100.1, 10.0, 1.0) == pytest.approx(111.0)
    assert next_due_s(100.0, 130.0, 10.0, 0.5) == 130.0
