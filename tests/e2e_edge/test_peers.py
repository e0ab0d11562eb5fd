"""The hop to another edge: taken once, by edges alone, with the decision of the first."""

from __future__ import annotations

import asyncio
import ssl

import pytest

from gslb.edge import EdgeRunner, find_envoy
from gslb.edge.admin import Admin
from gslb.errors import HostError, RefusedError
from gslb.roles.identities.edge_credentials import edge_credentials
from gslb.snapshot.intent import Drain, Overrides, Provenance
from gslb.snapshot.types import SiteName
from tests.e2e_edge.conftest import AWS, CHECK, DC, HOST, eventually, seen
from tests.e2e_edge.test_routes import upgrade, upgraded
from tests.support.http1 import Connection, load
from tests.support.identities import Authority
from tests.support.ports import free_port

ROUTES = [{"name": "all", "split": {"old": 100}, "timeout": "10s"}]
DRAINED = Overrides(version=1, drains=(Drain(site="dc", by=Provenance(at_s=0)),))


@pytest.fixture
def authority(tmp_path):
    made = Authority(tmp_path / "trust")
    made.give("edge-dc", "m1/edge/dc")
    made.give("edge-aws", "m2/edge/aws")
    return made


@pytest.fixture
def peers(stage):
    return {site: f"{address}:{free_port(address)}" for site, address in (("dc", DC), ("aws", AWS))}


async def through(stage, address=DC, path="/", method="GET", **headers):
    return await stage.connection(address).ask(path, method, **headers)


async def hopped(runner, total):
    async def all_in():
        await runner.state()
        return runner.hops().get(("shop", "old"), 0) == total

    await eventually(all_in)


async def test_a_backend_elsewhere_is_reached_through_the_edge_beside_it(stage, peers, authority):
    far = stage.backend("far")
    backends = {"old": {"check": CHECK, "aws": [far.endpoint], "via": "edge"}}
    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        snapshot = stage.snapshot(backends, ROUTES, peers=peers)
        for runner in (aws, dc):
            await runner.prepare(snapshot)
            await runner.publish(snapshot)
        reply = await through(stage, path="/x?y=1", x_gslb_hop="forged", x_forwarded_for="6.6.6.6")
        assert (reply.status, reply.json()["path"]) == (200, "/x?y=1")
        assert (await through(stage, method="POST")).status == 200
        assert (await through(stage, AWS)).status == 200, "its own clients go straight"
        got = await seen(far)
        await hopped(aws, 2)
        assert dc.hops() == {}
    assert [item["method"] for item in got] == ["GET", "POST", "GET"]
    assert "x-gslb-hop" not in got[0]["headers"]
    told, edge = got[0]["headers"]["x-forwarded-for"].split(",")
    assert told == "6.6.6.6"
    assert edge == got[2]["headers"]["x-forwarded-for"], "who came to the first edge, and no peer behind it"
    assert got[0]["headers"]["host"] == HOST


async def test_a_drained_site_and_one_that_lost_its_backend_hand_over_at_once_and_back(stage, peers, authority):
    near, far = stage.backend("near"), stage.backend("far")
    backends = {"old": {"check": CHECK, "dc": [near.endpoint], "aws": [far.endpoint], "via": "edge"}}
    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        await aws.publish(stage.snapshot(backends, ROUTES, peers=peers))
        await dc.publish(stage.snapshot(backends, ROUTES, peers=peers))
        async with load(DC, stage.port, HOST, "/") as result:

            async def answered(name):
                more = result.answered[name] + 20

                async def grown():
                    return result.answered[name] >= more

                await eventually(grown)

            await answered("near")
            await dc.publish(stage.snapshot(backends, ROUTES, DRAINED, peers=peers))
            await answered("far")
            await dc.publish(stage.snapshot(backends, ROUTES, peers=peers))
            await answered("near")
            near.kill()
            await answered("far")
        assert not result.failures


async def test_a_peer_never_forwards_again(stage, peers, authority):
    """Both sites drained, no endpoint alive anywhere: an answer comes, and each peer is asked by the other alone."""
    near, far = stage.backend("near"), stage.backend("far")
    backends = {"old": {"dc": [near.endpoint], "aws": [far.endpoint], "via": "edge"}}
    near.kill()
    far.kill()
    both = Overrides(version=1, drains=tuple(Drain(site=name, by=Provenance(at_s=0)) for name in ("dc", "aws")))
    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        for runner in (aws, dc):
            await runner.publish(stage.snapshot(backends, [{**ROUTES[0], "retries": 0}], both, peers=peers))
        assert (await through(stage, method="POST")).status == 503
        await hopped(aws, 1)
        await hopped(dc, 0)


