"""Controls that may lead, on one store; the clock is set by hand. What only a leader does, is done under its fence."""

from __future__ import annotations

import contextlib

import pytest

from gslb import clock
from gslb.control.changes import drain, require, undrain
from gslb.control.installation.leader import BEAT_S, HOLD_S, LEASE_S, Lead
from gslb.errors import HostError, RefusedError
from gslb.roles.publishing.leading import Leading
from gslb.store import TERM
from gslb.store.embedded import EmbeddedStore
from tests.support.trust import bundle
from tests.unit.control.world import NOW_S, a_drain, by, intent
from tests.unit.roles.publishing.test_publish import AUDIT, world
from tests.unit.roles.test_control_start import control  # noqa: F401


class Clock:
    def __init__(self, monkeypatch):
        self.now_s = 1000.0
        monkeypatch.setattr(clock, "mono_s", lambda: self.now_s)

    async def run(self, seconds, *controls):
        for _ in range(round(seconds / BEAT_S)):
            self.now_s += BEAT_S
            for leading in controls:
                await leading.look()


@pytest.fixture
def hands(monkeypatch):
    return Clock(monkeypatch)


class Unsteady:
    """A store that is silent while `gone`; what it was asked to write may have happened while `answers_get_lost`."""

    def __init__(self, store):
        self.store, self.gone, self.answers_get_lost = store, False, False

    def document(self, name):
        self.speak()
        return self.store.document(name)

    def put(self, *given):
        self.speak()
        made = self.store.put(*given)
        if self.answers_get_lost:
            raise HostError("etcd does not answer; the change may be in the store or not", "look")
        return made

    def speak(self):
        if self.gone:
            raise HostError("etcd does not answer", "start it")


@pytest.fixture
def store(tmp_path):
    with contextlib.closing(EmbeddedStore(tmp_path)) as made:
        yield made


@pytest.fixture
async def two(store, hands):
    """The first leads, the second waits; each has a store of its own that can fail."""
    stores = [Unsteady(store), Unsteady(store)]
    one, other = (Leading(made, name, alone=False) for made, name in zip(stores, ("berlin", "munich"), strict=True))
    await one.begin()
    await other.begin()
    return one, other, *stores


async def test_one_leads_and_the_other_knows_who(two, hands):
    one, other, *_ = two
    await hands.run(60, one, other)
    assert (one.term(), other.term()) == (1, None)
    since_s = one.lead().since_wall_s
    assert clock.wall_s() - 60 < since_s <= clock.wall_s()
    assert one.lead() == Lead("berlin", 1, here=True, since_wall_s=since_s)
    assert other.lead() == Lead("berlin", 1, here=False, since_wall_s=since_s)


async def test_when_the_leader_dies_the_other_takes_over_after_the_lease(two, hands):
    one, other, *_ = two
    await hands.run(10, one, other)
    await hands.run(LEASE_S - BEAT_S, other)
    assert other.term() is None
    assert one.term() is None, "a leader that sleeps leads no more when it wakes"
    await hands.run(2 * BEAT_S, other)
    assert other.term() == 2
    await hands.run(20, one, other)
    assert (one.term(), other.term()) == (None, 2)


async def test_a_leader_whose_store_is_silent_steps_down_before_anybody_takes_over(two, hands):
    one, other, its_store, _ = two
    its_store.gone = True
    await hands.run(HOLD_S + BEAT_S, one, other)
    assert (one.term(), other.term()) == (None, None)
    await hands.run(LEASE_S, one, other)
    assert (one.term(), other.term()) == (None, 2)
    its_store.gone = False
    await hands.run(60, one, other)
    assert (one.term(), other.term()) == (None, 2), "it does not take it back"


async def test_a_store_that_is_away_for_an_hour_changes_no_leader_for_long(two, hands):
    one, other, *stores = two
    for store in stores:
        store.gone = True
    await hands.run(3600, one, other)
    assert (one.term(), other.term()) == (None, None)
    for store in stores:
        store.gone = False
    await hands.run(2 * LEASE_S, one, other)
    assert [one.term(), other.term()].count(None) == 1


@pytest.mark.parametrize("turns", [1, 2, 5])
async def test_answers_that_get_lost_cost_no_more_than_a_new_term(two, hands, turns):
    one, other, its_store, _ = two
    its_store.answers_get_lost = True
    await hands.run(turns * BEAT_S, one, other)
    its_store.answers_get_lost = False
    await hands.run(3 * LEASE_S, one, other)
    assert [one.term(), other.term()].count(None) == 1


async def test_who_stops_hands_over_at_once(two, hands):
    one, other, *_ = two
    await one.resign()
    assert one.term() is None
    await hands.run(BEAT_S, other)
    assert other.term() == 3, "resigning is a term of its own, so that what the old one wrote last is refused"
    await other.resign()
    assert other.lead() == Lead()


async def test_resigning_waits_for_no_store(two, hands):
    one, _, its_store, _ = two
    its_store.gone = True
    await one.resign()
    assert one.term() is None


async def test_a_control_that_is_alone_leads_at_once_and_does_not_beat(store, hands):
    first = Leading(store, "berlin", alone=True)
    assert first.term() is None
    await first.begin()
    again = Leading(store, "berlin", alone=True)
    await again.begin()
    hands.now_s += 1e6
    assert (first.term(), again.term()) == (1, 2)
    assert store.document("leader/beat").number == 0
    with pytest.raises(RefusedError, match="fenced"):
        store.put("wave", 0, b"", 1)


# What it does -------------------------------------------------------------------------------------------------------


async def test_a_change_under_a_fence_that_is_over_is_refused_and_reaches_nobody(tmp_path):
    async with world(tmp_path) as it:
        await it.begin()
        it.store.put(TERM, 0, b"one")
        change = it.publisher.change
        await change(lambda found: drain(require(found), a_drain("dc")), AUDIT, fence=1)
        it.store.put(TERM, 1, b"two")
        log = list(it.log)
        with pytest.raises(RefusedError) as caught:
            await change(lambda found: undrain(require(found), "dc", None), AUDIT, fence=1)
        assert caught.value.rule == "fenced"
        assert it.log == log
        await change(lambda found: undrain(require(found), "dc", None), AUDIT)
        assert it.log != log, "what people ask for needs no leader"


async def test_only_the_leader_takes_back_what_has_expired(control, monkeypatch, tmp_path):  # noqa: F811
    role = control()
    wanted = drain(intent(), a_drain("lab", expires_s=NOW_S + 60))
    role.store.write(None, bundle(wanted), AUDIT)
    await role.publisher.load()
    monkeypatch.setattr(clock, "wall_s", lambda: NOW_S + 61)
    role.scheduler.start(paused=True)
    await role._prune()
    assert role.publisher.current()[0].overrides.drains
    assert role.scheduler.get_job("expiry") is not None
    await role.leading.begin()
    await role._prune()
    assert role.publisher.current()[0].overrides.drains == ()
    role.scheduler.shutdown(wait=False)
    assert by().author != role.store.history(1)[0].entry.author == "gslb"


async def test_a_leader_that_was_overtaken_takes_nothing_back(control, monkeypatch):  # noqa: F811
    role = control()
    wanted = drain(intent(), a_drain("lab", expires_s=NOW_S + 60))
    role.store.write(None, bundle(wanted), AUDIT)
    await role.publisher.load()
    await role.leading.begin()
    role.store.put(TERM, 1, b"another")
    monkeypatch.setattr(clock, "wall_s", lambda: NOW_S + 61)
    role.scheduler.start(paused=True)
    await role._prune()
    assert role.store.read().intent() == wanted
    role.scheduler.shutdown(wait=False)
