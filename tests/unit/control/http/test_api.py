from __future__ import annotations

import asyncio
import io
import json
import re
import socket

import aiohttp
import pytest
from aiohttp import web
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openapi_spec_validator import validate
from yarl import URL

from gslb.control.bodies import messages
from gslb.control.http import api
from gslb.control.http.access import NEEDS
from gslb.control.http.api import LIMIT_BYTES, build_app
from gslb.control.http.page import FILES, static_file
from gslb.control.http.routes import TABLE
from tests.support.examples import examples
from tests.unit.control.world import MemoryPublisher, intent

AS_JSON = {"Content-Type": "application/json"}
SHIFT = {"app": "shop", "route": "pay", "split": {"checkout": 25}}


@pytest.fixture
def publisher():
    return MemoryPublisher(intent())


@pytest.fixture
async def full(publisher, tmp_path):
    """The whole API, as the command line reaches it: over a unix socket."""
    runner = web.AppRunner(build_app(publisher, "local"), access_log=None)
    await runner.setup()
    path = str(tmp_path / "control.sock")
    await web.UnixSite(runner, path).start()
    async with aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(path)) as session:
        yield session
    await runner.cleanup()


@pytest.fixture
async def reading(publisher):
    """The API as a browser or Prometheus reaches it."""
    runner = web.AppRunner(build_app(publisher, "loopback"), access_log=None)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.7.1", 0)
    await site.start()
    host, port = runner.addresses[0]
    async with aiohttp.ClientSession(f"http://{host}:{port}") as session:
        yield session
    await runner.cleanup()


async def problem(response, status, rule):
    assert response.status == status, await response.text()
    assert response.content_type == "application/problem+json"
    body = await response.json()
    messages.ProblemAnswer.model_validate(body)
    assert (body["status"], body["rule"]) == (status, rule)
    assert body["remedy"]
    return body


async def test_a_shift_tells_before_after_and_the_way_back(full, publisher):
    response = await full.post("/v1/shifts", json={**SHIFT, "author": "ann", "reason": "try", "expires_in_s": 3600})
    answer = await response.json()
    messages.ShiftChange.model_validate(answer)
    assert answer["environment"] == "test"
    assert answer["before"] == {"checkout": 5, "monolith": 95}
    assert answer["after"] == {"checkout": 25, "monolith": 75}
    assert answer["undo"] == "gslb shift shop/pay --undo"
    assert answer["snapshot"] == {"revision": 1, "overrides": 1, "digest": publisher.snapshot.digest}
    made = publisher.intent.overrides.shifts[0].by
    assert (made.author, made.reason, made.expires_s - made.at_s) == ("ann", "try", 3600)


async def test_the_way_back_from_a_second_shift_is_the_first(full):
    await full.post("/v1/shifts", json=SHIFT)
    second = await (await full.post("/v1/shifts", json={**SHIFT, "split": {"checkout": 50}})).json()
    assert second["undo"] == "gslb shift shop/pay checkout=25 monolith=75"
    undone = await (await full.delete("/v1/shifts/shop/pay?author=bob")).json()
    assert (undone["after"], undone["undo"]) == (
        {"checkout": 5, "monolith": 95}, "gslb shift shop/pay checkout=50 monolith=50",
    )  # fmt: skip
    again = await (await full.delete("/v1/shifts/shop/pay")).json()
    assert (again["before"], again["undo"]) == (again["after"], None)


async def test_drains_and_their_way_back(full):
    drained = await (await full.post("/v1/drains", json={"site": "dc", "entry_only": True})).json()
    messages.DrainChange.model_validate(drained)
    assert drained["before"] == {"shop": "in service", "blog": "in service"}
    assert drained["after"] == {"shop": "entry drained", "blog": "entry drained"}
    assert drained["undo"] == "gslb undrain dc"
    deeper = await (await full.post("/v1/drains", json={"site": "dc"})).json()
    assert (deeper["after"]["shop"], deeper["undo"]) == ("drained", "gslb drain dc --entry")
    same = await (await full.post("/v1/drains", json={"site": "dc"})).json()
    assert same["undo"] is None
    back = await (await full.delete("/v1/drains/dc")).json()
    assert (back["after"]["shop"], back["undo"]) == ("in service", "gslb drain dc")
    one = await (await full.post("/v1/drains", json={"site": "dc", "app": "shop"})).json()
    assert (one["after"], one["undo"]) == ({"shop": "drained"}, "gslb undrain dc --app shop")
    back = await (await full.delete("/v1/drains/dc?app=shop")).json()
    assert back["undo"] == "gslb drain dc --app shop"


