"""Looks of which something got lost, against real sockets: the kernel of this machine drops the first SYN, or a server
never answers the first connection."""

import asyncio
import contextlib
import ipaddress
import socket

import pytest

from gslb.health.checks.connection import Connection
from gslb.health.checks.tools import Tools
from gslb.health.request import ask, open_session
from gslb.health.target import Result
from gslb.health.tries import REPAIR_S, Tries
from gslb.snapshot.checks import DnsAsk, HealthCheck, HttpExpect, TcpAsk
from gslb.snapshot.targets import ProbeTarget
from tests.support.odd_dns import odd_server, reply_to
from tests.unit.health.checks.peers import HOST, found, free_port, server

OK = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok"


def target(port, timeout_s, **check):
    health = HealthCheck("/", 1.0, timeout_s, 1, 1, **check)
    return ProbeTarget("shop", "dc", ipaddress.ip_address(HOST), port, "shop.test", "web", health)


@contextlib.asynccontextmanager
async def losing_the_first_syn(lasts_s):
    """A server whose accept queue is full until `lasts_s`: a SYN that comes before is dropped, and its sender's kernel
    sends it again after a second. Yields the port."""
    with contextlib.ExitStack() as stack:
        listening = stack.enter_context(socket.socket())
        listening.bind((HOST, 0))
        listening.listen(0)
        for _ in range(2):
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(listening.getsockname())
        await asyncio.sleep(0.02)
        listening.setblocking(False)

        async def serve():
            loop = asyncio.get_running_loop()
            await asyncio.sleep(lasts_s)
            while True:
                connection, _ = await loop.sock_accept(listening)
                stack.enter_context(connection)
                with contextlib.suppress(OSError):
                    await loop.sock_sendall(connection, OK)

        async with asyncio.TaskGroup() as tasks:
            serving = tasks.create_task(serve())
            yield listening.getsockname()[1]
            serving.cancel()


@contextlib.asynccontextmanager
async def deaf_to_the_first(deaf=1):
    """A server that reads the first requests and says nothing, as if they had been lost. Yields the port, and how
    many connections there were."""
    seen = []

    async def answer(reader, writer):
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        if len(seen) <= deaf:
            await reader.read()
        writer.write(OK)

    async with server(answer) as port:
        yield port, seen


async def first_good_of(four):
    """A busy machine may be late; without second tries none of four succeeds, because the kernel's own comes later."""
    for _ in range(4):
        if (result := await four()).ok:
            return result
    return result


@pytest.mark.parametrize("expect", [HttpExpect(), HttpExpect(body="ok")], ids=["head", "body"])
async def test_a_lost_syn_fails_no_look(expect):
    async def look():
        async with losing_the_first_syn(0.1) as port, open_session() as session:
            return await ask(session, target(port, 0.9, expect=expect), tries)

    tries = Tries()
    assert (await first_good_of(look)).ok
    assert tries.begun


async def test_a_lost_syn_fails_no_named_check():
    async def look():
        async with losing_the_first_syn(0.1) as port:
            return await found(TcpAsk(HOST, port, None, "200 OK"), tools, timeout_s=0.9)

    tools = Tools()
    assert (await first_good_of(look)).ok
    assert tools.tries.begun


async def test_a_lost_datagram_fails_no_named_check():
    questions = []

    def second_only(question):
        questions.append(question)
        return reply_to(question, answer=["www.example. 60 IN A 192.0.2.1"]) if len(questions) > 1 else None

    port = free_port()
    with odd_server(HOST, port, second_only):
        assert (await found(DnsAsk(HOST, port, "www.example.", "A", (), tcp=False), timeout_s=0.9)).ok
    assert len(questions) == 2


async def test_a_request_that_got_lost_is_asked_again_where_the_kernel_would_be_too_late():
    async with deaf_to_the_first() as (port, seen), open_session() as session:
        assert (await ask(session, target(port, REPAIR_S), Tries())).ok
        assert len(seen) == 2


async def test_who_is_slow_to_answer_is_asked_once():
    async with deaf_to_the_first() as (port, seen), open_session() as session:
        slow = await ask(session, target(port, 2.2 * REPAIR_S), Tries())
        assert slow == Result(False, "web: timeout after 0.55 s")
        assert len(seen) == 1


async def test_second_tries_are_bounded_and_given_back():
    tries = Tries(limit=1)
    async with deaf_to_the_first(deaf=9) as (port, seen), open_session() as session:
        for _ in range(2):
            results = await asyncio.gather(*(ask(session, target(port, 0.2), tries) for _ in range(3)))
            assert {result.reason for result in results} == {"web: timeout after 0.2 s"}
    assert (tries.begun, len(seen)) == (2, 8)


async def lost():
    await asyncio.Event().wait()


def attempts(*each):
    """An attempt that is another one each time."""
    waiting = iter(each)
    return lambda: next(waiting)()  # noqa: PLW0108 - each time another


async def refused():
    raise ConnectionRefusedError


async def test_what_the_second_says_decides_even_if_it_is_no():
    with pytest.raises(ConnectionRefusedError):
        await Tries().ask(attempts(lost, refused), 0.1, Connection())


async def test_what_the_first_says_before_that_decides():
    with pytest.raises(ConnectionRefusedError):
        await Tries().ask(attempts(refused), 0.1, Connection())


async def test_the_first_may_still_win():
    ended = []

    async def late():
        await asyncio.sleep(0.15)
        return "first"

    async def never():
        try:
            await lost()
        finally:
            ended.append("second")

    assert await Tries().ask(attempts(late, never), 0.2, Connection()) == "first"
    assert ended == ["second"]


async def test_both_in_vain_end_with_their_time():
    with pytest.raises(TimeoutError):
        await Tries().ask(attempts(lost, lost), 0.05, Connection())


async def test_who_gives_up_ends_both():
    begun = []

    async def long():
        begun.append(1)
        try:
            await lost()
        finally:
            begun.pop()

    tries = Tries(limit=1)
    async with asyncio.TaskGroup() as tasks:
        looking = tasks.create_task(tries.ask(long, 5.0, Connection()))
        while not begun:
            await asyncio.sleep(0)
        looking.cancel()
    with pytest.raises(TimeoutError):
        await tries.ask(attempts(lost, lost), 0.02, Connection())
    assert (begun, tries.begun) == ([], 1)