async def _ask_peer(peers, authority, certificate, server_name):
    context = ssl.create_default_context(cafile=str(authority.trust / "ca.pem"))
    context.check_hostname = False
    context.set_alpn_protocols(["http/1.1"])
    if certificate:
        context.load_cert_chain(certificate / "cert.pem", certificate / "key.pem")
    host, port = peers["aws"].split(":")
    reader, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname=server_name)
    connection = Connection(host, int(port), HOST)
    connection._streams = reader, writer
    return connection


async def _is_let_in(peers, authority, certificate):
    try:
        connection = await _ask_peer(peers, authority, certificate, "old.shop.gslb-hop")
    except OSError:
        return False
    try:
        return (await connection.ask("/")).status == 200
    except (OSError, asyncio.IncompleteReadError):
        return False
    finally:
        await connection.close()


async def test_only_edges_of_the_policy_come_in_and_only_to_what_is_there(stage, peers, authority):
    far = stage.backend("far")
    backends = {"old": {"aws": [far.endpoint], "via": "edge"}, "own": {"aws": [far.endpoint]}}
    routes = [{"name": "all", "split": {"old": 50, "own": 50}}]
    stranger = Authority(authority.trust.parent / "other").give("edge-dc", "m1/edge/dc")
    known = authority.trust / "identities" / "edge-dc"
    refused = {
        "nobody": None,
        "another installation": stranger,
        "another role": authority.give("dns", "m1/dns"),
        "an edge that the policy lacks": authority.give("edge-lab", "m1/edge/lab"),
        "the site itself": authority.trust / "identities" / "edge-aws",
    }
    async with stage.edge("aws") as aws:
        await aws.publish(stage.snapshot(backends, routes, peers=peers))
        for who, certificate in refused.items():
            assert not await _is_let_in(peers, authority, certificate), who
        assert await _is_let_in(peers, authority, known)
        for name, status in (("old.shop.gslb-hop", 200), ("own.shop.gslb-hop", 503), ("shop", 503)):
            connection = await _ask_peer(peers, authority, known, name)
            assert (await connection.ask("/", x_gslb_hop="old.shop.gslb-hop")).status == status
            await connection.close()


async def test_who_was_removed_comes_in_no_more_not_even_by_a_connection_that_is_open(stage, peers, authority):
    far = stage.backend("far")
    backends = {"old": {"aws": [far.endpoint], "via": "edge"}}
    dc, lab = authority.trust / "identities" / "edge-dc", authority.give("edge-two", "m3/edge/dc")
    async with stage.edge("aws") as aws:
        aws.shut_out(["m9"])
        await aws.publish(stage.snapshot(backends, ROUTES, peers=peers))
        open_one = await _ask_peer(peers, authority, dc, "old.shop.gslb-hop")
        assert (await open_one.ask("/")).status == 200

        async def told(status):
            return (await open_one.ask("/")).status == status

        aws.shut_out(["m1", "m9"])
        await eventually(lambda: told(403))
        assert not await _is_let_in(peers, authority, dc)
        assert await _is_let_in(peers, authority, lab), "another machine of the same site"
        await aws.publish(stage.snapshot(backends, ROUTES, DRAINED, peers=peers))
        assert not await _is_let_in(peers, authority, dc), "nor with the next policy"
        aws.shut_out([])
        await eventually(lambda: told(200))
        await open_one.close()
    async with stage.edge("aws") as aws:
        aws.shut_out(["m1"])
        await aws.publish(stage.snapshot(backends, ROUTES, peers=peers))
        assert not await _is_let_in(peers, authority, dc), "nor after a restart"


async def test_a_renewed_certificate_is_taken_without_a_restart(stage, peers, authority):
    far = stage.backend("far")
    backends = {"old": {"aws": [far.endpoint], "via": "edge"}}
    async with stage.edge("aws") as aws:
        await aws.publish(stage.snapshot(backends, ROUTES, peers=peers))

        async def serial():
            connection = await _ask_peer(peers, authority, authority.trust / "identities/edge-dc", "x")
            tls = connection._streams[1].get_extra_info("ssl_object")
            number = tls.getpeercert()["serialNumber"]
            await connection.close()
            return number

        first = await serial()
        authority.give("edge-aws", "m2/edge/aws")

        async def renewed():
            return await serial() != first

        await eventually(renewed)