async def test_the_last_site_needs_to_be_named(full, publisher):
    await full.post("/v1/drains", json={"site": "dc"})
    refused = await problem(await full.post("/v1/drains", json={"site": "aws"}), 409, "last-site")
    assert refused["remedy"].endswith("--allow last-site")
    allowed = await full.post("/v1/drains", json={"site": "aws", "allow": ["last-site"]})
    assert allowed.status == 200
    assert publisher.records[-1].entry.detail == "aws --allow last-site"


async def test_the_history_tells_who_did_what(full):
    await full.post("/v1/shifts", json={**SHIFT, "author": "ann", "reason": "first", "expires_in_s": 90.5})
    await full.delete("/v1/shifts/shop/pay?author=bob&reason=enough")
    await full.post("/v1/drains", json={"site": "dc", "app": "shop", "entry_only": True, "author": "cleo"})
    await full.delete("/v1/drains/dc?app=shop")
    history = await (await full.get("/v1/history")).json()
    messages.History.model_validate(history)
    assert [(item["author"], item["action"], item["detail"], item["reason"]) for item in history["changes"]] == [
        ("", "undrain", "dc --app shop", ""),
        ("cleo", "drain", "dc --app shop --entry", ""),
        ("bob", "undo-shift", "shop/pay", "enough"),
        ("ann", "shift", "shop/pay checkout=25 --for 90500ms", "first"),
    ]
    assert [item["overrides"] for item in history["changes"]] == [4, 3, 2, 1]
    assert len((await (await full.get("/v1/history?limit=1")).json())["changes"]) == 1
    await problem(await full.get("/v1/history?limit=0"), 422, "value")


async def test_roles_that_do_not_follow_are_named(full, publisher):
    publisher.unacknowledged = {"edge-aws": "cannot be reached"}
    answer = await (await full.post("/v1/shifts", json=SHIFT)).json()
    assert answer["unacknowledged"] == {"edge-aws": "cannot be reached"}


@pytest.mark.parametrize(
    ("body", "status", "rule", "word"),
    [
        (b"", 400, "json", "JSON"),
        (b"{", 400, "json", "JSON"),
        (b"\xff\xfe", 400, "json", "JSON"),
        (b"[]", 422, "value", "object"),
        (b"null", 422, "value", "object"),
        (json.dumps({**SHIFT, "spit": {}}).encode(), 422, "unknown-key", "spit"),
        (json.dumps({**SHIFT, "split": {}}).encode(), 422, "value", "split"),
        (json.dumps({**SHIFT, "split": {"checkout": 100.5}}).encode(), 422, "value", "split.checkout"),
        (json.dumps({**SHIFT, "split": {"checkout": True}}).encode(), 422, "value", "split.checkout"),
        (json.dumps({**SHIFT, "split": {"checkout": "25"}}).encode(), 422, "value", "split.checkout"),
        (json.dumps({**SHIFT, "reason": "\x1b[2J"}).encode(), 422, "value", "reason"),
        (json.dumps({**SHIFT, "reason": "x" * 501}).encode(), 422, "value", "reason"),
        (json.dumps({**SHIFT, "expires_in_s": 0}).encode(), 422, "value", "expires_in_s"),
        (b'{"app": "shop", "route": "pay", "split": {"checkout": 1' + b"0" * 400 + b"}}", 422, "value", "checkout"),
        (b'{"app": "shop", "route": "pay", "split": {"checkout": NaN}}', 422, "value", "checkout"),
        (b'{"app": "shop", "route": "pay", "split": {"checkout": 1' + b"0" * 5000 + b"}}", 400, "json", "JSON"),
        (b'{"app":' * 100_000, 400, "json", "JSON"),
    ],
)
async def test_a_body_that_does_not_fit_is_refused_with_a_clear_word(full, body, status, rule, word):
    answer = await problem(await full.post("/v1/shifts", data=io.BytesIO(body), headers=AS_JSON), status, rule)
    assert word in answer["detail"]


async def test_everything_that_is_wrong_is_told_at_once(full):
    answer = await problem(await full.post("/v1/drains", json={"site": "Dc!", "entry": True}), 422, "unknown-key")
    assert [item["rule"] for item in answer["problems"]] == ["unknown-key", "value"]
    answer = await problem(await full.post("/v1/shifts", json={**SHIFT, "app": "shpo"}), 422, "unknown-app")
    assert answer["problems"][0]["remedy"] == "did you mean shop? known: blog, shop"


async def test_what_nobody_asked_for_in_the_query_is_refused(full):
    await problem(await full.get("/v1/status?watch=1"), 422, "unknown-key")
    await problem(await full.delete("/v1/drains/dc?ap=shop"), 422, "unknown-key")


