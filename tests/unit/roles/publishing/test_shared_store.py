"""Two controls on one store: each brings into force what the other writes. Over real unix sockets to real nodes."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from gslb.control import changes
from gslb.control.changes import require
from gslb.errors import HostError, RefusedError
from gslb.roles.publishing import shared_store
from gslb.roles.publishing.publish import RolePublisher
from gslb.roles.publishing.shared_store import follow_store, reach_store
from gslb.snapshot.intent import Drain
from gslb.store.embedded import EmbeddedStore
from tests.support.trust import signing_in
from tests.unit.roles.publishing.test_publish import AUDIT, BY, world

DRAIN = Drain(site="dc", by=BY)


@pytest.fixture(autouse=True)
def quick(monkeypatch):
    monkeypatch.setattr(shared_store, "WAIT_S", 0.05)
    monkeypatch.setattr(shared_store, "PAUSE_S", 0.01)


class Unsteady:
    """A store that does not answer while `gone`."""

    def __init__(self, store):
        self._store, self.gone, self.asked = store, False, 0

    def __getattr__(self, name):
        def call(*given):
            self.asked += 1
            if self.gone:
                raise HostError("etcd does not answer", "start it")
            return getattr(self._store, name)(*given)

        return call


@asynccontextmanager
async def two_controls(tmp_path):
    """(a world with roles and a publisher, which follows; another control's publisher; the first one's store)."""
    async with world(tmp_path) as it:
        unsteady = Unsteady(it.store)
        it.publisher._store = unsteady
        await it.begin()
        there = EmbeddedStore(tmp_path)
        other = RolePublisher(there, signing_in(tmp_path), (), lambda _: None)
        await other.load()
        follower = asyncio.get_running_loop().create_task(follow_store(unsteady, it.publisher))
        try:
            yield it, other, unsteady
        finally:
            follower.cancel()
            await asyncio.wait([follower])
            there.close()


async def until(condition):
    async with asyncio.timeout(20):
        while not condition():
            await asyncio.sleep(0.01)


def version(publisher):
    return str(publisher.current()[1].version)


async def shift(publisher, percent):
    split = {"new": percent}
    return await publisher.change(lambda intent: changes.shift(require(intent), "shop", "pay", split, BY), AUDIT)


async def test_what_another_control_writes_comes_into_force_in_all_roles_here(tmp_path):
    async with two_controls(tmp_path) as (it, other, _):
        it.log.clear()
        await shift(other, 30)
        await until(lambda: len(it.log) == 3)
        assert it.log[-1] == "dns 1.1", "edges first"
        assert it.shares("edge-dc")["new"] == 3000
        assert it.intents[-1] == other.current()[0] == it.publisher.current()[0]


async def test_a_change_is_made_on_what_another_control_wrote_last(tmp_path):
    async with two_controls(tmp_path) as (it, other, _):
        await it.publisher.change(lambda intent: changes.drain(require(intent), DRAIN), AUDIT)
        assert version(other) == "1.0", "nothing follows for it"
        await shift(other, 40)
        assert other.current()[0].overrides.drains == (DRAIN,)
        await until(lambda: it.shares("dns")["new"] == 4000)
        assert version(it.publisher) == version(other) == "1.2"


async def test_of_two_that_change_at_once_one_is_refused(tmp_path):
    async with two_controls(tmp_path) as (it, other, _):
        answers = await asyncio.gather(it.shift(30), shift(other, 40), return_exceptions=True)
        refused = [answer for answer in answers if isinstance(answer, Exception)]
        assert all(isinstance(error, RefusedError) and error.rule == "stale" for error in refused)
        assert len(it.store.history(10)) == 3 - len(refused)
        await until(lambda: it.publisher.current()[0] == it.store.read().intent())


async def test_no_change_is_decided_on_what_may_be_old(tmp_path):
    """Undraining what another control has just drained is not nothing."""
    async with two_controls(tmp_path) as (it, _, unsteady):
        unsteady.gone = True
        with pytest.raises(HostError):
            await it.publisher.change(lambda intent: changes.undrain(require(intent), "dc", None), AUDIT)
        assert version(it.publisher) == "1.0"


async def test_a_silent_store_changes_nothing_and_is_caught_up_with(tmp_path):
    async with two_controls(tmp_path) as (it, other, unsteady):
        unsteady.gone, log, asked = True, list(it.log), unsteady.asked
        await shift(other, 30)
        await until(lambda: unsteady.asked > asked + 3)
        assert (it.log, version(it.publisher)) == (log, "1.0")
        unsteady.gone = False
        await until(lambda: version(it.publisher) == "1.1")


async def test_nothing_older_is_ever_taken_from_the_store(tmp_path):
    async with two_controls(tmp_path) as (it, _, unsteady):
        old = it.store.read()
        await it.shift(30)
        log = list(it.log)
        unsteady.read = lambda: old
        assert await it.publisher.load() is False
        assert (it.log, version(it.publisher)) == (log, "1.1")


async def test_a_role_that_refuses_what_another_control_wrote_overrules_nobody(tmp_path):
    async with two_controls(tmp_path) as (it, other, _):
        it.roles["edge-dc"].refuses_publish = True
        await shift(other, 30)
        await until(lambda: version(it.publisher) == "1.1")
        assert it.store.read().intent() == other.current()[0]
        assert len(it.store.history(10)) == 2


async def test_a_control_waits_for_its_store(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        store = Unsteady(it.store)
        store.gone = True
        late = RolePublisher(store, signing_in(tmp_path), (), lambda _: None)
        waiting = asyncio.get_running_loop().create_task(reach_store(late))
        await until(lambda: store.asked > 2)
        assert not waiting.done()
        store.gone = False
        await waiting
        assert version(late) == "1.0"