async def test_without_an_identity_the_policy_is_refused_with_a_remedy(stage, peers):
    backends = {"old": {"aws": ["192.0.2.1:80"], "via": "edge"}}
    async with stage.edge("dc") as dc:
        with pytest.raises(RefusedError, match="no certificate") as refusal:
            await dc.prepare(stage.snapshot(backends, ROUTES, peers=peers))
    assert refusal.value.rule == "no-identity"


def test_credentials_that_cannot_be_used_are_told(tmp_path):
    authority = Authority(tmp_path)
    assert edge_credentials(tmp_path, "edge-dc") is None
    authority.give("edge-dc", "m1/edge/dc")
    assert edge_credentials(tmp_path, "edge-dc").trust_domain == "gslb.test"
    (tmp_path / "ca.pem").unlink()
    with pytest.raises(HostError, match="is missing"):
        edge_credentials(tmp_path, "edge-dc")
    (tmp_path / "identities" / "edge-dc" / "cert.pem").write_text("nothing")
    with pytest.raises(HostError, match="cannot be used"):
        edge_credentials(tmp_path, "edge-dc")


async def test_the_resources_pass_envoys_own_validation(stage, peers, authority, tmp_path):
    backends = {"old": {"check": CHECK, "dc": ["192.0.2.1:80"], "aws": ["192.0.2.2:80"], "via": "edge"}}
    routes = [{**ROUTES[0], "mirror": [{"to": "old", "percent": 10}]}]
    runner = EdgeRunner(
        SiteName("dc"), tmp_path / "dc", find_envoy(None), 1, lambda: edge_credentials(authority.trust, "edge-dc")
    )
    await runner.prepare(stage.snapshot(backends, routes, DRAINED, peers=peers))


async def test_copies_go_through_a_peer_and_a_stalled_one_holds_up_nobody(stage, peers, authority):
    old, copy, stalled = stage.backend("old"), stage.backend("copy"), stage.backend("stalled", stall="yes")
    backends = {"old": {"dc": [old.endpoint]}}
    backends |= {name: {"aws": [it.endpoint], "via": "edge"} for name, it in (("copy", copy), ("stalled", stalled))}
    mirror = {"percent": 100, "methods": ["GET", "POST"], "max_body": 200_000}
    route = {**ROUTES[0], "mirror": [{"to": name, **mirror} for name in ("copy", "stalled")]}
    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        snapshot = stage.snapshot(backends, [route], peers=peers)
        await aws.publish(snapshot)
        await dc.publish(snapshot)
        sent = [stage.connection().ask("/", "POST", b"x" * 100_000) for _ in range(40)]
        assert {reply.status for reply in await asyncio.gather(*sent)} == {200}

        async def all_in():
            got = await seen(copy)
            return got if len(got) == 40 else None

        got = await eventually(all_in)
        given_up = await Admin(str(stage.folder / "dc" / "admin.sock")).stats("stalled~mirror1.*max_duration_reached")
    assert {(item["body"], item["headers"]["x-gslb-shadow"]) for item in got} == {(100_000, "1")}
    assert sum(given_up.values()) == 0


async def test_a_websocket_goes_through_a_peer(stage, peers, authority):
    echo = await asyncio.start_server(upgraded, "127.0.7.9", 0)
    port = echo.sockets[0].getsockname()[1]
    backends = {"ws": {"aws": [f"127.0.7.9:{port}"], "via": "edge"}}
    routes = [{"name": "ws", "split": {"ws": 100}, "websocket": True}]
    async with stage.edge("dc") as dc, stage.edge("aws") as aws:
        snapshot = stage.snapshot(backends, routes, peers=peers)
        await aws.publish(snapshot)
        await dc.publish(snapshot)
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(upgrade("/ws"))
        assert (await reader.readuntil(b"\r\n\r\n")).startswith(b"HTTP/1.1 101")
        writer.write(b"hello")
        assert await reader.readexactly(5) == b"HELLO"
        writer.close()
    echo.close()