async def test_paths_and_methods_that_there_are_not(full):
    await problem(await full.get("/v1/nothing"), 404, "http-404")
    refused = await full.post("/v1/status")
    await problem(refused, 405, "http-405")
    assert refused.headers["Allow"] == "GET,HEAD"
    await problem(await full.get("/static/../api.py"), 404, "http-404")
    await problem(await full.get("/static/%2e%2e%2fapi.py"), 404, "http-404")


async def test_too_large_a_body_is_refused(full):
    await problem(
        await full.post("/v1/shifts", data=io.BytesIO(b"x" * (LIMIT_BYTES + 1)), headers=AS_JSON), 413, "http-413"
    )
    packed = {"Content-Encoding": "gzip", **AS_JSON}
    await problem(await full.post("/v1/shifts", data=b"not gzip", headers=packed), 400, "http-400")


async def test_a_body_that_never_comes_is_not_waited_for(full, monkeypatch):
    monkeypatch.setattr(api, "BODY_TIMEOUT_S", 0.05)

    async def slowly():
        yield b"{"
        await asyncio.sleep(60)

    async with full.post("/v1/shifts", data=slowly(), headers=AS_JSON) as response:
        await problem(response, 408, "http-408")


async def test_too_many_and_too_long_headers_are_refused(full):
    for headers in ({f"X-{number}": "x" for number in range(2000)}, {"X": "x" * 100_000}):
        async with full.get("/healthz", headers=headers) as response:
            assert response.status == 400


async def test_before_the_first_policy(tmp_path):
    runner = web.AppRunner(build_app(MemoryPublisher(), "local"), access_log=None)
    await runner.setup()
    path = str(tmp_path / "s")
    await web.UnixSite(runner, path).start()
    async with aiohttp.ClientSession("http://localhost", connector=aiohttp.UnixConnector(path)) as session:
        seen = await (await session.get("/v1/status")).json()
        assert (seen["snapshot"], seen["leader"]) == (
            None,
            {"control": "berlin", "term": 3, "here": True, "since": None, "settling": False},
        )
        await problem(await session.post("/v1/shifts", json=SHIFT), 409, "no-policy")
        await problem(await session.delete("/v1/drains/dc"), 409, "no-policy")
    await runner.cleanup()


async def test_a_broken_machine_is_not_the_callers_fault(full, publisher):
    publisher.broken = True
    answer = await problem(await full.post("/v1/shifts", json=SHIFT), 503, "host")
    assert (answer["detail"], answer["remedy"]) == ("the disk is full", "free some space")


async def test_an_unexpected_failure_keeps_its_insides(full, publisher, capsys):
    del publisher.states  # what a bug would be
    answer = await problem(await full.get("/v1/status"), 500, "host")
    assert "states" not in json.dumps(answer)
    assert "AttributeError" in capsys.readouterr().out


@pytest.mark.parametrize(
    "line",
    [item for item in TABLE if item.method != "GET" and not NEEDS[f"{item.method} {item.path}"].open],
    ids=lambda item: item.summary,
)
async def test_nothing_is_written_over_tcp_without_a_token(reading, publisher, line):
    before = publisher.intent
    path = line.path.format(app="shop", route="pay", site="dc", name="ann")
    response = await reading.request(line.method, path, data=json.dumps(SHIFT), headers=AS_JSON)
    body = await problem(response, 401, "no-token")
    assert response.headers["WWW-Authenticate"].startswith("Bearer")
    assert "unix socket" in body["remedy"]
    assert publisher.intent is before


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE"])
async def test_there_are_no_other_methods(reading, method):
    await problem(await reading.request(method, "/v1/status"), 405, "http-405")
    await problem(await reading.request(method, "/nothing"), 404, "http-404")


@pytest.mark.parametrize(
    "host",
    ["evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "", "[::1].evil", "a@127.0.0.1", "2130706433"],
)
async def test_a_name_as_host_is_refused_over_tcp(reading, host):
    await problem(await reading.get("/v1/status", headers={"Host": host}), 421, "host")


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8053", "127.0.0.1", "192.0.2.1:80", "[::1]:8053", "[2001:db8::1]"]
)
async def test_an_address_as_host_is_served_over_tcp(reading, host):
    assert (await reading.get("/v1/status", headers={"Host": host})).status == 200


async def test_every_answer_over_tcp_is_guarded(reading):
    for path in ("/", "/v1/status", "/metrics", "/nothing", "/static/dashboard.js"):
        headers = (await reading.get(path)).headers
        assert "default-src 'self'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert "Access-Control-Allow-Origin" not in headers


NOT_ALIKE = ("/v1/events", "/v1/tokens", "/v1/mirrors/{app}/{route}/report")
READ = [item for item in TABLE if item.method == "GET" and item.path not in NOT_ALIKE]


