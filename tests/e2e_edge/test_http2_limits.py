"""Floods over HTTP/2: the connection that floods is closed, memory stays bounded, and others are served meanwhile.

How much is sent at most is far over what Envoy takes; a flood that is never stopped fails its test.
"""

from __future__ import annotations

import asyncio
import itertools
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

from hyperframe.frame import (
    ContinuationFrame,
    DataFrame,
    Frame,
    HeadersFrame,
    PingFrame,
    PriorityFrame,
    RstStreamFrame,
    SettingsFrame,
    WindowUpdateFrame,
)

from tests.e2e_edge.conftest import DC, HOST, seen
from tests.support.http1 import load
from tests.support.http2 import Http2, http2

GET = [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/flood")]
POST = [(":method", "POST"), *GET[1:]]
MEMORY_BYTES = 64 * 1024**2
STREAMS, REFUSED_STREAM = 100, 7
RESETS_TAKEN = 1_000
"""Envoy closes a connection of which half of 500 streams were reset within a second."""
Flood = Callable[[Http2], Iterator[list[Frame]]]
"""Batches of frames, without end."""


def rapid_reset(connection: Http2) -> Iterator[list[Frame]]:
    """CVE-2023-44487."""
    for stream in itertools.count(1, 2):
        yield [get(connection, stream), RstStreamFrame(stream, 8)]


def get(connection: Http2, stream: int, flags: tuple[str, ...] = ("END_HEADERS", "END_STREAM"), fields=GET) -> Frame:
    return HeadersFrame(stream, connection.block(fields), flags=flags)


def reset_by_error(connection: Http2) -> Iterator[list[Frame]]:
    """CVE-2025-8671: the client makes the server reset."""
    for stream in itertools.count(1, 2):
        yield [get(connection, stream), WindowUpdateFrame(stream, 2**31 - 1)]


def continuations(connection: Http2) -> Iterator[list[Frame]]:
    """CVE-2024-27919 and others of April 2024: fields without end."""
    yield [get(connection, 1, flags=())]
    while True:
        yield [ContinuationFrame(1, connection.block([("x-pad", "a" * 1000)]))]


def empty_continuations(connection: Http2) -> Iterator[list[Frame]]:
    yield [get(connection, 1, flags=())]
    while True:
        yield [ContinuationFrame(1, b"")] * 100


def compressed(connection: Http2) -> Iterator[list[Frame]]:
    """A field of 4 kB, put into the table once and named by one octet ever after."""
    known = connection.block(GET)
    kept = b"\x40\x05x-bomb"[:1] + b"\x06x-bomb" + b"\x7f\x81\x1e" + b"a" * 4000
    yield [HeadersFrame(1, known + kept, flags=["END_HEADERS", "END_STREAM"])]
    for stream in itertools.count(3, 2):
        yield [HeadersFrame(stream, known + b"\xbe" * 16_000, flags=["END_HEADERS", "END_STREAM"])]


def settings(_: Http2) -> Iterator[list[Frame]]:
    """CVE-2019-9515."""
    while True:
        yield [SettingsFrame(0, settings={SettingsFrame.INITIAL_WINDOW_SIZE: 65_535})] * 500


def pings(_: Http2) -> Iterator[list[Frame]]:
    """CVE-2019-9512."""
    while True:
        yield [PingFrame(0, b"flooding")] * 500


def priorities(_: Http2) -> Iterator[list[Frame]]:
    """CVE-2019-9513."""
    while True:
        yield [PriorityFrame(1, depends_on=0, stream_weight=weight) for weight in range(100)]


def empty_data(connection: Http2) -> Iterator[list[Frame]]:
    """CVE-2019-9518."""
    yield [get(connection, 1, ("END_HEADERS",), POST)]
    while True:
        yield [DataFrame(1, b"")] * 100


def window_updates(connection: Http2) -> Iterator[list[Frame]]:
    yield [get(connection, 1, ("END_HEADERS",), POST)]
    while True:
        yield [WindowUpdateFrame(1, 1)] * 100


FLOODS: dict[Flood, int] = {
    rapid_reset: 5_000, reset_by_error: 5_000, continuations: 500, empty_continuations: 20, compressed: 50,
    settings: 3_000, pings: 3_000, priorities: 100, empty_data: 20, window_updates: 100,
}  # fmt: skip
"""Each with the batches that must not all be taken."""


async def flooded(port: int, flood: Flood, limit: int) -> int | None:
    """How many batches were sent until the edge closed the connection; None: it took them all. Nothing is read before,
    so that answers pile up."""
    number = 0
    async with http2(DC, port) as connection:
        try:
            for number, batch in enumerate(itertools.islice(flood(connection), limit)):
                connection.send(*batch)
                if number % 20 == 0:
                    await connection.drain()
                    await asyncio.sleep(0)
            async with asyncio.timeout(10):
                async for _ in connection.frames():
                    pass
        except ConnectionError:
            return number
        except TimeoutError:
            return None
    return limit


def memory_bytes(pid: int) -> int:
    fields = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
    return int(fields["VmRSS"].split()[0]) * 1024


async def test_who_floods_is_closed_and_others_are_served(stage):
    backend = stage.backend("web")
    async with stage.edge() as runner:
        routes = [{"name": "all", "split": {"web": 100}, "mirror": [{"to": "web", "percent": 100}]}]
        await runner.publish(stage.snapshot({"web": {"dc": [backend.endpoint]}}, routes))
        pid = (await runner.state())[0].pid
        assert (await stage.connection().ask("/first")).status == 200
        for flood, limit in FLOODS.items():
            before = memory_bytes(pid)
            async with load(DC, stage.port, HOST, "/other", workers=2) as others:
                sent = await flooded(stage.port, flood, limit)
                grown = memory_bytes(pid) - before
                await served(others, others.total + 20)
            assert sent is not None, f"{flood.__name__}: it took the whole flood"
            assert grown < MEMORY_BYTES, flood.__name__
            assert not others.failures, flood.__name__
        assert (await runner.state())[0].pid == pid
        passed_on = Counter(item["path"] for item in await seen(backend))["/flood"]
        assert passed_on < RESETS_TAKEN, "streams that were reset at once went on to the backend"


async def served(others, total: int) -> None:
    async with asyncio.timeout(20):
        while others.total < total:
            await asyncio.sleep(0.02)


async def test_streams_beyond_the_limit_are_refused(stage):
    """RFC 9113 section 5.1.2. What is refused may be sent again."""
    backend = stage.backend("web", delay="0.3")
    async with stage.edge() as runner:
        routes = [{"name": "all", "split": {"web": 100}}]
        await runner.publish(stage.snapshot({"web": {"dc": [backend.endpoint]}}, routes))
        async with http2(DC, stage.port) as connection:
            streams = range(1, 2 * STREAMS + 20, 2)
            connection.send(*(get(connection, stream) for stream in streams))
            ended: dict[int, int] = {}
            async for frame in connection.frames():
                if isinstance(frame, RstStreamFrame):
                    ended[frame.stream_id] = frame.error_code
                elif isinstance(frame, HeadersFrame):
                    ended[frame.stream_id] = int(connection.fields(frame)[":status"])
                if len(ended) == len(streams):
                    break
            assert connection.settings[SettingsFrame.MAX_CONCURRENT_STREAMS] == STREAMS
            assert Counter(ended.values()) == {200: STREAMS, REFUSED_STREAM: 10}


async def test_who_takes_nothing_holds_little(stage):
    """A client that opens its windows and never reads: what waits for it is bounded by buffers, not by the answers."""
    big = [*GET[:3], (":path", f"/big?size={1024**2}")]
    async with stage.edge() as runner:
        routes = [{"name": "big", "match": {"path": "/big"}, "split": {"big": 100}, "retries": 0}]
        routes += [{"name": "all", "split": {"web": 100}}]
        backends = {name: {"dc": [stage.backend(name).endpoint]} for name in ("web", "big")}
        await runner.publish(stage.snapshot(backends, routes))
        pid = (await runner.state())[0].pid
        before = memory_bytes(pid)
        async with http2(DC, stage.port, {SettingsFrame.INITIAL_WINDOW_SIZE: 0}) as connection:
            connection.send(*(get(connection, stream, fields=big) for stream in range(1, 2 * STREAMS, 2)))
            answered = 0
            async for frame in connection.frames():
                answered += isinstance(frame, HeadersFrame)
                if answered == STREAMS:
                    break
            assert memory_bytes(pid) - before < MEMORY_BYTES
            assert (await stage.connection().ask("/other")).status == 200
