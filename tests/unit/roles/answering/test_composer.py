"""Tables in step with what is published, observed and about to expire: nothing unsigned is ever served of a signed zone,
nothing is composed twice, and what cannot be done leaves what was served."""

from __future__ import annotations

import asyncio
import dataclasses
import threading

import pytest
import structlog.testing

from gslb import clock
from gslb.dns.compose import compose
from gslb.dns.dnssec.seal import is_sealed
from gslb.errors import RefusedError
from gslb.roles.answering import composer as composing
from gslb.roles.answering.composer import Composer
from gslb.snapshot.types import LiveState
from tests.support.signed_zone import NOW_S, SECRET, keys_of
from tests.unit.dns.policies import APEX, app, down, snapshot, weighted

DAY_S = 86_400.0
DC, AWS, GCP = "192.0.2.10", "198.51.100.20", "203.0.113.30"
SHOP = {"shop": app("healthy", weighted(dc=50, aws=50))}
ONE = {"shop": app("healthy", {"priority": ["dc", "aws", "gcp"]}, {"first": 1})}
"""Another verdict is another answer; of `SHOP` it is one of those that there were."""


def signed(made):
    return dataclasses.replace(made, zone=dataclasses.replace(made.zone, keys=keys_of(APEX)))


class World:
    """A composer, every value of the tables that it served, and what it is told."""

    def __init__(self):
        self.served, self.live, self.secrets = [], LiveState(0, {}), (SECRET,)
        self.composer = Composer(self.served.append, lambda: self.live, lambda: self.secrets)

    def see(self, *addresses):
        self.live = down(*addresses)
        self.composer.observe()

    @property
    def tables(self):
        return self.served[-1]

    def is_whole(self):
        return all(is_sealed(tables, self.composer._signers) for tables in self.served)


@pytest.fixture
def it(monkeypatch):
    made = World()
    made.now_s = NOW_S
    monkeypatch.setattr(clock, "wall_s", lambda: made.now_s)
    return made


@pytest.fixture
def calls(monkeypatch):
    """How often what is dear was done, by name."""
    made = {"compose": 0, "seal": 0, "seal_new": 0}

    def counting(name, real):
        def call(*given, **named):
            made[name] += 1
            return real(*given, **named)

        return call

    for name in made:
        monkeypatch.setattr(composing, name, counting(name, getattr(composing, name)))
    return made


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.005)


def same_answers(tables, other):
    return tables.pools == other.pools and tables.names == other.names


async def test_nothing_is_served_before_the_first_publication(it):
    it.see(DC)
    await it.composer.prepare(snapshot(SHOP))
    it.see(AWS)
    assert it.served == []
    assert it.composer.tables is None


@pytest.mark.parametrize("made", [snapshot(SHOP), signed(snapshot(SHOP))], ids=["unsigned", "signed"])
async def test_what_was_prepared_is_published_without_composing_it_again(it, calls, made):
    await it.composer.prepare(made)
    before = dict(calls)
    await it.composer.publish(made)
    assert calls["compose"] == before["compose"] == 1
    assert calls["seal"] == before["seal"]
    assert same_answers(it.tables, compose(made, it.live))


async def test_what_was_prepared_is_forgotten_where_something_else_is_published(it, calls):
    await it.composer.prepare(snapshot(SHOP))
    other = snapshot({"blog": app("healthy", weighted(dc=1, aws=1), hosts=("blog",))}, revision=8)
    await it.composer.publish(other)
    assert calls["compose"] == 2
    assert same_answers(it.tables, compose(other, it.live))
    await it.composer.publish(snapshot(SHOP, revision=9))
    assert calls["compose"] == 3


async def test_verdicts_between_prepare_and_publish_are_in_what_is_published(it):
    made = snapshot(SHOP)
    await it.composer.prepare(made)
    it.live = down(DC)
    await it.composer.publish(made)
    assert same_answers(it.served[0], compose(made, it.live))


async def test_a_verdict_that_was_signed_ahead_is_followed_at_once(it, calls):
    made = signed(snapshot(SHOP))
    await it.composer.publish(made)
    before, served = dict(calls), len(it.served)
    for addresses in [(DC,), (DC, AWS), (AWS,), ()]:
        it.see(*addresses)
        assert same_answers(it.tables, compose(made, it.live))
    assert len(it.served) == served + 4
    assert (calls, it.is_whole()) == (before, True), "no signature was made"


async def test_a_verdict_that_nobody_thought_of_is_served_when_it_is_signed(it, monkeypatch):
    monkeypatch.setattr(composing, "bodies_ahead", lambda *_: {})
    made = signed(snapshot(ONE))
    await it.composer.publish(made)
    before = it.tables
    it.see(DC)
    assert it.tables is before, "rather the old answer than one that validating resolvers throw away"
    async with asyncio.TaskGroup() as group:
        running = group.create_task(it.composer.run())
        await until(lambda: it.tables is not before)
        assert same_answers(it.tables, compose(made, it.live))
        it.see(AWS)
        await until(lambda: same_answers(it.tables, compose(made, it.live)))
        running.cancel()
    assert it.is_whole()


async def test_verdicts_that_come_while_the_first_is_signed_end_in_the_last(it, monkeypatch):
    """Signing is held up in its thread, while sites go and come."""
    monkeypatch.setattr(composing, "bodies_ahead", lambda *_: {})
    made = signed(snapshot(ONE))
    await it.composer.publish(made)
    go, real = threading.Event(), composing.seal_new

    def slow(*given):
        assert go.wait(10)
        return real(*given)

    monkeypatch.setattr(composing, "seal_new", slow)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(it.composer.run())
        it.see(DC)
        await asyncio.sleep(0.02)
        it.see(DC, AWS)
        it.see(AWS)
        go.set()
        await until(lambda: same_answers(it.tables, compose(made, it.live)))
        running.cancel()
    assert it.is_whole()


