"""Not fewer passes of RFC 9113 than a bare Envoy: the same cases at both, in the same run."""

from __future__ import annotations

import asyncio
import json
import subprocess

import pytest

from gslb.edge import find_envoy
from tests.e2e_edge.conftest import DC, HOST
from tests.e2e_edge.rfc9113 import CASES, Case
from tests.support.http2 import Outcome, http2
from tests.support.ports import free_port
from tests.support.recorder import Recorder

BARE = "127.0.7.3"
_TYPES = "type.googleapis.com/envoy.extensions.filters"
_PATIENCE_S = 10
"""Who says nothing for so long has not ended what it had to."""


def bare_envoy(port: int, endpoint: str) -> dict:
    """The least that proxies."""
    router = {"name": "router", "typed_config": {"@type": f"{_TYPES}.http.router.v3.Router"}}
    everything = {"name": "all", "domains": ["*"], "routes": [{"match": {"prefix": "/"}, "route": {"cluster": "web"}}]}
    manager = {
        "@type": f"{_TYPES}.network.http_connection_manager.v3.HttpConnectionManager",
        "stat_prefix": "bare",
        "http_filters": [router],
        "route_config": {"virtual_hosts": [everything]},
    }
    host, _, backend_port = endpoint.rpartition(":")
    address = {"socket_address": {"address": host, "port_value": int(backend_port)}}
    listener = {
        "address": {"socket_address": {"address": BARE, "port_value": port}},
        "filter_chains": [{"filters": [{"name": "http", "typed_config": manager}]}],
    }
    endpoints = [{"lb_endpoints": [{"endpoint": {"address": address}}]}]
    cluster = {"name": "web", "load_assignment": {"cluster_name": "web", "endpoints": endpoints}}
    return {"static_resources": {"listeners": [listener], "clusters": [cluster]}}


@pytest.fixture
async def bare(tmp_path):
    """Starts one in front of an endpoint; gives its port."""
    started = []

    async def start(endpoint: str) -> int:
        port = free_port(BARE)
        file = tmp_path / "bare.json"
        file.write_text(json.dumps(bare_envoy(port, endpoint)))
        command = [find_envoy(None), "-c", file, "--disable-hot-restart", "--concurrency", "1", "-l", "critical"]
        started.append(subprocess.Popen(command))
        async with asyncio.timeout(30):
            while True:
                try:
                    _, writer = await asyncio.open_connection(BARE, port)
                except OSError:
                    await asyncio.sleep(0.05)
                else:
                    writer.close()
                    return port

    yield start
    for process in started:
        process.kill()
        process.wait()


async def outcome(address: str, port: int, case: Case) -> Outcome:
    try:
        async with asyncio.timeout(_PATIENCE_S), http2(address, port) as connection:
            connection.octets(case.send(connection, HOST))
            return await connection.outcome(case.stream)
    except TimeoutError:
        return Outcome()
    except ConnectionError:
        return Outcome(closed=True)


async def passes(address: str, port: int) -> set[str]:
    outcomes = await asyncio.gather(*(outcome(address, port, case) for case in CASES))
    return {case.name for case, what in zip(CASES, outcomes, strict=True) if case.passed(what)}


async def test_not_fewer_passes_than_a_bare_envoy(stage, bare):
    backend = Recorder()
    endpoint = await backend.start("127.0.7.9")
    async with stage.edge() as runner:
        routes = [{"name": "all", "split": {"web": 100}}]
        await runner.publish(stage.snapshot({"web": {"dc": [endpoint]}}, routes))
        ours, theirs = await passes(DC, stage.port), await passes(BARE, await bare(endpoint))
    backend.close()
    everything = {case.name for case in CASES}
    print(f"{len(ours)} of {len(CASES)}, bare Envoy {len(theirs)}; not passed: {sorted(everything - ours)}")
    assert theirs <= ours
    assert len(ours) >= len(CASES) - 4
