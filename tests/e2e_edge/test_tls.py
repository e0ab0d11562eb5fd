"""TLS at the real Envoy: certificates by server name, replaced without a restart, and backends that speak it."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl

import pytest

from gslb.health.request import ask, open_session
from gslb.health.tries import Tries
from gslb.model.policy import Policy
from gslb.snapshot.compile import compile_snapshot
from gslb.snapshot.intent import Intent
from gslb.snapshot.targets import probe_targets
from tests.e2e_edge.conftest import DC, counts, eventually, seen
from tests.support.certificates import Authority, put
from tests.support.ports import free_port


@pytest.fixture
def authority():
    return Authority()


def policy(stage, https_port, backends=None, listen=None, **apps):
    return Policy.model_validate(
        {
            "zone": {"name": "gslb.test", "nameservers": {"ns1": ["127.0.7.53"]}},
            "sites": {
                "dc": {
                    "edges": [{"public": [DC]}],
                    "listen": {"http": stage.port, "https": https_port, **(listen or {})},
                }
            },
            "apps": {
                name: {
                    "hosts": [name],
                    "backends": backends,
                    "routes": [{"name": "all", "split": {next(iter(backends)): 100}}],
                    **({"tls": tls} if tls else {}),
                }
                for name, tls in apps.items()
            },
        }
    )


def compiled(revision, policy):
    return compile_snapshot(Intent(revision=revision, policy=policy), 0.0)


def trusting(authority, alpn=("http/1.1",)):
    context = ssl.create_default_context(cadata=authority.pem().decode())
    context.set_alpn_protocols(list(alpn))
    return context


@contextlib.asynccontextmanager
async def opened(port, name, authority, alpn=("http/1.1",)):
    reader, writer = await asyncio.open_connection(DC, port, ssl=trusting(authority, alpn), server_hostname=name)
    try:
        yield reader, writer
    finally:
        writer.close()
        with contextlib.suppress(OSError, ssl.SSLError):
            await writer.wait_closed()


async def get(port, name, authority, host=None):
    async with opened(port, name, authority) as (reader, writer):
        writer.write(f"GET / HTTP/1.1\r\nhost: {host or name}\r\nconnection: close\r\n\r\n".encode())
        return await reader.read()


async def serial(port, name, authority):
    async with opened(port, name, authority) as (_, writer):
        return writer.get_extra_info("peercert")["serialNumber"]


async def test_certificates_by_name_replaced_without_a_restart(stage, authority):
    https, folder = free_port(DC), stage.folder / "dc" / "certificates"
    folder.parent.mkdir()
    put(folder, "shop", authority.leaf("shop.gslb.test", "shop--dc.gslb.test"))
    put(folder, "blog", authority.leaf("*.gslb.test"))
    backends = {"web": {"dc": [stage.backend("web").endpoint]}}
    made = policy(
        stage, https, backends, shop={"cert": "shop.crt", "key": "shop.key", "redirect": True},
        blog={"cert": "blog.crt", "key": "blog.key", "min_version": "1.3"},
    )  # fmt: skip
    snapshot = compiled(1, made)
    async with stage.edge() as runner, open_session() as session:
        await runner.prepare(snapshot)
        await runner.publish(snapshot)
        assert (await get(https, "shop.gslb.test", authority)).startswith(b"HTTP/1.1 200")
        assert await serial(https, "shop.gslb.test", authority) != await serial(https, "blog.gslb.test", authority)
        async with opened(https, "blog.gslb.test", authority, ("h2", "http/1.1")) as (_, writer):
            agreed = writer.get_extra_info("ssl_object")
            assert (agreed.selected_alpn_protocol(), agreed.version()) == ("h2", "TLSv1.3")
        with pytest.raises((OSError, ssl.SSLError)):
            await get(https, "other.gslb.test", authority)
        misdirected = await get(https, "shop.gslb.test", authority, host="blog.gslb.test")
        assert misdirected.startswith(b"HTTP/1.1 421")
        redirected = await stage.connection().ask("/x?q=1")
        assert redirected.status == 301
        assert redirected.get("location") == f"https://shop.gslb.test:{https}/x?q=1"
        assert [(await ask(session, target, Tries())).ok for target in probe_targets(snapshot)] == [True, True]

        old = await serial(https, "shop.gslb.test", authority)
        pid = (await runner.state())[0].pid
        put(folder, "shop", authority.leaf("shop.gslb.test", "shop--dc.gslb.test"))
        await runner.look_at_certificates()

        async def is_new():
            return await serial(https, "shop.gslb.test", authority) != old

        assert await eventually(is_new)
        assert (await runner.state())[0].pid == pid
        await one_that_is_no_good(runner, session, snapshot, folder, authority)


async def one_that_is_no_good(runner, session, snapshot, folder, authority):
    """What does not fit together is not handed over; what is over is, and the probe takes it out."""
    shop = next(target for target in probe_targets(snapshot) if target.app == "shop")
    put(folder, "shop", (authority.leaf("shop.gslb.test")[0], authority.leaf("shop.gslb.test")[1]))
    await runner.look_at_certificates()
    state = next(item for item in runner.certificates() if item.secret == "shop.crt+shop.key")
    assert state.problem == "the key is not that of the certificate"
    assert (await ask(session, shop, Tries())).ok
    for names, days, why in (
        (("shop.gslb.test",), -0.5, "edge: the certificate is over"),
        (("other.test",), 1, "edge: the certificate does not name shop.gslb.test"),
    ):
        put(folder, "shop", authority.leaf(*names, days=days))
        await runner.look_at_certificates()

        async def told(why=why):
            return (await ask(session, shop, Tries())).reason == why

        assert await eventually(told)


async def test_an_app_without_its_files_is_out_and_the_others_are_served(stage, authority):
    https, folder = free_port(DC), stage.folder / "dc" / "certificates"
    folder.parent.mkdir()
    put(folder, "shop", authority.leaf("shop.gslb.test", "shop--dc.gslb.test"))
    backends = {"web": {"dc": [stage.backend("web").endpoint]}}
    made = policy(
        stage, https, backends, {"http3": True}, shop={"cert": "shop.crt", "key": "shop.key"},
        blog={"cert": "blog.crt", "key": "blog.key"},
    )  # fmt: skip
    async with stage.edge() as runner, open_session() as session:
        await runner.prepare(compiled(1, made))
        await runner.publish(compiled(1, made))
        answer = await get(https, "shop.gslb.test", authority)
        assert answer.startswith(b"HTTP/1.1 200")
        assert f'alt-svc: h3=":{https}"'.encode() in answer
        told = {target.app: await ask(session, target, Tries()) for target in probe_targets(compiled(1, made))}
        assert told["shop"].ok
        assert told["blog"].reason == "edge: the certificate does not name blog.gslb.test"
        problems = {item.secret: item.problem for item in runner.certificates()}
        assert problems["shop.crt+shop.key"] is None
        assert "blog.crt cannot be read" in problems["blog.crt+blog.key"]


async def test_a_backend_with_tls_a_host_of_its_own_and_names_that_are_checked(stage, authority, tmp_path):
    folder = stage.folder / "dc" / "certificates"
    folder.parent.mkdir()
    put(folder, "inner", authority.leaf("inner.example"))
    (folder / "ca.pem").write_bytes(authority.pem())
    backend = stage.backend("web", tls_cert=str(folder / "inner.crt"), tls_key=str(folder / "inner.key"))
    for revision, (sni, works) in enumerate((("inner.example", True), ("wrong.example", False)), 1):
        backends = {
            "web": {"dc": [backend.endpoint], "tls": {"sni": sni, "ca": "ca.pem"}, "host": "host.example"},
        }
        made = policy(stage, None, backends, shop=None)
        async with stage.edge(folder="dc") as runner:
            await runner.publish(compiled(revision, made))
            reply = await stage.connection().ask("/x")
            assert (reply.status == 200) == works
            if works:
                assert reply.json()["headers"]["host"] == "host.example"


async def test_a_mirror_speaks_tls_to_a_server_name_and_a_host_of_its_own(stage, authority):
    folder = stage.folder / "dc" / "certificates"
    folder.parent.mkdir()
    put(folder, "inner", authority.leaf("inner.example"))
    (folder / "ca.pem").write_bytes(authority.pem())
    old = stage.backend("old")
    copy = stage.backend("copy", tls_cert=str(folder / "inner.crt"), tls_key=str(folder / "inner.key"))
    tls = {"sni": "inner.example", "ca": "ca.pem"}
    backends = {
        "old": {"dc": [old.endpoint]},
        "copy": {"dc": [copy.endpoint], "tls": tls, "host": "host.example"},
        "wrong": {"dc": [copy.endpoint], "tls": {**tls, "sni": "wrong.example"}},
    }
    route = {
        "name": "all",
        "split": {"old": 100},
        "mirror": [{"to": name, "percent": 100} for name in ("copy", "wrong")],
    }
    async with stage.edge() as runner:
        await runner.publish(stage.snapshot(backends, [route]))
        reply = await stage.connection().ask("/x")
        assert reply.json()["headers"]["host"] == "shop.gslb.test"

        async def settled():
            got = await counts(runner, "all")
            return got if got.skipped.get("target_down") else None

        got = await eventually(settled)
        assert (got.mirrored, got.skipped) == (1, {"target_down": 1})
        (shadow,) = await seen_over_tls(copy, authority)
    assert shadow["headers"]["host"] == "host.example"


async def seen_over_tls(backend, authority):
    """What a backend saw that speaks TLS alone."""
    context = ssl.create_default_context(cadata=authority.pem().decode())
    reader, writer = await asyncio.open_connection(
        backend.address, backend.port, ssl=context, server_hostname="inner.example"
    )
    writer.write(b"GET /~seen HTTP/1.1\r\nhost: backend\r\nconnection: close\r\n\r\n")
    answer = await reader.read()
    writer.close()
    return json.loads(answer.partition(b"\r\n\r\n")[2])


async def test_trusted_proxies_may_say_who_the_client_is_and_others_may_not(stage):
    backend = stage.backend("web")
    backends = {"web": {"dc": [backend.endpoint]}}
    for trusted, expected in ((["127.0.0.0/8"], "192.0.2.7"), (["10.0.0.0/8"], "127.0.0.1")):
        made = policy(stage, None, backends, {"trusted_proxies": trusted, "max_connection_age": "1h"}, shop=None)
        async with stage.edge(folder=f"edge-{expected}") as runner:
            await runner.publish(compiled(1, made))
            reply = await stage.connection().ask("/x", x_forwarded_for="198.51.100.1, 192.0.2.7")
            headers = reply.json()["headers"]
            assert headers["x-forwarded-for"].startswith("198.51.100.1, 192.0.2.7,") or expected == "127.0.0.1"
            assert headers.get("x-envoy-external-address") == expected
    assert await seen(backend)


async def test_the_proxy_protocol_tells_the_client_and_nobody_else_is_heard(stage):
    backends = {"web": {"dc": [stage.backend("web").endpoint]}}
    listen = {"trusted_proxies": ["127.0.0.0/8"], "proxy_protocol": True}
    async with stage.edge() as runner:
        await runner.publish(compiled(1, policy(stage, None, backends, listen, shop=None)))
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(
            b"PROXY TCP4 192.0.2.9 127.0.7.1 5000 80\r\nGET / HTTP/1.1\r\nhost: shop.gslb.test\r\nconnection: close\r\n\r\n"
        )
        answer = await reader.read()
        assert b"192.0.2.9" in answer
        writer.close()
        reader, writer = await asyncio.open_connection(DC, stage.port)
        writer.write(b"GET / HTTP/1.1\r\nhost: shop.gslb.test\r\n\r\n")
        with contextlib.suppress(ConnectionResetError):
            assert await reader.read() == b""
        writer.close()


async def test_more_ports_have_routes_of_their_own(stage):
    also = free_port(DC)
    web, new = stage.backend("web"), stage.backend("new")
    made = policy(stage, None, {"web": {"dc": [web.endpoint]}}, {"also": [also]}, shop=None)
    apps = made.model_dump(mode="json")["apps"]
    apps["beta"] = {
        "hosts": ["shop2"], "ports": [also], "backends": {"new": {"dc": [new.endpoint]}},
        "routes": [{"name": "all", "split": {"new": 100}}],
    }  # fmt: skip
    both = Policy.model_validate({**made.model_dump(mode="json"), "apps": apps})
    apps["beta"]["hosts"] = ["shop3"]
    changed = Policy.model_validate({**made.model_dump(mode="json"), "apps": apps})
    gone = policy(stage, None, {"web": {"dc": [web.endpoint]}}, shop=None)
    async with stage.edge() as runner:
        for revision, (now, host) in enumerate(((made, None), (both, "shop2"), (changed, "shop3"), (gone, None)), 1):
            await runner.publish(compiled(revision, now))
            if host:
                stage.port, http = also, stage.port
                connection = stage.connection()
                connection.host = f"{host}.gslb.test:{also}"
                assert (await connection.ask("/")).json()["name"] == "new"
                connection.host = "shop.gslb.test"
                assert (await connection.ask("/")).status == 404
                stage.port = http
            assert (await stage.connection().ask("/")).json()["name"] == "web"
        assert not list((stage.folder / "dc").glob("rds-*/routes.json"))
