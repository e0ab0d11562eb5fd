"""No request smuggling: whatever a client writes, backend and mirror see no request that it did not send.

Requests are counted at the upstream, in the octets that arrived there, under four readings of them: the proper one and
three lax ones. What must not come through as a request of its own is `/smuggled`.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools

import pytest

from tests.e2e_edge.conftest import DC, HOST, eventually
from tests.support.http2 import http2
from tests.support.recorder import READINGS, Recorder

SMUGGLED = b"GET /smuggled HTTP/1.1\r\nhost: shop.gslb.test\r\n\r\n"
HIDDEN = b"0\r\n\r\n" + SMUGGLED
CHUNKED = b"transfer-encoding: chunked\r\n"
OK_BODY = b"5\r\nhello\r\n0\r\n\r\n"


def post(fields: bytes, body: bytes, line: bytes = b"POST /sent HTTP/1.1", host: bytes = b"host: shop.gslb.test\r\n"):
    return line + b"\r\n" + host + fields + b"\r\n" + body


def length(body: bytes) -> bytes:
    return b"content-length: %d\r\n" % len(body)


REFUSED = {
    "CL.TE": post(length(HIDDEN) + CHUNKED, HIDDEN),
    "TE.CL": post(CHUNKED + b"content-length: 4\r\n", b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    "TE.TE, identity last": post(CHUNKED + b"transfer-encoding: identity\r\n", HIDDEN),
    "TE.TE, identity first": post(b"transfer-encoding: identity\r\n" + CHUNKED, HIDDEN),
    "chunked, identity in one": post(b"transfer-encoding: chunked, identity\r\n", HIDDEN),
    "chunked twice": post(b"transfer-encoding: chunked, chunked\r\n", HIDDEN),
    "unknown coding": post(b"transfer-encoding: xchunked\r\n", HIDDEN),
    "quoted coding": post(b'transfer-encoding: "chunked"\r\n', HIDDEN),
    "coding with a control octet": post(b"transfer-encoding: \x0bchunked\r\n", HIDDEN),
    "space before the colon": post(b"transfer-encoding : chunked\r\n" + length(HIDDEN), HIDDEN),
    "tab before the colon": post(b"transfer-encoding\t: chunked\r\n" + length(HIDDEN), HIDDEN),
    "underscore for a hyphen": post(b"transfer_encoding: chunked\r\n" + length(HIDDEN), HIDDEN),
    "underscore in content_length": post(b"content_length: 5\r\n" + length(HIDDEN), HIDDEN),
    "NUL in a value": post(b"x: a\x00b\r\n" + length(HIDDEN), HIDDEN),
    "NUL in a name": post(b"x\x00: a\r\n" + length(HIDDEN), HIDDEN),
    "space in a name": post(b"x transfer-encoding: chunked\r\n" + length(HIDDEN), HIDDEN),
    "no name": post(b": chunked\r\n" + length(HIDDEN), HIDDEN),
    "no colon": post(b"transfer-encoding chunked\r\n" + length(HIDDEN), HIDDEN),
    "space before the first field": post(b" transfer-encoding: chunked\r\n" + length(HIDDEN), HIDDEN, host=b""),
    "lengths that differ": post(b"content-length: 0\r\n" + length(SMUGGLED), SMUGGLED),
    "lengths in one that differ": post(b"content-length: 0, %d\r\n" % len(SMUGGLED), SMUGGLED),
    "length with a sign": post(b"content-length: +5\r\n", b"hello" + SMUGGLED),
    "length below zero": post(b"content-length: -1\r\n", SMUGGLED),
    "length in hexadecimals": post(b"content-length: 0x5\r\n", b"hello" + SMUGGLED),
    "length with a space": post(b"content-length: 5 5\r\n", b"hello" + SMUGGLED),
    "length that overflows": post(b"content-length: 18446744073709551621\r\n", b"hello" + SMUGGLED),
    "empty length": post(b"content-length:\r\n", SMUGGLED),
    "chunk size with 0x": post(CHUNKED, b"0x5\r\nhello\r\n0\r\n\r\n"),
    "chunk size below zero": post(CHUNKED, b"-1\r\nhello\r\n0\r\n\r\n"),
    "chunk size that overflows": post(CHUNKED, b"10000000000000005\r\nhello\r\n0\r\n\r\n"),
    "no chunk size": post(CHUNKED, b"\r\nhello\r\n0\r\n\r\n"),
    "chunk longer than its size": post(CHUNKED, b"3\r\nhello\r\n0\r\n\r\n"),
    "chunk size before a bare CR": post(CHUNKED, b"5\rhello\r\n0\r\n\r\n"),
    "coding in HTTP/1.0": post(CHUNKED + length(HIDDEN), HIDDEN, line=b"POST /sent HTTP/1.0"),
    "two hosts": post(b"host: other.gslb.test\r\n", b""),
    "no host": post(b"content-length: 0\r\n", b"", host=b""),
    "host with a path": post(length(b""), b"", host=b"host: shop.gslb.test/smuggled\r\n"),
    "host with a user": post(length(b""), b"", host=b"host: x@shop.gslb.test\r\n"),
    "host with a space": post(length(b""), b"", host=b"host: shop.gslb.test smuggled\r\n"),
    "two versions": post(b"", b"", line=b"GET /sent HTTP/1.1 HTTP/1.1"),
    "version 2.0": post(b"", b"", line=b"GET /sent HTTP/2.0"),
    "no version": b"GET /sent\r\n\r\n",
    "slash in disguise": post(b"", b"", line=b"GET /sent%2f..%2fsmuggled HTTP/1.1"),
    "NUL in disguise": post(b"", b"", line=b"GET /sent%00 HTTP/1.1"),
    "CONNECT": post(b"", SMUGGLED, line=b"CONNECT shop.gslb.test:80 HTTP/1.1"),
}
"""Nothing of it reaches the upstream."""

LEGITIMATE = {
    "body that looks like a request": post(length(SMUGGLED), SMUGGLED),
    "the same in chunks": post(CHUNKED, b"%x\r\n%s\r\n0\r\n\r\n" % (len(SMUGGLED), SMUGGLED)),
    "GET with such a body": post(length(SMUGGLED), SMUGGLED, line=b"GET /sent HTTP/1.1"),
    "HEAD with such a body": post(length(SMUGGLED), SMUGGLED, line=b"HEAD /sent HTTP/1.1"),
    "OPTIONS with such a body": post(length(SMUGGLED), SMUGGLED, line=b"OPTIONS /sent HTTP/1.1"),
    "100-continue": post(b"expect: 100-continue\r\n" + length(SMUGGLED), SMUGGLED),
    "chunk extensions": post(CHUNKED, b'5;a=1;b="0\\"c"\r\nhello\r\n0\r\n\r\n'),
    "chunk size with noughts before": post(CHUNKED, b"0005\r\nhello\r\n0\r\n\r\n"),
    "trailer that frames": post(CHUNKED, b"5\r\nhello\r\n0\r\ncontent-length: 50\r\ntransfer-encoding: x\r\n\r\n"),
    "coding in capitals": post(b"Transfer-Encoding: Chunked\r\n", OK_BODY),
    "connection takes the length away": post(b"connection: content-length\r\n" + length(SMUGGLED), SMUGGLED),
    "connection takes the coding away": post(b"connection: transfer-encoding\r\n" + CHUNKED, OK_BODY),
    "the whole address, as the host": post(b"", b"", line=b"GET http://shop.gslb.test/sent HTTP/1.1"),
    "the whole address beats the host": post(
        b"", b"", line=b"GET http://shop.gslb.test/sent HTTP/1.1", host=b"host: other.gslb.test\r\n"
    ),
}
"""One request, and it is answered."""

DOUBTFUL = {
    "CR in a value": post(b"x: a\rtransfer-encoding: chunked\r\n" + length(HIDDEN), HIDDEN),
    "h2c is not switched to": post(
        b"connection: upgrade, http2-settings\r\nupgrade: h2c\r\nhttp2-settings: AAMAAABkAAQAoAAAAAIAAAAA\r\n", b""
    ),
    "websocket on a route without": post(b"connection: upgrade\r\nupgrade: websocket\r\n", b"", b"GET /sent HTTP/1.1"),
    "the host of another app, whole address": post(b"", b"", line=b"GET http://other.gslb.test/sent HTTP/1.1"),
    "obsolete folding": post(b"x: a\r\n b\r\n" + length(SMUGGLED), SMUGGLED),
    "folded coding": post(b"transfer-encoding:\r\n chunked\r\n", OK_BODY),
    "bare LF ends a field": post(b"x: a\ny: b\r\n" + length(SMUGGLED), SMUGGLED),
    "bare LF before a coding": post(b"x: a\ntransfer-encoding: chunked\r\n" + length(HIDDEN), HIDDEN),
    "bare LF in chunks": post(CHUNKED, b"5\nhello\n0\n\n"),
    "bare LF behind a chunk size": post(CHUNKED, b"5\nhello\r\n0\r\n\r\n"),
    "bare LF in an extension": post(CHUNKED, b"5;\nxx\r\nhello\r\n0\r\n\r\n"),
    "length twice alike": post(length(SMUGGLED) * 2, SMUGGLED),
    "chunk size with a space": post(CHUNKED, b"5 \r\nhello\r\n0\r\n\r\n"),
    "space before a chunk size": post(CHUNKED, b" 5\r\nhello\r\n0\r\n\r\n"),
    "two spaces in the first line": post(b"", b"", line=b"GET  /sent HTTP/1.1"),
    "empty line first": b"\r\n\r\n" + post(b"", b"", line=b"GET /sent HTTP/1.1"),
    "fragment": post(b"", b"", line=b"GET /sent#/smuggled HTTP/1.1"),
    "tab in the first line": post(b"", b"", line=b"GET\t/sent\tHTTP/1.1"),
}
"""One request, or none: a proxy may take it or leave it."""


async def answer(port: int, octets: bytes) -> int:
    """The status of the answer (not 100), or 0 where the edge closes without one."""
    reader, writer = await asyncio.open_connection(DC, port)
    writer.write(octets)
    status = 0
    with contextlib.suppress(ConnectionResetError, asyncio.IncompleteReadError):
        while status in (0, 100):
            status = int((await reader.readuntil(b"\r\n\r\n")).split()[1])
    writer.close()
    return status


@pytest.fixture
async def recorders():
    made = {"old": Recorder(), "new": Recorder()}
    yield made
    for recorder in made.values():
        recorder.close()


async def asked(stage, recorders, octets: bytes) -> tuple[int, set[tuple[str, ...]], set[tuple[str, ...]]]:
    """The status, and the paths that backend and mirror saw, under every reading. Then the next client is served as if
    nothing had been: no octet is left over in a connection that it shares."""
    for recorder in recorders.values():
        recorder.forget()
    status = await answer(stage.port, octets)
    following = await stage.connection().ask("/next")
    assert (following.status, following.body) == (200, b"/next")

    async def copied():
        return "/next" in paths(recorders["new"], READINGS[0])

    await eventually(copied)
    seen = [{tuple(paths(recorder, reading)) for reading in READINGS} for recorder in recorders.values()]
    return status, *({tuple(path for path in found if path != "/next") for found in way} for way in seen)


def paths(recorder: Recorder, reading) -> list[str]:
    return sorted(request.path for request in recorder.read(reading))


async def policy(recorders):
    backends = {name: {"dc": [await recorder.start("127.0.7.9")]} for name, recorder in recorders.items()}
    mirror = [{"to": "new", "percent": 100, "methods": ["GET", "POST", "HEAD", "OPTIONS"]}]
    return backends, [{"name": "all", "split": {"old": 100}, "mirror": mirror, "retries": 0}]


NOTHING, ONE = {()}, {("/sent",)}


def possible(kind: str, *, served: bool) -> tuple[set[tuple[str, ...]], ...]:
    """What the backend may have seen. A head can be on its way when what is wrong shows behind it."""
    if served:
        return (ONE,)
    return (NOTHING, ONE) if kind == "doubtful" else (NOTHING,)


async def test_the_upstream_counts_what_clients_sent_and_never_more(stage, recorders):
    wrong = {}
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(*await policy(recorders)))
        for kind, cases in (("refused", REFUSED), ("legitimate", LEGITIMATE), ("doubtful", DOUBTFUL)):
            for name, octets in cases.items():
                status, backend, mirror = await asked(stage, recorders, octets)
                served = status == 200
                good = backend in possible(kind, served=served) and mirror in (NOTHING, backend)
                if not good or served != {"refused": False, "legitimate": True}.get(kind, served):
                    wrong[name] = (status, backend, mirror)
    assert not wrong


def head(*more, without=(), **instead):
    """A POST, with `more` fields behind and others `instead` of its own."""
    own = {"method": "POST", "scheme": "http", "authority": HOST, "path": "/sent"} | instead
    return [*((f":{name}", value) for name, value in own.items() if name not in without), *more]


TEXT = SMUGGLED.decode()
REFUSED_2 = {
    "line break in a value": (head(("x", f"a\r\n\r\n{TEXT}")), b""),
    "LF in a value": (head(("x", "a\ntransfer-encoding: chunked")), HIDDEN),
    "CR in a value": (head(("x", "a\rtransfer-encoding: chunked")), HIDDEN),
    "NUL in a value": (head(("x", "a\0b")), b""),
    "line break in a name": (head(("x: a\r\ntransfer-encoding", "chunked")), HIDDEN),
    "colon in a name": (head(("transfer-encoding: chunked\r\nx", "a")), HIDDEN),
    "space in a name": (head(("transfer-encoding ", "chunked")), HIDDEN),
    "capitals in a name": (head(("Transfer-Encoding", "chunked")), HIDDEN),
    "empty name": (head(("", "a")), b""),
    "underscore for a hyphen": (head(("transfer_encoding", "chunked")), HIDDEN),
    "transfer-encoding": (head(("transfer-encoding", "chunked")), HIDDEN),
    "connection": (head(("connection", "x-request-id")), b""),
    "upgrade": (head(("upgrade", "h2c")), b""),
    "proxy-connection": (head(("proxy-connection", "keep-alive")), b""),
    "te other than trailers": (head(("te", "gzip")), b""),
    "length under the body": (head(("content-length", "5")), HIDDEN),
    "length over the body": (head(("content-length", "500")), HIDDEN),
    "lengths that differ": (head(("content-length", "0"), ("content-length", str(len(SMUGGLED)))), SMUGGLED),
    "length that is no number": (head(("content-length", "0x5")), b"hello"),
    "length with a sign": (head(("content-length", "+5")), b"hello"),
    "line break in the path": (head(path=f"/sent HTTP/1.1\r\nhost: x\r\n\r\n{TEXT}"), b""),
    "space in the path": (head(path="/smuggled HTTP/1.1"), b""),
    "path without a slash": (head(path="smuggled"), b""),
    "empty path": (head(path=""), b""),
    "no path": (head(without=["path"]), b""),
    "two paths": (head((":path", "/smuggled")), b""),
    "line break in the method": (head(method=f"GET /smuggled HTTP/1.1\r\nhost: {HOST}\r\n\r\nPOST"), b""),
    "space in the method": (head(method="GET /smuggled HTTP/1.1 POST"), b""),
    "no method": (head(without=["method"]), b""),
    "line break in the authority": (head(authority=f"{HOST}\r\nx: a"), b""),
    "space in the authority": (head(authority=f"{HOST} x"), b""),
    "user in the authority": (head(authority=f"x@{HOST}"), b""),
    "line break in the scheme": (head(scheme="http://x/\r\nx: a"), b""),
    "no scheme": (head(without=["scheme"]), b""),
    "pseudo-header behind a field": (head(("x", "a"), (":path", "/smuggled"), without=["path"]), b""),
    "unknown pseudo-header": (head((":smuggled", "a")), b""),
    "status in a request": (head((":status", "200")), b""),
    "CONNECT": ([(":method", "CONNECT"), (":authority", HOST)], SMUGGLED),
    "CONNECT with a path": (head(method="CONNECT"), SMUGGLED),
    "extended CONNECT": (head((":protocol", "websocket"), method="CONNECT"), SMUGGLED),
}
"""Nothing of it reaches the upstream, HTTP/1.1 or not."""

LEGITIMATE_2 = {
    "body that looks like a request": (head(("content-length", str(len(SMUGGLED)))), SMUGGLED),
    "the same without a length": (head(), SMUGGLED),
    "chunks in the body": (head(("content-length", str(len(HIDDEN)))), HIDDEN),
    "te: trailers": (head(("te", "trailers")), SMUGGLED),
    "cookie in crumbs": (head(("cookie", "a=1"), ("cookie", "b=2")), SMUGGLED),
}
DOUBTFUL_2 = {
    "length 0 with a body": (head(("content-length", "0")), SMUGGLED),
    "host beside the authority": (head(("host", "other.gslb.test")), SMUGGLED),
    "two hosts": (head(("host", HOST), ("host", "other.gslb.test")), SMUGGLED),
    "length twice alike": (head(*[("content-length", str(len(SMUGGLED)))] * 2), SMUGGLED),
    "keep-alive": (head(("keep-alive", "timeout=5")), SMUGGLED),
    "http2-settings": (head(("http2-settings", "AAMAAABk")), SMUGGLED),
    "spaces around a value": (head(("x", " a ")), SMUGGLED),
    "absolute path": (head(path=f"http://{HOST}/sent"), SMUGGLED),
}


async def over_http2(port: int, fields, body: bytes, trailers=None) -> int:
    """The status, or 0 where stream or connection were ended."""
    async with http2(DC, port) as connection:
        connection.request(1, fields, body, trailers)
        return (await connection.outcome(1)).status or 0


def numbered(fields, number: int):
    return [(name, value.replace("/sent", f"/sent-{number}")) for name, value in fields]


async def test_what_comes_as_http2_goes_on_as_one_request_of_http1(stage, recorders):
    """All at once, each with a path of its own: Envoy waits a second before it hangs up."""
    of_kind = (("refused", REFUSED_2), ("legitimate", LEGITIMATE_2), ("doubtful", DOUBTFUL_2))
    cases = [(kind, name, *case) for kind, found in of_kind for name, case in found.items()]
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(*await policy(recorders)))
        asked = [over_http2(stage.port, numbered(case[2], number), case[3]) for number, case in enumerate(cases)]
        statuses = await asyncio.gather(*asked)
        for _ in range(8):
            following = await stage.connection().ask("/next")
            assert (following.status, following.body) == (200, b"/next")
        wrong = {}
        for number, (kind, name, *_) in enumerate(cases):
            served, path = statuses[number] == 200, f"/sent-{number}"
            seen = {(path,) * paths(recorders["old"], reading).count(path) for reading in READINGS}
            allowed = [{(path,) * len(found) for found in way} for way in possible(kind, served=served)]
            if seen not in allowed or served != {"refused": False, "legitimate": True}.get(kind, served):
                wrong[name] = (statuses[number], seen)
        assert not wrong
        sent = {f"/sent-{number}" for number in range(len(cases))} | {"/next"}
        for recorder, reading in itertools.product(recorders.values(), READINGS):
            assert set(paths(recorder, reading)) <= sent


TRAILERS = (
    [("transfer-encoding", "chunked")],
    [("content-length", "0")],
    [("x", f"a\r\n\r\n{TEXT}")],
    [(":path", "/x")],
)


async def test_trailers_do_not_frame(stage, recorders):
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(*await policy(recorders)))
        for trailers in TRAILERS:
            for recorder in recorders.values():
                recorder.forget()
            await over_http2(stage.port, head(), SMUGGLED, trailers)
            for recorder, reading in itertools.product(recorders.values(), READINGS):
                assert paths(recorder, reading) in ([], ["/sent"]), trailers
