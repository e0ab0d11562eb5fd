"""Control's keeping of keys: the clock, nameservers that are behind, parents, the secret; and a dns role without it."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets

import pytest
import structlog.testing

from gslb import clock
from gslb.control import changes
from gslb.control.dnskeys import keyring
from gslb.control.dnskeys.rollover import PROPAGATION_S
from gslb.dns.dnssec.keys import dnskey_rdata, ds_rdata, open_key
from gslb.errors import HostError, RefusedError
from gslb.model.wire_name import from_text
from gslb.outside.delegation_seen import DsObservation, Server
from gslb.roles.control import ControlRole
from gslb.roles.dns import DnsRole
from gslb.roles.identities.secret_file import dnssec_secret
from gslb.roles.keys import PARENT_LATER_S, PARENT_S, KeyKeeper, KeyVault
from gslb.roles.settings import Settings
from gslb.snapshot import compile_snapshot
from gslb.store.embedded import EmbeddedStore
from tests.unit.control.world import NOW_S, POLICY, MemoryPublisher, dns_state, intent, policy

ZONE, SECOND = "gslb.example.com", "other.example"
OTHER = {"name": SECOND, "nameservers": {"ns1": ["198.51.100.53"]}, "dnssec": True}
PARENT = Server("ns.parent.example", "192.0.2.1")


class World:
    """A keeper over a publisher in memory; what the parents say and what time it is are set by hand."""

    def __init__(self, folder, monkeypatch):
        self.now_s = NOW_S
        monkeypatch.setattr(clock, "wall_s", lambda: self.now_s)
        self.file = folder / "dnssec.secret"
        self.vault = KeyVault(dnssec_secret(None, folder), may_make=True)
        self.publisher = MemoryPublisher()
        self.publisher.make_key = self.vault.make
        wanted = policy(zone={**POLICY["zone"], "dnssec": True}, zones=[OTHER])
        start = keyring.fit(intent(), changes.set_policy(intent(), wanted), self.vault.make, NOW_S)
        self.publisher.intent, self.publisher.snapshot = start, compile_snapshot(start, NOW_S)
        self.parents, self.asked, self.term = {}, [], 7
        self.keeper = KeyKeeper(self.publisher, self.vault, lambda: self.term, self.ask)
        self.hear()

    def hear(self, **changed):
        self.publisher.hear(dns_state(self.publisher.snapshot, **changed))

    async def ask(self, zone):
        self.asked.append(zone)
        answer = self.parents.get(zone, observed())
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def pass_time(self, seconds, *, heard=True):
        self.now_s += seconds
        await self.keeper.look()
        if heard:
            self.hear()

    def states(self, zone=ZONE):
        return sorted((key.role, key.state) for key in self.publisher.intent.overrides.keys[zone])

    def ds(self, zone, *states):
        keys = self.publisher.intent.overrides.keys[zone]
        return [
            ds_rdata(from_text(zone), dnskey_rdata(keyring.zone_key(key)))
            for key in keys
            if key.role == "ksk" and key.state in states
        ]

    def change(self, make):
        self.publisher.intent = make(self.publisher.intent)
        self.publisher.snapshot = compile_snapshot(self.publisher.intent, self.now_s)
        self.hear()

    def roll(self, role):
        self.change(lambda before: keyring.begin_roll(before, ZONE, role, self.vault.make, self.now_s))

    def settle(self):
        for zone in (ZONE, SECOND):
            self.change(lambda before, zone=zone: keyring.tell(before, zone, "ds-seen", self.now_s))

    def told(self):
        return [record.entry.detail for record in self.publisher.records]


def observed(everywhere=(), some=(), silent=(), servers=(PARENT,), ttl_s=600):
    return DsObservation(frozenset(everywhere), frozenset(some), ttl_s, servers, silent)


@pytest.fixture
def world(tmp_path, monkeypatch):
    return World(tmp_path, monkeypatch)


async def test_the_clock_moves_keys_along_and_the_history_says_how(world):
    world.settle()
    world.roll("zsk")
    await world.pass_time(60)
    assert world.told() == []
    await world.pass_time(3600 + PROPAGATION_S)
    assert world.states() == [("ksk", "active"), ("zsk", "active"), ("zsk", "retired")]
    (detail,) = world.told()
    assert f"{ZONE}: zsk " in detail
    assert "published -> active" in detail
    await world.pass_time(2 * 86_400)
    assert world.states() == [("ksk", "active"), ("zsk", "active")]
    assert "retired -> removed" in world.told()[-1]
    assert {record.entry.author for record in world.publisher.records} == {"gslb"}


async def test_a_control_that_does_not_lead_leaves_keys_and_parents_alone(world):
    world.settle()
    world.roll("zsk")
    world.term = None
    await world.pass_time(3600 + PROPAGATION_S)
    await world.keeper.ask_parents()
    assert (world.told(), world.asked) == ([], [])
    world.term = 8
    await world.pass_time(60)
    assert len(world.told()) == 1
    assert world.publisher.fences == [8]


async def test_it_looks_again_and_again(world, monkeypatch):
    monkeypatch.setattr("gslb.roles.keys.LOOK_S", 0.01)
    async with asyncio.timeout(10), asyncio.TaskGroup() as group:
        keeping = group.create_task(world.keeper.run())
        world.now_s += 3600 + PROPAGATION_S
        while world.states() != [("ksk", "ready"), ("zsk", "active")] or not world.asked:
            await asyncio.sleep(0.01)
        keeping.cancel()


async def test_without_keys_nothing_is_done(tmp_path):
    publisher = MemoryPublisher(intent())
    keeper = KeyKeeper(publisher, KeyVault(dnssec_secret(None, tmp_path), may_make=True), lambda: 7)
    for _ in range(2):
        await keeper.look()
        await keeper.ask_parents()
        publisher.intent = None
    assert publisher.records == []
    assert list(tmp_path.iterdir()) == []


async def test_nothing_moves_while_a_nameserver_is_behind_and_waits_start_again_when_it_was_long(world):
    world.settle()
    world.roll("zsk")
    before = dns_state(compile_snapshot(intent(), NOW_S)).applied
    world.hear(applied=before)
    await world.pass_time(60, heard=False)
    world.hear(applied=before)
    await world.pass_time(10_000, heard=False)
    assert world.states() == [("ksk", "active"), ("zsk", "active"), ("zsk", "published")]
    world.hear()
    await world.pass_time(10)
    assert world.told() == ["waits start again: a nameserver was behind"]
    await world.pass_time(3600)
    assert ("zsk", "published") in world.states()
    await world.pass_time(PROPAGATION_S)
    assert ("zsk", "retired") in world.states()


async def test_a_moment_behind_costs_nothing(world):
    world.settle()
    world.roll("zsk")
    world.publisher.ages["dns"] = 99.0
    await world.pass_time(3800, heard=False)
    world.hear()
    await world.pass_time(200)
    assert world.states() == [("ksk", "active"), ("zsk", "active"), ("zsk", "retired")]


async def test_the_parent_moves_a_roll(world):
    world.settle()
    world.roll("ksk")
    world.parents[ZONE] = observed(world.ds(ZONE, "active"))
    await world.keeper.ask_parents()
    assert ("ksk", "announced") in world.states()
    world.now_s += PARENT_S
    world.parents[ZONE] = observed(world.ds(ZONE, "active", "announced"))
    await world.keeper.ask_parents()
    assert ("ksk", "confirmed") in world.states()
    world.hear()
    await world.pass_time(600 + PROPAGATION_S)
    assert world.states() == [("ksk", "active"), ("ksk", "retiring"), ("zsk", "active")]
    await world.pass_time(3600 + PROPAGATION_S)
    world.parents[ZONE] = observed(world.ds(ZONE, "active"))
    await world.keeper.ask_parents()
    assert world.states() == [("ksk", "active"), ("zsk", "active")]
    assert SECOND not in world.asked, "it waits for nothing"


async def test_one_parent_that_cannot_be_asked_holds_up_nobody(world):
    world.parents[ZONE] = HostError("no resolver answers", "look at /etc/resolv.conf")
    world.parents[SECOND] = observed(world.ds(SECOND, "new"))
    with structlog.testing.capture_logs() as lines:
        await world.keeper.ask_parents()
    assert world.states(SECOND) == [("ksk", "active"), ("zsk", "active")]
    assert world.states() == [("ksk", "new"), ("zsk", "active")]
    assert [line["zone"] for line in lines] == [ZONE]


@pytest.mark.parametrize("how", [{"silent": (PARENT,)}, {"servers": ()}])
async def test_a_server_that_is_silent_may_still_show_what_was(world, how):
    world.parents[ZONE] = observed(world.ds(ZONE, "new"), **how)
    await world.keeper.ask_parents()
    assert world.states() == [("ksk", "new"), ("zsk", "active")]


async def test_a_parent_is_asked_each_minute_at_first_and_seldom_later(world):
    def asked_after(seconds):
        world.now_s += seconds
        world.asked.clear()
        return world.keeper.ask_parents()

    await asked_after(0)
    assert sorted(world.asked) == [ZONE, SECOND]
    for seconds, asked in ((PARENT_S / 2, 0), (PARENT_S, 2), (3600, 2), (PARENT_S, 0), (PARENT_LATER_S, 2)):
        await asked_after(seconds)
        assert len(world.asked) == asked, seconds


async def test_a_change_that_is_refused_is_told_and_tried_again(world):
    world.settle()
    world.roll("zsk")
    world.publisher.broken = True
    with structlog.testing.capture_logs() as lines:
        await world.pass_time(4000)
    assert ["the disk is full" in line["why"] for line in lines] == [True]
    world.publisher.broken = False
    await world.pass_time(10)
    assert ("zsk", "retired") in world.states()


async def test_a_rolled_secret_seals_every_key_again(world):
    await world.keeper.look()
    (old,) = dnssec_secret(world.file, world.file).read()
    new = secrets.token_bytes(32)
    world.file.write_text(f"{new.hex()}\n{old.hex()}\n")
    await world.pass_time(10)
    assert world.told() == ["keys are sealed under the first line of the secret"]
    for zone, keys in world.publisher.intent.overrides.keys.items():
        for key in keys:
            assert open_key(zone, keyring.zone_key(key), [new]).dnskey == dnskey_rdata(keyring.zone_key(key))
            with pytest.raises(RefusedError):
                open_key(zone, keyring.zone_key(key), [old])
    await world.pass_time(10)
    assert len(world.told()) == 1


def test_a_secret_that_was_named_is_not_made(tmp_path):
    vault = KeyVault(dnssec_secret(tmp_path / "missing", tmp_path), may_make=False)
    with pytest.raises(HostError, match="cannot read the DNSSEC secret"):
        vault.make(ZONE, "ksk", 13)
    assert list(tmp_path.iterdir()) == []


YAML = """
environment: test
zone: {name: gslb.example.com, nameservers: {ns1: [198.51.100.53]}, dnssec: true}
sites: {dc: {edges: [{public: [192.0.2.10]}]}}
"""


async def test_control_makes_keys_with_the_policy_and_warns_when_they_are_used_no_more(tmp_path):
    folder = tmp_path / "policy"
    folder.mkdir()
    (folder / "p.yaml").write_text(YAML)
    data = tmp_path / "data"
    data.mkdir()
    role = ControlRole(Settings(runtime=tmp_path, data=data, policy=folder, roles=("control",), sites=("dc",)))
    await role.start()
    stored = EmbeddedStore(data).read().intent()
    assert [(key.role, key.state) for key in stored.overrides.keys[ZONE]] == [("ksk", "new"), ("zsk", "active")]
    assert (data / "dnssec.secret").stat().st_mode & 0o777 == 0o600
    (secret,) = dnssec_secret(None, data).read()
    assert secret.hex() not in (data / "gslb.db").read_bytes().hex()
    (folder / "p.yaml").write_text(YAML.replace("dnssec: true", "dnssec: false"))
    with structlog.testing.capture_logs() as lines:
        await role._take_folder(folder)
    assert [(line["event"], line["zone"]) for line in lines if line["log_level"] == "warning"] == [
        ("a zone is not signed any more", ZONE)
    ]
    await role.publisher.close()


@pytest.fixture
def signed_snapshot(world):
    return world.publisher.snapshot


async def test_a_dns_role_that_cannot_open_the_keys_refuses_and_serves_what_it_had(tmp_path, world, signed_snapshot):
    other = tmp_path / "other.secret"
    settings = Settings(runtime=tmp_path, data=tmp_path, dns=(("127.0.7.19", 0),), dnssec_secret=other)
    role = DnsRole(settings, tmp_path)
    unsigned = compile_snapshot(intent(), NOW_S)
    await role.publish(unsigned)
    try:
        with pytest.raises(RefusedError, match="cannot read the DNSSEC secret"):
            await role.prepare(signed_snapshot)
        other.write_text(secrets.token_hex(32))
        with pytest.raises(RefusedError, match="others may read"):
            await role.prepare(signed_snapshot)
        other.chmod(0o600)
        with pytest.raises(RefusedError, match="no line of the DNSSEC secret opens the ksk") as refused:
            await role.prepare(signed_snapshot)
        assert str(other) in refused.value.remedy or "--dnssec-secret" in refused.value.remedy
        assert role.composer.tables.digest == unsigned.digest
        other.write_text(world.file.read_text())
        later = dataclasses.replace(signed_snapshot.version, overrides=99)
        await role.publish(dataclasses.replace(signed_snapshot, version=later))
        assert (await role.state()).signature_expires_wall_s[ZONE] > NOW_S
    finally:
        await role.responder.close()
