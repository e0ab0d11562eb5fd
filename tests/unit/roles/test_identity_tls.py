"""Identities over real sockets: the API and node endpoints with mTLS, renewal, and whoever must be turned away."""

from __future__ import annotations

import asyncio
import contextlib
import json
import ssl
from contextlib import asynccontextmanager

import aiohttp
import pytest
import structlog.testing

from gslb import clock
from gslb.control.http.client import Client, TlsFiles
from gslb.control.installation.rosters import REGISTERED
from gslb.control.protocol import CALLER, Offer, Peer, Roster
from gslb.errors import HostError, RefusedError
from gslb.roles.api_listener import open_api
from gslb.roles.endpoint.node import Node, serve_unix
from gslb.roles.endpoint.node_client import NodeClient, Remote
from gslb.roles.endpoint.node_door import address_of, being_known, serve_node
from gslb.roles.identities import authority_work
from gslb.roles.identities import identity as identity_module
from gslb.roles.identities.authority_work import (
    Beginning,
    Person,
    begin,
    issue_operator,
    issue_server,
    renew,
    revoke_operator,
)
from gslb.roles.identities.certificate_source import CertificateSource
from gslb.roles.identities.identity import Identity
from gslb.roles.identities.joining import Joiner, join
from gslb.roles.identities.trust_desk import TrustDesk
from gslb.roles.identities.trust_home import home_at
from gslb.roles.keeping.signed_overrides import SignedOverrides
from gslb.roles.settings import Settings
from gslb.snapshot.bundle import Bundle
from gslb.store.embedded import EmbeddedStore
from gslb.trust import tls
from gslb.trust.authority import Subject, make_leaf, make_root, pem_of
from gslb.trust.emergency import SiteEmergency, signed_override
from gslb.trust.identity_files import IdentityFolder, MachineFile, read_machine, trust_folder
from gslb.trust.join import parse_token
from gslb.trust.private_files import make_folder, write_private
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signing import Signer, make_key, public_of
from gslb.trust.spiffe import parse_spiffe
from tests.support.ports import free_port
from tests.unit.control.world import NOW_S, MemoryPublisher, intent
from tests.unit.roles.node_process import Role

HOST = "127.0.7.9"
DOMAIN = "gslb.example.com"
DAY_S = 86400.0


class Nodes:
    """What a publisher is told about machines elsewhere."""

    def reach_by(self, machine, domain, tls):
        self.way = machine, domain, tls


class World:
    """The first control, m1, with its API on a real port; others join it."""

    def __init__(self, folder, **given):
        self.folder, self.port, self.node_port = folder, free_port(HOST), free_port(HOST)
        self.data = folder / "m1"
        self.url = f"https://{HOST}:{self.port}"
        wanted = {
            "domain": DOMAIN, "name": "m1", "roles": ("control", "dns"), "sites": (), "api": self.url,
            "address": f"{HOST}:{self.node_port}", "data": make_folder(self.data), **given,
        }  # fmt: skip
        begin(Beginning(**wanted))
        self.settings = Settings(runtime=folder, data=self.data, api=(HOST, self.port), roles=("control", "dns"))

    async def start(self, **given):
        self.settings = self.settings.model_copy(update=given)
        self.store = EmbeddedStore(self.data)
        self.publisher = MemoryPublisher(intent())
        self.publisher.nodes = Nodes()
        self.desk = TrustDesk.of(self.settings, self.store)
        self.desk.serve(self.publisher)
        self.desk.registrar.register()
        await self.desk.begin()
        self.listener = await open_api(self.publisher, self.settings, self.desk.identity)

    async def stop(self):
        await self.listener.cleanup()
        self.store.close()

    async def token(self, *roles, **given):
        from gslb.control.bodies.join_messages import JoinTokenRequest

        made = await self.desk.registrar.new_token(JoinTokenRequest(roles=roles, **given))
        return parse_token(made["token"])

    async def join(self, name="m2", *roles, address=None, token=None, **given):
        token = token or await self.token(*(roles or ("dns",)), **given)
        joiner = Joiner(name, self.folder / name, address or f"{HOST}:{free_port(HOST)}")
        await asyncio.to_thread(join, token, self.url, joiner)
        settings = Settings(runtime=self.folder, data=self.folder / name, roles=tuple(roles or ("dns",)))
        return settings


