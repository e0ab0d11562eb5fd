"""The small client of heads says of every answer what aiohttp says of it, and holds its limits."""

import asyncio
import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gslb.health.failures import failed
from gslb.health.http1 import Door, Head, NotHttpError, first_head, head_of, request_octets
from gslb.health.request import Request, open_session, whole_answer

HOST = "127.0.7.5"
REQUEST = Request("GET", "/healthz?a=%2F", "shop.gslb.test", (("x-a", "b"),))


@contextlib.asynccontextmanager
async def server(*pieces):
    seen = []

    async def serve(reader, writer):
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            seen.append(await reader.readuntil(b"\r\n\r\n"))
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0.005)
        writer.close()

    listening = await asyncio.start_server(serve, HOST, 0)
    async with listening:
        yield listening.sockets[0].getsockname()[1], seen


async def both(*pieces):
    """What each says: a status and headers, or the reason why not."""
    told = []
    async with server(*pieces) as (port, _), open_session() as session:
        octets = request_octets(REQUEST.method, REQUEST.target, REQUEST.host, REQUEST.headers)
        for ask in (
            lambda: first_head(Door(HOST, port), octets, lambda: None),
            lambda: whole_answer(session, Door(HOST, port), REQUEST, 100, lambda: None),
        ):
            try:
                async with asyncio.timeout(5):
                    answer = await ask()
                told.append((answer.status, answer.headers))
            except Exception as error:
                told.append(failed("x", error, connected=True).reason)
    return told


GOOD = [
    (b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nX-A:  b \r\n\r\nok",),
    (b"HTTP/1.0 503 \r\n\r\n",),
    (b"HTTP/1.1 204 No Content\r\n\r\n",),
    (b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",),
    (b"HT", b"TP/1.1 2", b"00 OK\r\ncontent-le", b"ngth: 0\r\n\r", b"\n"),
    (b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n",),
    (b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n", b"HTTP/1.1 404 X\r\ncontent-length: 0\r\n\r\n"),
    (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 8000 + b"\r\ncontent-length: 0\r\n\r\n",),
    (b"HTTP/1.1 200 OK\r\nset-cookie: a=1\r\nset-cookie: b=2\r\ncontent-length: 0\r\n\r\n",),
    (b"HTTP/1.1 599 X\r\ncontent-length: 0\r\n\r\n",),
]
BAD = [
    (b"",),
    (b"HTTP/1.1 200 OK\r\nx: y",),
    (b"\x00\xff\xfe garbage\r\n\r\n",),
    (b"220 mail.example.com ESMTP\r\n\r\n",),
    (b"HTTP/1.1 two hundred\r\n\r\n",),
    (b"HTTP/1.1 200 OK\r\nno colon\r\n\r\n",),
    (b"HTTP/1.1 200 OK\r\nx: " + b"a" * 20_000 + b"\r\n\r\n",),
    (b"HTTP/1.1 200 " + b"a" * 20_000 + b"\r\n\r\n",),
    (b"HTTP/1.1 200 OK\r\n" + b"x: y\r\n" * 100_000 + b"\r\n",),
]


@pytest.mark.parametrize("pieces", GOOD, ids=lambda pieces: pieces[0][:24].decode("latin-1"))
async def test_good_answers(pieces):
    ours, theirs = await both(*pieces)
    assert ours == theirs
    assert isinstance(ours, tuple)


@pytest.mark.parametrize("pieces", BAD, ids=lambda pieces: repr(pieces[0][:24]))
async def test_bad_answers(pieces):
    ours, theirs = await both(*pieces)
    assert isinstance(ours, str)
    assert isinstance(theirs, str)


def test_another_version_is_refused_where_aiohttp_would_take_it():
    with pytest.raises(NotHttpError):
        head_of(b"HTTP/2.0 200 OK")


async def test_what_is_sent():
    async with server(b"HTTP/1.1 200 OK\r\n\r\n") as (port, seen):
        octets = request_octets("POST", "/a?b", "h.example", (("x-a", "b"),))
        assert (await first_head(Door(HOST, port), octets, lambda: None)).first("x") is None
    assert seen == [
        b"POST /a?b HTTP/1.1\r\nhost: h.example\r\nx-a: b\r\ncontent-length: 0\r\nconnection: close\r\n\r\n"
    ]


@given(st.binary(max_size=200))
def test_any_octets_are_a_head_or_refused(octets):
    with contextlib.suppress(NotHttpError):
        assert 100 <= head_of(octets).status <= 999


FIELDS = st.lists(st.tuples(st.from_regex(r"[a-z][a-z0-9-]{0,10}", fullmatch=True),
                            st.from_regex(r"([!-~]([ -~]{0,10}[!-~])?)?", fullmatch=True)), max_size=5)  # fmt: skip


@given(st.integers(200, 599), FIELDS)
def test_every_head_that_is_written_is_read_back(status, fields):
    lines = [f"HTTP/1.1 {status} Word", *(f"{name}: {value}" for name, value in fields)]
    assert head_of("\r\n".join(lines).encode()) == Head(status, tuple(fields))
