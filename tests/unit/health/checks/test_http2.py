"""HTTP/2 against Envoy, gRPC health against grpc's own server, and both against peers that misbehave."""

import asyncio
import contextlib
import json
import struct
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from hypothesis import given
from hypothesis import strategies as st

from gslb.edge import find_envoy
from gslb.health.checks.grpc import request_message, status_of
from gslb.health.checks.tools import Tools
from gslb.health.target import Result
from gslb.snapshot.checks import GrpcAsk, HttpExpect, Tls
from tests.support.authority import Authority
from tests.unit.health.checks.peers import HOST, found, free_port, http, server, silence, tls_server

# HTTP/2 ---------------------------------------------------------------------------------------------------------------


def envoy_config(port, certificate, key):
    def chain(tls):
        manager = {
            "@type": "type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager",
            "stat_prefix": "x",
            "codec_type": "HTTP2",
            "route_config": {
                "virtual_hosts": [
                    {
                        "name": "x",
                        "domains": ["shop.example.com"],
                        "routes": [
                            {
                                "match": {"path": "/healthz"},
                                "direct_response": {"status": 200, "body": {"inline_string": "lag: 7"}},
                            },
                            {"match": {"prefix": "/"}, "direct_response": {"status": 503}},
                        ],
                        "response_headers_to_add": [{"header": {"key": "x-role", "value": "primary"}}],
                    }
                ]
            },
            "http_filters": [
                {
                    "name": "router",
                    "typed_config": {"@type": "type.googleapis.com/envoy.extensions.filters.http.router.v3.Router"},
                }
            ],
        }
        made = {"filters": [{"name": "hcm", "typed_config": manager}]}
        if tls:
            files = {"certificate_chain": {"filename": str(certificate)}, "private_key": {"filename": str(key)}}
            made["transport_socket"] = {
                "name": "tls",
                "typed_config": {
                    "@type": "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.DownstreamTlsContext",
                    "common_tls_context": {"alpn_protocols": ["h2"], "tls_certificates": [files]},
                },
            }
        return made

    return {
        "static_resources": {
            "listeners": [
                {
                    "name": str(tls),
                    "address": {"socket_address": {"address": HOST, "port_value": port + tls}},
                    "filter_chains": [chain(tls)],
                }
                for tls in (0, 1)
            ]
        }
    }


@pytest.fixture(scope="module")
def authority(tmp_path_factory):
    made = Authority(tmp_path_factory.mktemp("secrets"))
    made.issue("server", HOST)
    return made


@contextlib.asynccontextmanager
async def envoy(folder, authority):
    port = free_port()
    file = folder / "envoy.json"
    file.write_text(json.dumps(envoy_config(port, authority.folder / "server.pem", authority.folder / "server.key")))
    process = await asyncio.create_subprocess_exec(
        find_envoy(None), "-c", file, "--concurrency", "1", "--disable-hot-restart", "-l", "error"
    )
    try:
        while (await found(http(f"http://{HOST}:{port}/", http2=True))).reason == "db: connect refused":
            await asyncio.sleep(0.05)
        yield port
    finally:
        process.terminate()
        await process.wait()


async def test_http2_over_tls_and_with_prior_knowledge(tmp_path, authority):
    async with envoy(tmp_path, authority) as port:
        for scheme, at in (("http", port), ("https", port + 1)):
            tools = Tools(secrets=authority.folder)
            for path, expect, expected in (
                ("healthz", HttpExpect(), Result(True, "db: 200")),
                ("healthz", HttpExpect(body="lag: 7", headers=(("x-role", "primary"),)), Result(True, "db: 200")),
                ("healthz", HttpExpect(body="lag: 8"), Result(False, "db: 200, without 'lag: 8' in its body")),
                ("other", HttpExpect(), Result(False, "db: 503")),
            ):
                ask = http(
                    f"{scheme}://{HOST}:{at}/{path}",
                    http2=True, host="shop.example.com", tls=Tls(ca="ca.pem"), expect=expect,
                )  # fmt: skip
                assert await found(ask, tools) == expected


async def test_a_server_without_http2(authority):
    context = tls_server(authority.folder / "server.pem", authority.folder / "server.key", alpn=["http/1.1"])
    async with server(silence, context) as port:
        ask = http(f"https://{HOST}:{port}/", http2=True, tls=Tls(ca="ca.pem"))
        result = await found(ask, Tools(secrets=authority.folder))
    assert not result.ok