@asynccontextmanager
async def world(folder, settings=None, **given):
    made = World(folder, **given)
    await made.start(**(settings or {}))
    try:
        yield made
    finally:
        await made.stop()


@asynccontextmanager
async def node(settings, process="dns"):
    """A role process' endpoint over TCP, once it is open; with its identity."""
    identity = Identity.of(settings, process)
    folder = make_folder(settings.data / process)
    made = Node(Role(), folder, TrustFolder(settings.trust))
    made.identity_ends_s = lambda: identity.ends_s
    task = asyncio.get_running_loop().create_task(serve_node(made, identity, settings))
    host, port = address_of(identity, settings)
    try:
        async with asyncio.timeout(10):
            while True:
                with contextlib.suppress(OSError):
                    _, writer = await asyncio.open_connection(host, port)
                    writer.close()
                    break
                await asyncio.sleep(0.02)
        made.url, made.identity = f"https://{host}:{port}", identity
        yield made
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


@asynccontextmanager
async def asking(remote, caller="x"):
    client = NodeClient("node", remote, caller)
    try:
        yield client
    finally:
        await client.close()


def shown(folder, who, authority=None, *, wall_s=None, life_s=DAY_S, data=None):
    """A client context with a certificate of `who`, made by whoever can."""
    from gslb.roles.identities.trust_home import home_at, new_key, new_serial

    home = home_at(data) if data is not None else None
    state = home.read() if home else None
    authority = authority or home.signing(state)
    trust, key = make_folder(folder), new_key()
    subject = Subject(parse_spiffe(f"spiffe://{DOMAIN}/{who}"))
    leaf = make_leaf(authority, key.public_key(), subject, new_serial(), wall_s or clock.wall_s(), life_s)
    files = IdentityFolder(trust, "x")
    files.write(key, pem_of(leaf, authority.certificate))
    write_private(files.ca, (state.bundle if state else pem_of(authority.certificate)).encode())
    return tls.client_context(files)


def offered(it):
    """What the first control signs; whoever joined believes it."""
    bundle = TrustFolder(it.settings.trust).signed(Bundle.of(intent(), None))
    return Offer(bundle=bundle, wall_s=NOW_S)


# Joining --------------------------------------------------------------------------------------------------------------


