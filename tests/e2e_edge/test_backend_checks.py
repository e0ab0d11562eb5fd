"""The kinds of checks of a backend, by the real Envoy, of endpoints that die: gRPC, TCP, and what TLS and HTTP/2 they
are asked over. And the front door tells the same."""

import asyncio
import contextlib
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

from gslb.health.request import ask, open_session
from gslb.health.tries import Tries
from gslb.snapshot.targets import probe_targets
from tests.e2e_edge.conftest import AWS, DC, eventually
from tests.support.certificates import Authority as Certificates
from tests.support.certificates import put
from tests.support.identities import Authority as Identities
from tests.support.ports import free_port

ROUTES = [{"name": "all", "split": {"web": 100}}]
ROUNDS = {"interval": "200ms", "timeout": "200ms", "rise": 1, "fall": 2}
SERVING = health_pb2.HealthCheckResponse.SERVING
NOBODY = False, "web: grpc-status 14 UNAVAILABLE (no healthy upstream)"
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING


class GrpcServer:
    """grpc's own server, with health and nothing else."""

    def __init__(self, address="127.0.7.9"):
        self.health = health.HealthServicer()
        self.server = grpc.server(ThreadPoolExecutor(2))
        health_pb2_grpc.add_HealthServicer_to_server(self.health, self.server)
        self.endpoint = f"{address}:{self.server.add_insecure_port(f'{address}:0')}"
        self.health.set("shop.Cart", SERVING)
        self.server.start()

    def stop(self):
        self.server.stop(0).wait()


@pytest.fixture
def cart():
    made = GrpcServer()
    yield made
    made.stop()


@contextlib.asynccontextmanager
async def probing(stage, backend, site="dc", **sites):
    """`probe()` is what the front door of `site` says of the backend `web`."""
    snapshot = stage.snapshot({"web": backend}, ROUTES, **sites)
    target = next(found for found in probe_targets(snapshot) if found.site == site)
    async with stage.edge(site) as runner, open_session() as session:
        await runner.publish(snapshot)
        yield lambda: ask(session, target, Tries())


async def becomes(probe, *expected):
    """Until the front door says one of `expected`, as (ok, reason)."""

    async def told():
        result = await probe()
        return result if (result.ok, result.reason) in expected else None

    return await eventually(told)


async def test_grpc(stage, cart):
    backend = {"check": {"grpc": {"service": "shop.Cart"}, **ROUNDS}, "protocol": "http2", "dc": [cart.endpoint]}
    async with probing(stage, backend) as probe:
        await becomes(probe, (True, "web: SERVING"))
        cart.health.set("shop.Cart", NOT_SERVING)
        await becomes(probe, NOBODY)  # Envoy's own check took it out
        cart.health.set("shop.Cart", SERVING)
        await becomes(probe, (True, "web: SERVING"))
        cart.stop()
        await becomes(probe, NOBODY)


async def test_grpc_of_a_service_that_nobody_knows(stage, cart):
    backend = {"check": {"grpc": {"service": "shop.Nobody"}, **ROUNDS}, "protocol": "http2", "dc": [cart.endpoint]}
    async with probing(stage, backend) as probe:
        await becomes(probe, NOBODY)


async def test_tcp_takes_out_who_is_gone_and_nobody_else(stage):
    one, two = stage.backend("one"), stage.backend("two")
    backend = {"check": {"tcp": {}, **ROUNDS}, "dc": [one.endpoint, two.endpoint]}
    async with probing(stage, backend) as probe:
        await becomes(probe, (True, "web: 200"))
        one.kill()

        async def only_two():
            replies = [await stage.connection().ask("/x") for _ in range(20)]
            return {reply.json()["name"] if reply.status == 200 else reply.status for reply in replies} == {"two"}

        assert await eventually(only_two)
        await becomes(probe, (True, "web: 200"))
        two.kill()
        await becomes(probe, (False, "web: 503 from the edge"))


@pytest.mark.parametrize(
    ("talk", "good"),
    [({}, True), ({"send": "GET /healthz HTTP/1.0\r\n\r\n", "expect": "200 OK"}, True), ({"expect": "220"}, False)],
    ids=["connection", "what is said", "what is not said"],
)
async def test_tcp_and_what_is_said(stage, talk, good):
    backend = {"check": {"tcp": talk, **ROUNDS}, "dc": [stage.backend("web").endpoint]}
    async with probing(stage, backend) as probe:
        await becomes(probe, (True, "web: 200") if good else (False, "web: 503 from the edge"))


