"""A control that slept: what it did not hear meanwhile is no silence of its nodes."""

import asyncio

import pytest

from gslb import clock
from gslb.control.alarms import alarms_now
from gslb.control.installation.leader import LEASE_S
from gslb.roles.publishing.awake import ASLEEP_S, LOOK_S, Awake
from gslb.roles.publishing.leading import Leading
from gslb.store.embedded import EmbeddedStore
from tests.unit.control.world import NOW_S
from tests.unit.roles.publishing.test_publish import world


class Hands:
    def __init__(self, monkeypatch):
        self.shift_s, real = 0.0, clock.mono_s
        monkeypatch.setattr(clock, "mono_s", lambda: real() + self.shift_s)


@pytest.fixture
def hands(monkeypatch):
    return Hands(monkeypatch)


def test_the_clock_goes_on_while_it_is_asked_and_stands_while_nobody_can(hands):
    awake = Awake()
    began_s = awake.now_s()
    for _ in range(30):
        hands.shift_s += LOOK_S
        awake.now_s()
    assert awake.now_s() - began_s == pytest.approx(30 * LOOK_S, abs=0.5)
    hands.shift_s += 3600
    assert awake.now_s() - began_s == pytest.approx(31 * LOOK_S, abs=0.5)
    hands.shift_s += ASLEEP_S - 0.5
    assert awake.now_s() - began_s == pytest.approx(31 * LOOK_S + ASLEEP_S - 0.5, abs=0.5)


def lost(publisher):
    return [alarm.subject for alarm in alarms_now(publisher, NOW_S) if alarm.rule == "role-unreachable"]


async def test_a_control_that_slept_asks_before_it_complains_and_sees_who_died_meanwhile(tmp_path, hands):
    async with world(tmp_path, names=("dns", "edge-dc")) as it:
        await it.publisher.nodes.seek()
        assert not lost(it.publisher)
        hands.shift_s += 30
        assert not lost(it.publisher)
        assert all(node.reachable for node in it.publisher.nodes.all), "also for a wave, and for what is published"
        await it.stop("edge-dc")
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(it.publisher.nodes.watch())
            for _ in range(6):
                hands.shift_s += LOOK_S
                await it.publisher.nodes.refresh()
                it.publisher.ages_s()
            watching.cancel()
        assert lost(it.publisher) == ["edge-dc"]


def test_whoever_leads_is_not_missed_before_there_was_time_to_hear_of_it(tmp_path, hands):
    store = EmbeddedStore(tmp_path)
    leading = Leading(store, "berlin", alone=False)
    assert leading.lead().settling
    hands.shift_s += LEASE_S
    assert not leading.lead().settling
    store.close()