def frame(kind, flags, stream, payload=b""):
    return len(payload).to_bytes(3, "big") + bytes([kind, flags]) + struct.pack(">I", stream) + payload


SETTINGS = frame(4, 0, 0)


@pytest.mark.parametrize(
    ("data", "words"),
    [
        (b"HTTP/1.1 400 Bad Request\r\n\r\n", "closed without an answer"),
        (SETTINGS + frame(7, 0, 0, struct.pack(">II", 0, 11)), "HTTP/2 error 11"),
        (SETTINGS + frame(3, 0, 1, struct.pack(">I", 7)), "HTTP/2 error 7"),
        (SETTINGS + frame(0, 0, 1, b"data before headers"), "the answer is not HTTP"),
        (SETTINGS, "closed without an answer"),
        (SETTINGS + frame(6, 0, 0, b"12345678") * 20_000, "the answer is not HTTP"),
    ],
    ids=["http1", "goaway", "reset", "order", "end", "pings"],
)
async def test_peers_that_misbehave(data, words):
    async def answer(reader, writer):
        await reader.readexactly(24)
        writer.write(data)
        writer.write_eof()
        await reader.read()

    async with server(answer) as port:
        result = await found(http(f"http://{HOST}:{port}/", http2=True))
    assert not result.ok
    assert words.lower() in result.reason.lower()


# gRPC -----------------------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def grpc_server(states, credentials=None):
    made = grpc.server(ThreadPoolExecutor(2))
    servicer = health.HealthServicer()
    for service, state in states.items():
        servicer.set(service, state)
    health_pb2_grpc.add_HealthServicer_to_server(servicer, made)
    port = made.add_secure_port(f"{HOST}:0", credentials) if credentials else made.add_insecure_port(f"{HOST}:0")
    made.start()
    try:
        yield port
    finally:
        made.stop(0).wait()


STATES = {
    "": health_pb2.HealthCheckResponse.SERVING,
    "shop.Cart": health_pb2.HealthCheckResponse.NOT_SERVING,
    "shop.New": health_pb2.HealthCheckResponse.UNKNOWN,
    "a" * 200: health_pb2.HealthCheckResponse.SERVING,
}


@pytest.mark.parametrize(
    ("service", "expected"),
    [
        ("", Result(True, "db: SERVING")),
        ("shop.Cart", Result(False, "db: NOT_SERVING")),
        ("shop.New", Result(False, "db: UNKNOWN")),
        ("a" * 200, Result(True, "db: SERVING")),
        ("shop.Nobody", Result(False, "db: grpc-status 5 NOT_FOUND")),
    ],
)
async def test_grpcs_own_server(service, expected):
    with grpc_server(STATES) as port:
        assert await found(GrpcAsk(HOST, port, service, None)) == expected


async def test_grpc_over_tls(authority):
    files = [(authority.folder / name).read_bytes() for name in ("server.key", "server.pem")]
    with grpc_server(STATES, grpc.ssl_server_credentials([tuple(files)])) as port:
        tools = Tools(secrets=authority.folder)
        assert (await found(GrpcAsk(HOST, port, "", Tls(ca="ca.pem")), tools)).ok
        assert not (await found(GrpcAsk(HOST, port, "", Tls()), tools)).ok
        assert not (await found(GrpcAsk(HOST, port, "", None), tools)).ok


async def test_a_server_without_the_health_service():
    made = grpc.server(ThreadPoolExecutor(1))
    port = made.add_insecure_port(f"{HOST}:0")
    made.start()
    result = await found(GrpcAsk(HOST, port, "", None))
    made.stop(0).wait()
    assert (result.ok, result.reason.startswith("db: grpc-status 12 UNIMPLEMENTED")) == (False, True)


async def test_nobody():
    assert await found(GrpcAsk(HOST, free_port(), "", None)) == Result(False, "db: connect refused")


@given(st.text(max_size=60))
def test_requests_are_what_protobuf_writes(service):
    message = health_pb2.HealthCheckRequest(service=service).SerializeToString()
    assert request_message(service) == b"\0" + len(message).to_bytes(4, "big") + message


@pytest.mark.parametrize("state", [0, 1, 2, 3])
def test_answers_are_read_as_protobuf_writes_them(state):
    message = health_pb2.HealthCheckResponse(status=state).SerializeToString()
    assert status_of(b"\0" + len(message).to_bytes(4, "big") + message) == state


@given(st.binary(max_size=20))
def test_any_other_octets_are_refused_or_a_number(octets):
    with contextlib.suppress(ValueError):
        assert 0 <= status_of(octets) <= 127
