"""How the settings reach the sockets: cookies and their rolling, the name, the rate limit, the listener for proxies."""

import asyncio
import contextlib
import os
from ipaddress import ip_network

import dns.asyncquery
import dns.edns
import dns.flags
import dns.message
import dns.rcode
import pytest
import structlog.testing

from gslb import clock
from gslb.dns.cookies import stamp
from gslb.errors import HostError
from gslb.roles.dns import DnsRole
from gslb.roles.seeing.last_seen import LastSeen
from gslb.roles.settings import DnsSettings, Settings
from gslb.snapshot.targets import probe_targets
from gslb.snapshot.types import LiveState, Verdict
from tests.unit.dns.policies import APEX, app, snapshot

HOST, CLIENT = "127.0.7.19", b"12345678"
FIRST = {"first": 1}
ONE, OTHER = bytes(range(16)), bytes(16)
LOOPBACK = bytes((127, 0, 0, 1))


def settings(tmp_path, **protocol):
    return Settings(runtime=tmp_path, data=tmp_path, dns=((HOST, 0),), dns_protocol=DnsSettings(**protocol))


@contextlib.asynccontextmanager
async def serving(tmp_path, **protocol):
    role = DnsRole(settings(tmp_path, **protocol), tmp_path)
    await role.publish(snapshot({}))
    try:
        yield role, role.responder.addresses()
    finally:
        await role.responder.close()


async def ask(address, message):
    return await dns.asyncquery.udp(message, address[0], 10, address[1])


def soa(cookie=CLIENT):
    return dns.message.make_query(APEX, "SOA", use_edns=0, options=[dns.edns.GenericOption(10, cookie)])


async def test_defaults(tmp_path):
    """A cookie of its own, which survives a restart; no name, no limit, no port for proxies."""
    async with serving(tmp_path) as (role, (address,)):
        (option,) = (await ask(address, soa())).options
        refused = await ask(address, dns.message.make_query("id.server", "TXT", "CH"))
        assert refused.rcode() == dns.rcode.REFUSED
        for _ in range(50):
            assert not (await ask(address, soa())).flags & dns.flags.TC
    async with serving(tmp_path) as (role, (address,)):
        await ask(address, soa(option.client + option.server))
        assert role.responder.counts()["cookies_good"] == 1


async def test_everything(tmp_path):
    protocol = {"identity": "ns1", "tell_version": True, "rate_limit": 5, "proxied": ((HOST, 0),)}
    async with serving(tmp_path, **protocol, proxies=(ip_network("192.0.2.0/24"),)) as (role, (address, proxied)):
        for name, text in (("id.server", "ns1"), ("version.bind", "gslb ")):
            reply = await ask(address, dns.message.make_query(name, "TXT", "CH"))
            assert reply.answer[0][0].strings[0].decode().startswith(text)
        replies = [await ask(address, soa()) for _ in range(20)]
        assert any(reply.flags & dns.flags.TC for reply in replies)
        with pytest.raises(dns.exception.Timeout):
            await dns.asyncquery.udp(soa(), proxied[0], 0.2, proxied[1])
        assert role.responder.counts()["proxy_refused"] == 1


def rewrite(path, *secrets):
    """As an operator does it: whole."""
    fresh = path.with_suffix(".new")
    fresh.write_text("".join(f"{secret.hex()}\n" for secret in secrets))
    fresh.chmod(0o600)
    os.replace(fresh, path)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.05)


async def test_the_secret_is_rolled_and_a_mistake_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setattr("gslb.roles.dns.COOKIE_SECRET_S", 0.02)
    path = tmp_path / "shared"
    rewrite(path, ONE)
    async with serving(tmp_path, cookie_secret=path) as (role, _):
        assert role.responder.protocol.cookie_secrets == (ONE,)
        with structlog.testing.capture_logs() as lines:
            async with asyncio.TaskGroup() as group:
                following = group.create_task(role.follow_cookie_secret())
                rewrite(path, OTHER, ONE)
                await until(lambda: role.responder.protocol.cookie_secrets == (OTHER, ONE))
                rewrite(path, b"short")
                await until(lambda: any(line["log_level"] == "error" for line in lines))
                await asyncio.sleep(0.1)
                following.cancel()
        assert role.responder.protocol.cookie_secrets == (OTHER, ONE)
        assert [line["log_level"] for line in lines] == ["info", "error"]
        assert not any(ONE.hex() in str(line) for line in lines)


async def test_a_new_secret_is_used_within_a_second(tmp_path):
    path = tmp_path / "shared"
    rewrite(path, ONE)
    async with serving(tmp_path, cookie_secret=path) as (role, (address,)):
        async with asyncio.TaskGroup() as group:
            following = group.create_task(role.follow_cookie_secret())
            rewrite(path, OTHER)
            async with asyncio.timeout(10):
                while True:
                    (option,) = (await ask(address, soa())).options
                    cookie = option.client + option.server
                    if stamp((OTHER,), cookie, LOOPBACK, clock.wall_s()).good:
                        break
                    await asyncio.sleep(0.1)
            following.cancel()


def test_a_secret_that_cannot_be_used_ends_the_start(tmp_path):
    with pytest.raises(HostError, match="cannot read the cookie secret"):
        DnsRole(settings(tmp_path, cookie_secret=tmp_path / "missing"), tmp_path)


@pytest.mark.parametrize(
    "apps", [{"shop": app(FIRST)}, {"shop": app(FIRST), "blog": app(FIRST, hosts=["blog"])}], ids=["same", "more"]
)
async def test_after_a_restart_what_was_never_looked_at_is_looked_at_before_anything_is_answered(
    tmp_path, monkeypatch, apps
):
    known = [target for target in probe_targets(snapshot(apps)) if target.app == "shop"]
    live = LiveState(1, {(target.app, target.address): Verdict("up", "200", 1.0) for target in known})
    async with asyncio.TaskGroup() as group:
        keeping = group.create_task(LastSeen(tmp_path).keep(lambda: live))
        await until((tmp_path / "last-seen.json").exists)
        keeping.cancel()
    role, looked = DnsRole(settings(tmp_path), tmp_path), []

    async def first_round():
        looked.append(True)

    monkeypatch.setattr(role.prober, "first_round", first_round)
    monkeypatch.setattr(role.exchange, "first_round", first_round)
    await role.publish(snapshot(apps))
    await role.close()
    assert bool(looked) == ("blog" in apps)
