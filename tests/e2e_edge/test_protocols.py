"""What clients speak, by clients that speak it: HTTP/3, HTTP/2 with and without TLS, gRPC through to a gRPC server."""

from __future__ import annotations

import asyncio
import json

import grpc
import grpc.aio
import pytest
from aioquic.asyncio import connect
from aioquic.asyncio.protocol import QuicConnectionProtocol
from aioquic.h3.connection import H3_ALPN, H3Connection
from aioquic.h3.events import DataReceived, HeadersReceived
from aioquic.quic.configuration import QuicConfiguration
from grpc_health.v1 import health_pb2, health_pb2_grpc

from gslb.model.policy import Policy
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from tests.e2e_edge.conftest import DC, HOST, counted
from tests.support.certificates import Authority, put
from tests.support.http2 import Outcome, http2
from tests.support.ports import free_port

OTHER = "other.gslb.test"
SERVING, STOPPED = health_pb2.HealthCheckResponse.SERVING, health_pb2.HealthCheckResponse.NOT_SERVING


class Http3(QuicConnectionProtocol):
    """Asks, one request after the other."""

    def __init__(self, *args, **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._http = H3Connection(self._quic)
        self._got: dict[int, tuple[asyncio.Future, list]] = {}

    async def ask(self, method: str, path: str, body: bytes = b"", host: str = HOST) -> tuple[dict[str, str], bytes]:
        stream = self._quic.get_next_available_stream_id()
        pseudo = {":method": method, ":scheme": "https", ":authority": host, ":path": path}
        self._http.send_headers(stream, [(k.encode(), v.encode()) for k, v in pseudo.items()], end_stream=not body)
        if body:
            self._http.send_data(stream, body, end_stream=True)
        done = asyncio.get_running_loop().create_future()
        self._got[stream] = done, []
        self.transmit()
        events = await asyncio.wait_for(done, 20)
        fields = {k.decode(): v.decode() for event in events for k, v in getattr(event, "headers", ())}
        return fields, b"".join(event.data for event in events if isinstance(event, DataReceived))

    def quic_event_received(self, event) -> None:
        for part in self._http.handle_event(event):
            if isinstance(part, HeadersReceived | DataReceived):
                done, events = self._got[part.stream_id]
                events.append(part)
                if part.stream_ended:
                    done.set_result(events)


def policy(stage, https: int, backends, **listen) -> Policy:
    """Two apps with a certificate each, so that both choose by server name."""
    site = {"edges": [{"public": [DC]}], "listen": {"http": stage.port, "https": https, **listen}}
    routes = [{"name": "all", "split": {next(iter(backends)): 100}}]
    apps = {
        name: {
            "hosts": [name], "backends": backends, "routes": routes,
            "tls": {"cert": f"{name}.crt", "key": f"{name}.key"},
        }
        for name in ("shop", "other")
    }  # fmt: skip
    zone = {"name": "gslb.test", "nameservers": {"ns1": ["127.0.7.53"]}}
    return Policy.model_validate({"zone": zone, "sites": {"dc": site}, "apps": apps})


@pytest.fixture
def authority(stage):
    made, folder = Authority(), stage.folder / "dc" / "certificates"
    folder.parent.mkdir()
    for name in ("shop", "other"):
        put(folder, name, made.leaf(f"{name}.gslb.test", f"{name}--dc.gslb.test"))
    return made


async def publish(stage, runner, made: Policy) -> None:
    stage.revision += 1
    await runner.publish(compile_snapshot(Intent(revision=stage.revision, policy=made), 0.0))


def quic(authority, host: str = HOST) -> QuicConfiguration:
    made = QuicConfiguration(is_client=True, alpn_protocols=H3_ALPN, server_name=host)
    made.load_verify_locations(cadata=authority.pem())
    return made


async def test_http3(stage, authority):
    https = free_port(DC)
    backends = {"web": {"dc": [stage.backend("web").endpoint]}}
    async with stage.edge() as runner:
        await publish(stage, runner, policy(stage, https, backends, http3=True))
        async with connect(DC, https, configuration=quic(authority), create_protocol=Http3) as client:
            fields, body = await client.ask("GET", "/three?q=1")
            assert (fields[":status"], json.loads(body)["path"]) == ("200", "/three?q=1")
            assert fields["alt-svc"] == f'h3=":{https}"; ma=86400'
            assert json.loads(body)["headers"]["x-forwarded-proto"] == "https"
            fields, body = await client.ask("POST", "/three", b"x" * 200_000)
            assert (fields[":status"], json.loads(body)["body"]) == ("200", 200_000)
            together = await asyncio.gather(*(client.ask("GET", f"/{number}?size=5000") for number in range(20)))
            assert [json.loads(body)["path"] for _, body in together] == [f"/{n}?size=5000" for n in range(20)]
            assert (await client.ask("GET", "/", host=OTHER))[0][":status"] == "421"
        async with connect(DC, https, configuration=quic(authority, OTHER), create_protocol=Http3) as client:
            assert (await client.ask("GET", "/", host=OTHER))[0][":status"] == "200"
        await counted(runner, "all", 22)
        with pytest.raises(ConnectionError):
            async with connect(DC, https, configuration=quic(Authority()), create_protocol=Http3):
                pass


async def test_http2_without_tls(stage):
    backend = stage.backend("web")
    async with stage.edge() as runner:
        routes = [{"name": "all", "split": {"web": 100}}]
        await runner.publish(stage.snapshot({"web": {"dc": [backend.endpoint]}}, routes))
        async with http2(DC, stage.port) as connection:
            fields = [(":method", "GET"), (":scheme", "http"), (":authority", HOST), (":path", "/two")]
            for stream in (1, 3, 5):
                connection.request(stream, fields)
                assert await connection.outcome(stream) == Outcome(status=200)
            assert await connection.alive()
        await counted(runner, "all", 3)


class Health(health_pb2_grpc.HealthServicer):
    """Serves what is written in `states`, and sends each change to who watches."""

    def __init__(self) -> None:
        self.states = asyncio.Queue()

    async def Check(self, request, context):
        if request.service != "shop":
            await context.abort(grpc.StatusCode.NOT_FOUND, "no such service")
        return health_pb2.HealthCheckResponse(status=SERVING)

    async def Watch(self, request, context):
        while True:
            yield health_pb2.HealthCheckResponse(status=await self.states.get())


@pytest.fixture
async def cart():
    servicer, server = Health(), grpc.aio.server()
    health_pb2_grpc.add_HealthServicer_to_server(servicer, server)
    servicer.endpoint = f"127.0.7.9:{server.add_insecure_port('127.0.7.9:0')}"
    await server.start()
    yield servicer
    await server.stop(0)


async def unary_and_streams(channel, cart) -> None:
    """Answers, errors in trailers, and a stream whose messages arrive one by one while it is open."""
    stub = health_pb2_grpc.HealthStub(channel)
    assert (await stub.Check(health_pb2.HealthCheckRequest(service="shop"), timeout=20)).status == SERVING
    with pytest.raises(grpc.aio.AioRpcError) as told:
        await stub.Check(health_pb2.HealthCheckRequest(service="nobody"), timeout=20)
    assert (told.value.code(), told.value.details()) == (grpc.StatusCode.NOT_FOUND, "no such service")
    watching = stub.Watch(health_pb2.HealthCheckRequest(service="shop"))
    for status in (SERVING, STOPPED, SERVING):
        cart.states.put_nowait(status)
        assert (await asyncio.wait_for(watching.read(), 20)).status == status
    watching.cancel()


async def test_grpc_without_and_with_tls(stage, authority, cart):
    https = free_port(DC)
    backends = {"cart": {"protocol": "http2", "dc": [cart.endpoint]}}
    named = [("grpc.default_authority", HOST)]
    trusted = grpc.ssl_channel_credentials(authority.pem())
    over_tls = [*named, ("grpc.ssl_target_name_override", HOST)]
    async with stage.edge() as runner:
        await publish(stage, runner, policy(stage, https, backends))
        async with grpc.aio.insecure_channel(f"{DC}:{stage.port}", options=named) as channel:
            await unary_and_streams(channel, cart)
        async with grpc.aio.secure_channel(f"{DC}:{https}", trusted, options=over_tls) as channel:
            await unary_and_streams(channel, cart)


async def test_grpc_says_so_where_nobody_answers(stage, authority):
    https = free_port(DC)
    backends = {"cart": {"protocol": "http2", "dc": [f"127.0.7.9:{free_port('127.0.7.9')}"]}}
    async with stage.edge() as runner:
        await publish(stage, runner, policy(stage, https, backends))
        options = [("grpc.default_authority", HOST)]
        async with grpc.aio.insecure_channel(f"{DC}:{stage.port}", options=options) as channel:
            stub = health_pb2_grpc.HealthStub(channel)
            with pytest.raises(grpc.aio.AioRpcError) as told:
                await stub.Check(health_pb2.HealthCheckRequest(service="shop"), timeout=20)
            assert told.value.code() == grpc.StatusCode.UNAVAILABLE