async def test_a_machine_joins_and_control_publishes_to_it_over_mtls(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        machine = read_machine(trust_folder(settings.data))
        assert (machine.machine, machine.domain, machine.roles) == ("m2", DOMAIN, ("dns",))
        assert machine.controls[0].url == it.url
        secrets = [settings.data / name for name in ("dns/cookie.secret", "dnssec.secret")]
        assert [path.read_text() for path in secrets] == [
            (it.data / path.relative_to(settings.data)).read_text() for path in secrets
        ]
        assert not (settings.data / "trust" / "installation.secret").exists()
        for path in (*settings.data.rglob("*.pem"), *secrets, settings.data / "trust" / "machine.json"):
            assert path.stat().st_mode & 0o077 == 0, path
        async with node(settings) as made:
            assert it.publisher.nodes.way[:2] == ("m1", DOMAIN)
            remote = Remote(made.url, f"spiffe://{DOMAIN}/m2/dns", it.publisher.nodes.way[2])
            async with asking(remote, "control") as client:
                await client.read()
                assert client.state.identity_ends_wall_s == made.identity.ends_s
                applied = await client.offer("/publish", offered(it), 5)
                assert applied.revision == 1
                assert made._role.snapshot.version.revision == 1


async def test_a_second_control_gets_all_that_it_needs(tmp_path):
    async with world(tmp_path) as it:
        token = await it.token("control")
        joiner = Joiner("m2", tmp_path / "m2", None, f"https://{HOST}:{free_port(HOST)}")
        await asyncio.to_thread(join, token, it.url, joiner)
        desk = TrustDesk.of(Settings(runtime=tmp_path, data=tmp_path / "m2"), it.store)
        await desk.begin()
        assert desk.registrar.state == it.desk.registrar.state
        await desk.identity.renew(desk.ask)
        assert len(desk.identity.machine.controls) == 2


async def test_a_token_is_shown_to_nobody_but_its_installation(tmp_path, monkeypatch):
    async with world(tmp_path) as it:
        token = await it.token("dns")
        (tmp_path / "b").mkdir()
        async with world(tmp_path / "b") as other:
            heard = []
            monkeypatch.setattr(type(other.desk.registrar), "_join", lambda *given: heard.append(given))
            with pytest.raises(RefusedError, match="nothing was told") as caught:
                await asyncio.to_thread(join, token, other.url, Joiner("m2", tmp_path / "m2", f"{HOST}:1"))
            assert caught.value.rule == "join-root"
            assert heard == []
            assert not (tmp_path / "m2" / "trust").exists()
    with pytest.raises(HostError, match="cannot be asked"):
        await asyncio.to_thread(join, token, it.url, Joiner("m2", tmp_path / "m2", f"{HOST}:1"))


async def test_who_only_repeats_the_roots_is_told_nothing(tmp_path):
    """A man in the middle shows the right roots, as anybody may, with a certificate of somebody else."""
    from aiohttp import web

    from gslb.roles.api_listener import serve_tcp

    async with world(tmp_path) as it:
        token, heard = await it.token("dns"), []

        async def trust(_request):
            return web.json_response(await it.desk.registrar.trust())

        async def take(request):
            heard.append(await request.read())
            return web.json_response({})

        for who, authority in (
            ("m9/control", None),
            ("m2/dns", it.desk.registrar._home.signing(it.desk.registrar.state)),
        ):
            from gslb.roles.identities.trust_home import new_key, new_serial

            key = new_key()
            authority = authority or make_root(new_key(), DOMAIN, new_serial(), clock.wall_s())
            leaf = make_leaf(
                authority, key.public_key(), Subject(parse_spiffe(f"spiffe://{DOMAIN}/{who}")), new_serial(),
                clock.wall_s(), DAY_S,
            )  # fmt: skip
            files = IdentityFolder(make_folder(tmp_path / who.replace("/", "-")), "x")
            files.write(key, pem_of(leaf, authority.certificate))
            write_private(files.ca, pem_of(authority.certificate).encode())
            app = web.Application()
            app.add_routes([web.get("/v1/trust", trust), web.post("/v1/join", take)])
            listener = await serve_tcp(app, HOST, 0, tls.server_context(files, required=False))
            url = f"https://{HOST}:{listener.address[1]}"
            with pytest.raises((RefusedError, HostError), match=r"no control|certificate|unable"):
                await asyncio.to_thread(join, token, url, Joiner("m2", tmp_path / "m2", f"{HOST}:1"))
            await listener.cleanup()
        assert heard == []


async def test_joining_twice(tmp_path):
    async with world(tmp_path) as it:
        await it.join()
        with pytest.raises(RefusedError, match="joined") as caught:
            await asyncio.to_thread(join, await it.token("dns"), it.url, Joiner("m3", tmp_path / "m2", f"{HOST}:1"))
        assert caught.value.rule == "joined"
        with pytest.raises(RefusedError, match="machine-exists"):
            await it.join("m2")
        settings = await it.join("m2", token=await it.token(rejoins="m2"))
        async with node(settings) as made:
            assert made.identity.is_good


# Who is turned away ---------------------------------------------------------------------------------------------------


async def status_of(url, context, path="/state", method="GET", **given):
    async with (
        aiohttp.ClientSession() as session,
        session.request(method, url + path, ssl=context, **given) as response,
    ):
        return response.status, await response.json(content_type=None)


async def test_who_may_ask_a_node_what(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        async with node(settings) as made:
            certificates = {who: shown(tmp_path / who.replace("/", "-"), who, data=it.data) for who in (
                "m1/control", "m3/dns", "operator/ann", "server/etcd")}  # fmt: skip
            certificates[None] = tls.only_trusting(settings.data / "trust" / "ca.pem")
            for who, method, path, expected in (
                ("m1/control", "GET", "/state", 200),
                ("m3/dns", "GET", "/state", 200),
                ("m3/dns", "HEAD", "/state", 200),
                ("operator/ann", "GET", "/state", 200),
                ("server/etcd", "GET", "/state", 403),
                (None, "GET", "/state", 401),
                ("m3/dns", "POST", "/publish", 403),
                ("operator/ann", "POST", "/prepare", 403),
                ("m3/dns", "PUT", "/roster", 403),
                ("m1/control", "POST", "/v1/drains", 403),
                ("m1/control", "GET", "/nothing", 404),
                ("m1/control", "DELETE", "/state", 405),
                (None, "POST", "/publish", 401),
            ):
                assert (await status_of(made.url, certificates[who], path, method))[0] == expected, (who, method, path)


async def test_silence_of_control_is_heard_by_certificate_and_not_by_a_header(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        async with node(settings) as made:
            dns = shown(tmp_path / "x", "m3/dns", data=it.data)
            control = shown(tmp_path / "y", "m1/control", data=it.data)
            made._heard_mono_s = clock.mono_s() - 100
            _, told = await status_of(made.url, dns, headers={CALLER: "control"})
            assert told["control_silence_s"] >= 100
            _, told = await status_of(made.url, control)
            assert told["control_silence_s"] >= 100
            _, told = await status_of(made.url, dns)
            assert told["control_silence_s"] < 50


async def refused(url, context, path="/state"):
    with pytest.raises((aiohttp.ClientError, ssl.SSLError, ConnectionError)):
        await status_of(url, context, path)
    return True


async def test_who_cannot_prove_who_they_are_gets_no_connection(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        foreign = make_root(authority_work.new_key(), DOMAIN, authority_work.new_serial(), clock.wall_s())
        ca = settings.data / "trust" / "ca.pem"
        async with node(settings) as made:
            for name, given in (
                ("ended", {"data": it.data, "wall_s": clock.wall_s() - 2 * DAY_S}),
                ("future", {"data": it.data, "wall_s": clock.wall_s() + DAY_S}),
                ("foreign", {"authority": foreign}),
            ):
                context = shown(tmp_path / name, "m1/control", **given)
                context.load_verify_locations(cafile=ca)
                assert await refused(made.url, context)
            old = tls.only_trusting(ca)
            old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_2
            assert await refused(made.url, old)
            assert await refused(made.url, tls.only_trusting(pem_of(foreign.certificate)))
            assert await refused(made.url.replace("https", "http"), None)


async def test_a_certificate_that_ends_on_an_open_connection_is_good_no_more(tmp_path, monkeypatch):
    async with world(tmp_path) as it:
        settings = await it.join()
        async with node(settings) as made, aiohttp.ClientSession() as session:
            context = shown(tmp_path / "x", "m1/control", data=it.data)
            assert (await session.get(made.url + "/state", ssl=context)).status == 200
            now_s = clock.wall_s()
            monkeypatch.setattr(clock, "wall_s", lambda: now_s + 2 * DAY_S)
            response = await session.get(made.url + "/state", ssl=context)
            assert (response.status, (await response.json(content_type=None))["rule"]) == (401, "certificate")


@pytest.mark.parametrize(
    "spiffe", [f"spiffe://{DOMAIN}/m3/dns", f"spiffe://{DOMAIN}/m2/edge/dc", "", "spiffe://x/m2/dns"]
)
async def test_another_node_at_the_address_is_told_nothing(tmp_path, spiffe):
    async with world(tmp_path) as it:
        settings = await it.join()
        async with node(settings) as made, asking(Remote(made.url, spiffe, it.desk.identity.tls), "control") as client:
            await client.read()
            assert client.state is None
            assert await client.offer("/publish", offered(it), 5) is None
            assert made._role.snapshot is None


async def test_a_machine_that_was_removed_is_heard_no_more(tmp_path):
    async with world(tmp_path) as it:
        settings, gone = await it.join(), await it.join("m3")
        identity = Identity.of(gone, "dns")
        peer = Peer(name="m2/dns", role="dns", address="https://x:1", spiffe=f"spiffe://{DOMAIN}/m2/dns")
        other = Peer(name="m3/dns", role="dns", address="https://x:1", spiffe=f"spiffe://{DOMAIN}/m3/dns")
        async with node(settings) as made:
            await made.rosters.take(Roster(number=REGISTERED + 1, peers=(peer, other)).model_dump_json().encode())
            assert (await status_of(made.url, identity.tls()))[0] == 200
            await it.desk.registrar.remove("m3", "ann", "")
            await made.rosters.take(Roster(number=REGISTERED + 2, peers=(peer,)).model_dump_json().encode())
            status, told = await status_of(made.url, identity.tls())
            assert (status, told["rule"]) == (403, "machine-removed")
        before = identity.ends_s
        with pytest.raises(RefusedError, match="does not belong"):
            await identity.renew(CertificateSource(gone, identity).ask)
        assert identity.ends_s == before


async def test_a_control_that_was_removed_is_neither_heard_nor_asked(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        lost = shown(tmp_path / "lost", "m9/control", data=it.data)
        async with node(settings) as made:
            assert (await status_of(made.url, lost))[0] == 200
            await made.rosters.take(Roster(number=1, removed=("m9",)).model_dump_json().encode())
            for method, path in (("GET", "/state"), ("POST", "/publish"), ("PUT", "/roster"), ("PUT", "/pushed")):
                status, told = await status_of(made.url, lost, path, method, data=b"{}")
                assert (status, told["rule"]) == (403, "machine-removed"), path
            assert (await status_of(made.url, it.desk.identity.tls()))[0] == 200
            await made.rosters.take(Roster(number=2).model_dump_json().encode())
            assert (await status_of(made.url, lost))[0] == 200, "it has joined again"
            asked = CertificateSource(settings, made.identity, lambda: ("m1",)).ask
            with pytest.raises(HostError, match="no control has an address"):
                await made.identity.renew(asked)


# Renewal --------------------------------------------------------------------------------------------------------------


async def test_a_renewal_is_shown_at_once_and_drops_no_connection(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        async with node(settings) as made, aiohttp.ClientSession() as session:
            context = it.desk.identity.tls()
            assert (await session.get(made.url + "/state", ssl=context)).status == 200
            client, served = made.identity.tls(), await shown_by(made.url, context)
            await made.identity.renew(CertificateSource(settings, made.identity).ask)
            assert made.identity.tls() is not client
            assert await shown_by(made.url, context) != served
            async with asking(Remote(it.url, f"spiffe://{DOMAIN}/m1/control", made.identity.tls)) as asked:
                assert (await asked.call("GET", "/v1/status", None, 5))[0] == 403
            connections = [len(pool) for pool in session.connector._conns.values()]
            assert connections == [1], "the first one is still open"
            assert (await session.get(made.url + "/state", ssl=context)).status == 200
        assert made.identity.files.read().ends_s == made.identity.ends_s
        folders = [path for path in made.identity.files.folder.glob(".*") if path.is_dir()]
        assert len(folders) == 2, "the one before stays, and none before that"


async def test_belief_in_an_emergency_key_reaches_machines_with_their_next_certificates(tmp_path):
    key = make_key(b"a" * 32)
    public = Signer.of(public_of(key), "ann", "emergency")
    emergency = SiteEmergency(
        id="1" * 32, environment="test", action="drain", site="dc", author="ann", signed_s=NOW_S,
        good_until_s=NOW_S + DAY_S,
    )  # fmt: skip
    body = signed_override(key, emergency).model_dump_json().encode()
    async with world(tmp_path) as it:
        settings = await it.join()
        identity, there = Identity.of(settings, "dns"), TrustFolder(settings.trust)
        overrides, here = SignedOverrides(settings.data / "dns", there), TrustFolder(it.settings.trust)
        with pytest.raises(RefusedError) as refused:
            overrides.take(body, "test", NOW_S)
        assert refused.value.rule == "unknown-signer"

        here.change(lambda known: known.with_signer(public))
        await identity.renew(CertificateSource(settings, identity).ask)
        assert overrides.take(body, "test", NOW_S) == (emergency, "ann")
        assert there.signers() == here.signers(), "whoever publishes is believed as before"

        here.change(lambda known: known.without(public.id))
        await identity.renew(CertificateSource(settings, identity).ask)
        assert not there.signers().knows(public.id)


async def shown_by(url, context):
    host, port = url.removeprefix("https://").split(":")
    _, writer = await asyncio.open_connection(host, int(port), ssl=context, server_hostname="x")
    der = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return der


async def test_a_node_renews_by_itself_at_half_life_and_again_until_it_works(tmp_path, monkeypatch):
    monkeypatch.setattr(identity_module, "LOOK_S", 0.02)
    monkeypatch.setattr(identity_module, "PAUSE_S", 0.05)
    async with world(tmp_path) as it:
        settings = await it.join()
        identity, calls = Identity.of(settings, "dns"), []
        source = CertificateSource(settings, identity)

        async def ask(wanted):
            calls.append(clock.wall_s())
            if len(calls) < 4:
                raise HostError("control cannot be asked", "wait")
            return await source.ask(wanted)

        with structlog.testing.capture_logs() as lines:
            task = asyncio.get_running_loop().create_task(identity.keep(ask))
            await asyncio.sleep(0.1)
            assert calls == [], "it is not time yet"
            due_s, before = identity.due_s(), identity.ends_s
            monkeypatch.setattr(clock, "wall_s", lambda: due_s + 1)
            async with asyncio.timeout(10):
                while identity.ends_s == before:
                    assert identity.tls()
                    await asyncio.sleep(0.01)
            task.cancel()
        assert len(calls) == 4
        told = [line["event"] for line in lines if line["event"] != "asked for a change"]
        assert told == ["no new certificate yet; it is tried again", "another certificate is shown"], "told once"


async def test_who_was_off_until_everything_had_ended_comes_back_alone(tmp_path, monkeypatch):
    """The issuer's life and a day: certificates and issuer are over. Its owner renews the issuer, nodes do the rest."""
    async with world(tmp_path) as it:
        settings = await it.join()
        begun_s = clock.wall_s()
    later_s = begun_s + 91 * DAY_S
    monkeypatch.setattr(clock, "wall_s", lambda: later_s)
    identity = Identity.of(settings, "dns")
    assert not identity.is_good
    assert identity.ready.is_set(), "it serves meanwhile with what it has"
    registrar = TrustDesk.of(it.settings, EmbeddedStore(it.data)).registrar
    from gslb.control.bodies.join_messages import CertificateRequest

    async def ask(wanted):
        given = {name: value for name, value in wanted.items() if name != "process"}
        return await registrar.certify(CertificateRequest.model_validate(given), None, local=False)

    with pytest.raises(RefusedError, match="renew-issuer --root-key"):
        await identity.renew(ask)
    renew(it.data, "sqlite", it.data / "trust" / "root.key", "ann")
    await identity.renew(ask)
    assert identity.is_good
    assert identity.ends_s > later_s


async def test_an_ended_certificate_is_renewed_over_the_wire_without_showing_it(tmp_path, monkeypatch):
    """Over real TLS, which knows one clock alone: the installation began ten days ago, and the certificate has ended."""
    now_s = clock.wall_s()
    with monkeypatch.context() as patch:
        patch.setattr(clock, "wall_s", lambda: now_s - 10 * DAY_S)
        it = World(tmp_path)
    await it.start()
    try:
        assert it.desk.identity.is_good, "control gave itself another one before it opened"
        settings = await it.join()
        identity, registrar, key = Identity.of(settings, "dns"), it.desk.registrar, authority_work.new_key()
        machine, number = registrar._known("m2")
        registrar._put("machines/m2", number, machine.model_copy(update={"joined_at": now_s - 9 * DAY_S}))
        issuer = registrar._home.signing(registrar.state)
        leaf = make_leaf(
            issuer, key.public_key(), Subject(identity.spiffe), authority_work.new_serial(), now_s - 3 * DAY_S, DAY_S
        )
        identity.files.write(key, pem_of(leaf, issuer.certificate))
        again = Identity.of(settings, "dns")
        assert not again.is_good
        await again.renew(CertificateSource(settings, again).ask)
        assert again.is_good
        async with node(settings) as made:
            assert (await status_of(made.url, it.desk.identity.tls()))[0] == 200
    finally:
        await it.stop()


async def test_an_answer_that_is_not_ours_changes_nothing(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        identity = Identity.of(settings, "dns")
        before = identity.files.certificate.read_text()
        good = CertificateSource(settings, identity).ask

        async def another(wanted):
            return {**await good(wanted), "certificate": before}

        async def nothing(_wanted):
            return {}

        for ask in (another, nothing):
            with pytest.raises((RefusedError, ValueError)):
                await identity.renew(ask)
        assert identity.files.certificate.read_text() == before


async def test_where_no_control_answers_the_last_reason_is_told(tmp_path):
    async with world(tmp_path) as it:
        settings = await it.join()
        identity = Identity.of(settings, "dns")
    with pytest.raises(HostError, match="cannot be asked"):
        await CertificateSource(settings, identity).ask({"csr": "x"})
    identity.machine = identity.machine.model_copy(update={"controls": ()})
    with pytest.raises(HostError, match="no control has an address"):
        await CertificateSource(settings, identity).ask({"csr": "x"})


async def test_a_process_beside_control_asks_over_its_socket(tmp_path):
    from gslb.control.http.api import build_app

    async with world(tmp_path) as it:
        server = await serve_unix(build_app(it.publisher, "local"), it.settings.socket("control"))
        identity = Identity.of(it.settings, "dns")
        before = identity.files.certificate.read_text()
        await identity.renew(CertificateSource(it.settings, identity).ask)
        assert identity.files.certificate.read_text() != before
        await server.cleanup()


async def test_being_known_is_nothing_without_an_identity(tmp_path):
    settings = Settings(runtime=tmp_path, data=tmp_path)
    assert Identity.of(settings, "dns") is None
    assert TrustDesk.of(settings, None) is None
    assert being_known(None, None, settings) == []


def test_ports_follow_each_other(tmp_path):
    machine = MachineFile(machine="m1", domain=DOMAIN, roles=("edge", "dns"), sites=("dc", "aws"), address=("x", 8900))
    settings = Settings(runtime=tmp_path, data=tmp_path)
    at = {name: address_of(Identity(tmp_path, name, machine), settings) for name in ("dns", "edge-dc", "edge-aws")}
    assert at == {"dns": ("x", 8900), "edge-dc": ("x", 8901), "edge-aws": ("x", 8902)}
    assert address_of(Identity(tmp_path, "observer", machine), settings) is None
    elsewhere = settings.model_copy(update={"node": ("::", 9000)})
    assert address_of(Identity(tmp_path, "edge-dc", machine), elsewhere) == ("::", 9001)


def shown_in(folder):
    return TlsFiles(*(str(folder / name) for name in ("ca.pem", "cert.pem", "key.pem")))


# The API --------------------------------------------------------------------------------------------------------------


async def test_people_show_certificates_beside_tokens(tmp_path):
    async with world(tmp_path) as it:
        folder = tmp_path / "ann"
        person = Person("ann", "operator", ("shop",), 30 * DAY_S, "", "root", folder, it.data)
        issue_operator(person)
        it.desk.registrar.look()
        client = Client(it.url, tls=shown_in(folder))
        answer = await asyncio.to_thread(client.post, "/v1/drains", {"site": "dc", "app": "shop", "author": "bob"})
        assert answer["after"] == {"shop": "drained"}
        assert it.publisher.records[-1].entry.author == "operator ann"
        for body, rule in (({"site": "dc"}, "app"), ({"site": "dc", "app": "blog"}, "app")):
            with pytest.raises(RefusedError) as caught:
                await asyncio.to_thread(client.post, "/v1/drains", body)
            assert caught.value.rule == rule
        with pytest.raises(RefusedError, match="role"):
            await asyncio.to_thread(client.get, "/v1/tokens")
        issue_operator(Person("ann", "viewer", (), DAY_S, "", "root", tmp_path / "ann2", it.data))
        it.desk.registrar.look()
        with pytest.raises(RefusedError, match="not believed"):
            await asyncio.to_thread(client.get, "/v1/status")
        newer = Client(it.url, tls=shown_in(tmp_path / "ann2"))
        assert (await asyncio.to_thread(newer.get, "/v1/status"))["environment"] == "test"
        revoke_operator(it.data, None, "ann", "bob")
        with contextlib.closing(EmbeddedStore(it.data)) as store:
            records = [(item.entry.author, item.entry.action, item.entry.detail) for item in store.history(2)]
        assert records == [("bob", "revoke-operator", "ann"), ("root", "issue-operator", "ann --role viewer")]
        it.desk.registrar.look()
        with pytest.raises(RefusedError, match="not believed"):
            await asyncio.to_thread(newer.get, "/v1/status")
        with pytest.raises(RefusedError, match="unknown-operator"):
            revoke_operator(it.data, None, "ann", "bob")


async def test_who_shows_a_certificate_that_has_ended_is_told_so(tmp_path):
    """The API closes the connection without a word, after the request has gone out: the change was not made."""
    async with world(tmp_path) as it:
        folder = tmp_path / "ann"
        issue_operator(Person("ann", "admin", (), 1.0, "", "root", folder, it.data))
        it.desk.registrar.look()
        client = Client(it.url, tls=shown_in(folder))
        while TlsFiles(certificate=str(folder / "cert.pem")).ended() is None:
            await asyncio.sleep(0.1)
        for call, given in ((client.get, ()), (client.post, ({"site": "dc"},))):
            with pytest.raises(RefusedError, match="has ended at") as caught:
                await asyncio.to_thread(call, "/v1/drains" if given else "/v1/status", *given)
            assert (caught.value.rule, "gslb identity issue operator" in caught.value.remedy) == ("certificate", True)


async def test_servers_and_processes_may_not_use_the_api(tmp_path):
    async with world(tmp_path) as it:
        issue_server(
            home_at(it.data),
            "etcd",
            ("192.0.2.1", "etcd.example"),
            life_s=DAY_S,
            folder=tmp_path / "etcd",
            author="ann",
        )
        with pytest.raises(RefusedError, match="not believed"):
            await asyncio.to_thread(Client(it.url, tls=shown_in(tmp_path / "etcd")).get, "/v1/status")
        settings = await it.join()
        status, told = await status_of(it.url, Identity.of(settings, "dns").tls(), "/v1/status")
        assert (status, told["rule"]) == (403, "process")
        with pytest.raises(HostError, match="cannot be used"):
            await asyncio.to_thread(Client(it.url, tls=shown_in(tmp_path / "none")).get, "/v1/status")


async def test_people_see_another_certificate_and_nodes_the_identity(tmp_path):
    from tests.api.conftest import make_certificate

    certificate, key = make_certificate(tmp_path / "public")
    async with world(tmp_path, {"api_cert": certificate, "api_key": key}) as it:
        trusting = ssl.create_default_context(cafile=certificate)
        async with aiohttp.ClientSession() as session:
            given = {"ssl": trusting, "server_hostname": "localhost"}
            async with session.get(it.url + "/v1/trust", **given) as response:
                assert response.status == 200
        settings = await it.join()
        identity = Identity.of(settings, "dns")
        await identity.renew(CertificateSource(settings, identity).ask)
        issue_operator(Person("ann", "viewer", (), DAY_S, "", "root", tmp_path / "ann", it.data))
        it.desk.registrar.look()
        trusting.load_cert_chain(tmp_path / "ann" / "cert.pem", tmp_path / "ann" / "key.pem")
        async with aiohttp.ClientSession() as session:
            async with session.get(it.url + "/v1/status", **given) as response:
                assert response.status == 200


async def test_secrets_stay_out_of_logs(tmp_path):
    with structlog.testing.capture_logs() as lines:
        async with world(tmp_path) as it:
            token = await it.token("dns", "control")
            joiner = Joiner("m2", tmp_path / "m2", f"{HOST}:1", f"https://{HOST}:2")
            await asyncio.to_thread(join, token, it.url, joiner)
            with pytest.raises(RefusedError):
                await asyncio.to_thread(join, token, it.url, joiner)
    told = json.dumps(lines, default=repr) + repr((it.desk.registrar.__dict__, token, joiner))
    assert "a machine joined" in told
    secrets = [(it.data / "trust" / "installation.secret").read_text().strip(), token.secret_text, "PRIVATE KEY"]
    assert not any(secret in told for secret in secrets)


def test_beginning_twice_changes_nothing(tmp_path):
    it = World(tmp_path)
    before = {path: path.read_bytes() for path in it.data.rglob("*") if path.is_file()}
    with pytest.raises(RefusedError, match="identity-exists"):
        begin(Beginning(DOMAIN, "m1", ("control",), (), it.url, None, it.data))
    assert {path: path.read_bytes() for path in it.data.rglob("*") if path.is_file()} == before