@pytest.mark.parametrize("line", READ, ids=lambda item: item.path)
async def test_every_reading_works_over_tcp_and_with_head(reading, line):
    query = {"/v1/explain": {"host": "shop"}, "/v1/diff": {"before": "1"}}.get(line.path, {})
    path = line.path.format(app="shop", route="pay", backend="checkout")
    got, head = await reading.get(path, params=query), await reading.head(path, params=query)
    assert (got.status, head.status) == (200, 200)
    expected = "application/json" if isinstance(line.answer, type) else line.answer.content_type
    assert got.content_type == head.content_type == expected
    assert await got.read()
    if isinstance(line.answer, type):
        line.answer.model_validate(await got.json())


async def test_a_host_that_is_missing_is_refused(reading):
    """As HTTP/1.0 allows. Raw, because no client leaves it out."""
    with socket.socket() as raw:
        raw.connect((reading._base_url.host, reading._base_url.port))
        raw.setblocking(False)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(raw, b"GET /v1/status HTTP/1.0\r\n\r\n")
        assert (await loop.sock_recv(raw, 100)).startswith(b"HTTP/1.0 421")


async def test_the_description_is_valid_and_complete(full):
    document = await (await full.get("/openapi.json")).json()
    validate(document)
    described = {(method.upper(), path) for path, methods in document["paths"].items() for method in methods}
    assert described == {(line.method, line.path) for line in TABLE}
    operations = [operation for methods in document["paths"].values() for operation in methods.values()]
    assert len({operation["operationId"] for operation in operations}) == len(TABLE)
    assert all(operation["summary"] for operation in operations)


def test_every_route_that_is_served_is_in_the_table(publisher):
    served = {
        (route.method, route.resource.canonical)
        for route in build_app(publisher, "local").router.routes()
        if route.method != "HEAD"
    }
    assert served == {(line.method, line.path) for line in TABLE}


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=10,
)
NAMES = st.sampled_from(
    ["shop", "pay", "find", "blog", "all", "dc", "aws", "lab", "monolith", "checkout", "search", "paper", ""]
)
SHIFTS = st.fixed_dictionaries(
    {"app": NAMES | JSON, "route": NAMES | JSON, "split": st.dictionaries(NAMES, st.integers(0, 100) | JSON) | JSON},
    optional={"expires_in_s": st.floats() | JSON, "reason": JSON, "author": JSON, "other": JSON},
)
DRAINS = st.fixed_dictionaries(
    {"site": NAMES | JSON},
    optional={"app": NAMES | JSON, "entry_only": JSON, "allow": st.just(["last-site"]) | JSON, "expires_in_s": JSON},
)


@settings(max_examples=examples(300), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    target=st.sampled_from(["/v1/shifts", "/v1/drains"]),
    body=st.one_of(SHIFTS, DRAINS, JSON).map(lambda value: json.dumps(value).encode()) | st.binary(max_size=200),
    cut=st.integers(0, 3),
)
async def test_no_body_makes_the_api_fail(full, publisher, target, body, cut):
    response = await full.post(target, data=body[: len(body) - cut], headers=AS_JSON)
    assert response.status in (200, 400, 409, 422), await response.text()
    assert publisher.snapshot.version.overrides == publisher.intent.overrides.version


@settings(max_examples=examples(200), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    path=st.lists(
        st.sampled_from(["v1", "shifts", "drains", "status", "history", "static", "shop", "pay", "dc"]) | st.text(),
        max_size=5,
    ),
    query=st.dictionaries(st.sampled_from(["app", "author", "limit", "reason"]) | st.text(), st.text(), max_size=3),
    method=st.sampled_from(["GET", "DELETE", "POST", "HEAD"]),
)
async def test_no_path_or_query_makes_the_api_fail(full, path, query, method):
    surrogates = re.compile("[\ud800-\udfff]")
    clean = [surrogates.sub("", part).replace("/", "") for part in path]
    url = URL("http://localhost/").joinpath(*[part for part in clean if part not in ("", ".", "..")])
    url = url.with_query({surrogates.sub("", key): surrogates.sub("", value) for key, value in query.items()})
    async with full.request(method, url.relative()) as response:
        assert response.status < 500


def test_the_page_loads_nothing_from_elsewhere():
    text = b"".join(static_file(name) for name in FILES).decode()
    assert "//" not in re.sub(r"(^|\s)//.*", "", text)
    page = static_file("index.html").decode()
    assert "<style" not in page
    assert " style=" not in page
    assert not re.search(r"\son\w+=", page)
    assert re.findall(r'(?:src|href)="([^"]+)"', page) == ["/static/style.css", "/static/dashboard.js", "/v1/status"]