RIGHT, WRONG = {"sni": "inner.example", "ca": "ca.pem"}, {"sni": "wrong.example", "ca": "ca.pem"}


@pytest.mark.parametrize(
    ("spoken", "checked", "good"),
    [
        (RIGHT, None, True),
        (RIGHT, RIGHT, True),
        (RIGHT, WRONG, False),
        (RIGHT, False, False),
        (None, RIGHT, False),
        (None, False, True),
    ],
)
async def test_checks_speak_tls_as_the_backend_or_as_they_say(stage, spoken, checked, good):
    folder, authority = stage.folder / "dc" / "certificates", Certificates()
    folder.parent.mkdir()
    put(folder, "inner", authority.leaf("inner.example"))
    (folder / "ca.pem").write_bytes(authority.pem())
    options = {"tls_cert": str(folder / "inner.crt"), "tls_key": str(folder / "inner.key")} if spoken else {}
    told = {} if checked is None else {"tls": checked}
    backend = {"check": {"path": "/healthz", **ROUNDS, **told}, "dc": [stage.backend("web", **options).endpoint]}
    if spoken:
        backend["tls"] = spoken
    async with probing(stage, backend) as probe:
        await becomes(probe, (True, "web: 200") if good else (False, "web: 503 from the edge"))


@pytest.mark.parametrize("word", [{}, {"http2": True}])
async def test_checks_speak_http2_as_the_backend_or_as_they_say(stage, word):
    """The one that is asked speaks HTTP/1.1 only."""
    backend = {"check": {"path": "/healthz", **ROUNDS, **word}, "dc": [stage.backend("web").endpoint]}
    async with probing(stage, backend) as probe:
        await becomes(probe, (False, "web: 503 from the edge") if word else (True, "web: 200"))


async def test_an_http_check_over_http2_with_a_backend_of_http1(stage):
    begins = set()

    async def listen(reader, writer):
        begins.add((await reader.readline()).strip())
        writer.close()

    listening = await asyncio.start_server(listen, "127.0.7.9", 0)
    check = {"path": "/", "http2": True, **ROUNDS}
    backend = {"check": check, "dc": [f"127.0.7.9:{listening.sockets[0].getsockname()[1]}"]}
    async with listening, probing(stage, backend):

        async def asked():
            return begins

        assert await eventually(asked) == {b"PRI * HTTP/2.0"}


@pytest.fixture
def peers(stage):
    authority = Identities(stage.folder / "trust")
    authority.give("edge-dc", "m1/edge/dc")
    authority.give("edge-aws", "m2/edge/aws")
    return {site: f"{address}:{free_port(address)}" for site, address in (("dc", DC), ("aws", AWS))}


@pytest.mark.parametrize("kind", ["grpc", "tcp"])
async def test_a_backend_elsewhere_is_checked_through_the_edge_beside_it(stage, peers, cart, kind):
    """dc has no endpoint of its own: its edge asks aws's, and hears of the endpoint, not of the edge."""
    if kind == "grpc":
        backend = {"check": {"grpc": {"service": "shop.Cart"}, **ROUNDS}, "protocol": "http2", "aws": [cart.endpoint]}
        good, dead = (True, "web: SERVING"), NOBODY
    else:
        web = stage.backend("web")
        backend = {"check": {"tcp": {}, **ROUNDS}, "aws": [web.endpoint]}
        good, dead = (True, "web: 200"), (False, "web: 503 from the edge")
    snapshot = stage.snapshot({"web": {**backend, "via": "edge"}}, ROUTES, peers=peers)
    target = next(found for found in probe_targets(snapshot) if found.site == "dc")
    async with stage.edge("dc") as dc, stage.edge("aws") as aws, open_session() as session:
        for runner in (aws, dc):
            await runner.prepare(snapshot)
            await runner.publish(snapshot)

        def probe():
            return ask(session, target, Tries())

        await becomes(probe, good)
        cart.stop() if kind == "grpc" else web.kill()
        await becomes(probe, dead)