async def test_what_was_being_signed_when_something_newer_was_published_is_thrown_away(it, monkeypatch):
    monkeypatch.setattr(composing, "bodies_ahead", lambda *_: {})
    await it.composer.publish(signed(snapshot(ONE)))
    started, go, real = threading.Event(), threading.Event(), composing.seal_new

    def slow(*given):
        if not started.is_set():
            started.set()
            assert go.wait(10)
        return real(*given)

    monkeypatch.setattr(composing, "seal_new", slow)
    newer = signed(snapshot(ONE, revision=8))
    async with asyncio.TaskGroup() as group:
        running = group.create_task(it.composer.run())
        it.see(DC)
        await until(started.is_set)
        await it.composer.publish(newer)
        go.set()
        await asyncio.sleep(0.05)
        running.cancel()
    assert {tables.version.revision for tables in it.served[-2:]} == {8}
    assert it.composer.tables.version.revision == 8
    assert it.is_whole()


async def renewing(it, monkeypatch, during=None):
    """One renewal; `during` runs while it signs in its thread."""
    started, go, real = threading.Event(), threading.Event(), composing.seal

    def slow(*given, **named):
        started.set()
        assert go.wait(10)
        return real(*given, **named)

    async with asyncio.TaskGroup() as group:
        monkeypatch.setattr(composing, "seal", slow)
        renewal = group.create_task(it.composer._renew())
        await until(lambda: started.is_set() or renewal.done())
        monkeypatch.setattr(composing, "seal", real)
        if during is not None:
            await during()
        go.set()


async def test_old_signatures_are_renewed_in_time_and_young_ones_are_kept(it, monkeypatch):
    made = signed(snapshot(SHOP))
    await it.composer.publish(made)
    expiry_s, seals = it.composer.expiry_wall_s()[APEX], it.tables.seals
    it.now_s = NOW_S + 60
    await renewing(it, monkeypatch)
    assert it.composer.expiry_wall_s()[APEX] == expiry_s
    assert it.tables.seals == seals
    it.now_s = expiry_s - DAY_S
    await renewing(it, monkeypatch)
    assert it.composer.expiry_wall_s()[APEX] > expiry_s
    assert (same_answers(it.tables, compose(made, it.live)), it.is_whole()) == (True, True)


async def test_a_verdict_while_signatures_are_renewed_is_not_lost(it, monkeypatch):
    made = signed(snapshot(SHOP))
    await it.composer.publish(made)
    expiry_s = it.composer.expiry_wall_s()[APEX]
    it.now_s = expiry_s - DAY_S

    async def dc_dies():
        it.see(DC)

    await renewing(it, monkeypatch, dc_dies)
    assert same_answers(it.tables, compose(made, it.live))
    assert it.composer.expiry_wall_s()[APEX] > expiry_s
    assert it.is_whole()


async def test_a_renewal_that_a_publication_overtakes_is_thrown_away(it, monkeypatch):
    await it.composer.publish(signed(snapshot(SHOP)))
    it.now_s = it.composer.expiry_wall_s()[APEX] - DAY_S
    newer = signed(snapshot({**SHOP, "blog": app("healthy", weighted(dc=1, aws=1), hosts=("blog",))}, revision=8))
    await renewing(it, monkeypatch, lambda: it.composer.publish(newer))
    assert it.tables.version.revision == 8
    assert same_answers(it.tables, compose(newer, it.live))
    assert it.is_whole()


async def test_a_renewal_that_fails_leaves_the_signatures_that_there_are(it, monkeypatch):
    await it.composer.publish(signed(snapshot(SHOP)))
    served = list(it.served)

    def broken(*_, **__):
        raise RefusedError("dnssec-self-check", "does not fit", "report it")

    monkeypatch.setattr(composing, "seal", broken)
    with structlog.testing.capture_logs() as lines:
        await it.composer._renew()
    assert it.served == served
    assert [line["log_level"] for line in lines] == ["error"]


async def test_without_signed_zones_there_is_nothing_to_renew(it, calls):
    await it.composer._renew()
    await it.composer.publish(snapshot(SHOP))
    await it.composer._renew()
    assert (calls["seal"], len(it.served), it.composer.expiry_wall_s()) == (0, 2, {})


async def test_it_looks_at_the_age_of_signatures_by_itself(it, monkeypatch):
    await it.composer.publish(signed(snapshot(SHOP)))
    expiry_s = it.composer.expiry_wall_s()[APEX]
    monkeypatch.setattr(composing, "RENEWAL_CHECK_S", 0.01)
    async with asyncio.TaskGroup() as group:
        running = group.create_task(it.composer.run())
        it.now_s = expiry_s - DAY_S
        await until(lambda: it.composer.expiry_wall_s()[APEX] > expiry_s)
        running.cancel()


@pytest.mark.parametrize("step", ["prepare", "publish"])
async def test_keys_that_do_not_open_refuse_the_change_and_the_old_tables_go_on(it, step):
    made = signed(snapshot(SHOP))
    await it.composer.publish(made)
    before = it.tables
    it.secrets = (bytes(32),)
    newer = signed(snapshot(SHOP, revision=8))
    with pytest.raises(RefusedError):
        await getattr(it.composer, step)(newer)
    assert it.tables is before
    it.see(DC)
    assert same_answers(it.tables, compose(made, it.live)), "verdicts are followed as before"
    assert (it.tables.version.revision, it.is_whole()) == (7, True)
    it.secrets = (SECRET,)
    await it.composer.publish(newer)
    assert it.tables.version.revision == 8
