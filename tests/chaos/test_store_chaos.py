"""What the store survives, and what its controls and nodes make of it: two controls, four nodes, three real members.

Of each trouble there is a short one here, and a long one under `make chaos`. Whatever happens: no node takes an older
version, a writer that has not seen the last change is refused every time, and when the trouble is over all have the
same.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import random
import threading

import pytest

from gslb import clock
from gslb.control import changes
from gslb.control.installation.leader import LEASE_S
from gslb.errors import GslbError, HostError, RefusedError
from gslb.store import TERM, etcd_client
from gslb.store.etcd import EtcdStore
from tests.chaos.fleet import AUDIT, fleet
from tests.support.etcd import Etcd, needs_etcd
from tests.support.meddler import LOST, Meddler
from tests.unit.control.world import a_drain

pytestmark = needs_etcd

SLACK = 4
"""All are equal within 5 s on a machine of one's own; other work on this one may take its time."""


def durations(short_s, long_s):
    return pytest.mark.parametrize("trouble_s", [short_s, pytest.param(long_s, marks=pytest.mark.chaos)])


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with contextlib.closing(Etcd(tmp_path_factory.mktemp("three"), 3)) as made:
        yield made


@pytest.fixture(autouse=True)
def healthy(request):
    """Whatever a test did to the members is undone after it."""
    yield
    if "cluster" in request.fixturenames:
        heal(request.getfixturevalue("cluster"))


@pytest.fixture
def url(cluster, request):
    return cluster.url(f"chaos/{abs(hash(request.node.nodeid)):x}")


def heal(cluster):
    for member in cluster.members:
        if member.process is None:
            member.start(cluster.members)
        else:
            member.thaw()
    cluster.wait(cluster.members)


async def trouble(it, trouble_s, begin, end):
    """Both write, before it, through it, and after it; what was refused."""
    done, refusals = asyncio.Event(), []
    writing = asyncio.get_running_loop().create_task(it.write_until(done, refusals))
    await asyncio.sleep(0.5)
    await asyncio.to_thread(begin)
    await asyncio.sleep(trouble_s)
    await asyncio.to_thread(end)
    await asyncio.sleep(0.5)
    done.set()
    await writing
    return refusals


async def assert_sound(it):
    """After the trouble: one more change gets everywhere, and nobody ever went back."""
    took_s = []
    for control in it.controls:
        await control.insist()
        took_s.append(await it.settled(SLACK))
    print("equal after", *(f"{seconds:.2f} s" for seconds in took_s))
    it.assert_nobody_went_back()
    for control in it.controls:
        records = await asyncio.to_thread(control.store.history, 1000)
        versions = [record.version for record in records][::-1]
        assert versions == sorted(set(versions)), "nobody's change was written over another's"


@durations(3, 30)
async def test_the_leader_of_the_store_is_killed(cluster, url, tmp_path, trouble_s):
    async with fleet(tmp_path, url) as it:
        refusals = await trouble(it, trouble_s, lambda: cluster.leader().kill(), lambda: heal(cluster))
        assert "stale" in refusals or not refusals
        await assert_sound(it)


@durations(3, 30)
async def test_a_member_stands_still(cluster, url, tmp_path, trouble_s):
    async with fleet(tmp_path, url) as it:
        await trouble(it, trouble_s, lambda: cluster.leader().freeze(), lambda: heal(cluster))
        await assert_sound(it)


@durations(1, 60)
async def test_most_of_the_store_is_gone_and_a_site_must_be_drained(cluster, url, tmp_path, monkeypatch, trouble_s):
    """Nobody can write, so the nodes are told themselves; that holds until the store is back and a control has news."""
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 0.5)
    async with fleet(tmp_path, url) as it:
        await it.settled(SLACK)
        for member in cluster.members[:2]:
            await asyncio.to_thread(member.kill)
        for control in it.controls:
            with pytest.raises(HostError, match="etcd does not answer"):
                await control.toggle()
        for name in it.roles:
            await it.drain_at_node(name, "aws")
        await asyncio.sleep(trouble_s)
        assert all(role.drained == {"aws"} for role in it.roles.values())
        await asyncio.to_thread(heal, cluster)
        await asyncio.sleep(1.5)
        assert all(role.drained == {"aws"} for role in it.roles.values()), "that it is back is no news"
        await it.controls[0].insist()
        deadline_s = clock.mono_s() + 20
        while any(role.drained != {"dc"} for role in it.roles.values()):
            assert clock.mono_s() < deadline_s, it.told()
            await asyncio.sleep(0.05)
        await it.settled(SLACK)


async def test_a_full_store_takes_nothing_and_then_everything_again(tmp_path, monkeypatch):
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 1.0)
    with contextlib.closing(
        Etcd(tmp_path / "etcd", 1, options=("--quota-backend-bytes", str(4 * 1024 * 1024)))
    ) as full:
        async with fleet(tmp_path, full.url("full")) as it:
            member, fill, value = full.members[0], 0, random.Random(7).randbytes(400_000)
            while await asyncio.to_thread(member.put, f"other/{fill}", value) == 200:
                fill += 1
                assert fill < 100
            before = it.controls[0].version()
            for control in it.controls:
                with pytest.raises(HostError) as caught:
                    await control.toggle()
                assert "disarm" in caught.value.remedy
            assert {control.version() for control in it.controls} == {before}
            await asyncio.to_thread(empty, member, fill)
            await assert_sound(it)


def empty(member, count):
    for number in range(count + 1):
        member.delete(f"other/{number}")
    member.compact()
    member.call("maintenance/defragment", {})
    alarms = member.call("maintenance/alarm", {"action": "GET"})[1].get("alarms", [])
    for alarm in alarms:
        member.call(
            "maintenance/alarm", {"action": "DEACTIVATE", "memberID": alarm["memberID"], "alarm": alarm["alarm"]}
        )


@durations(1, 30)
async def test_the_past_is_compacted_under_those_who_watch(cluster, url, tmp_path, trouble_s):
    async with fleet(tmp_path, url) as it:
        done, refusals = asyncio.Event(), []
        writing = asyncio.get_running_loop().create_task(it.write_until(done, refusals))
        until_s = clock.mono_s() + trouble_s
        while clock.mono_s() < until_s:
            await asyncio.to_thread(cluster.members[0].compact)
            await asyncio.sleep(0.1)
        done.set()
        await writing
        assert set(refusals) <= {"stale"}
        await assert_sound(it)


EVENT = b'{"result":{"header":{"revision":"1"},"events":[{"kv":{"key":"eA==","mod_revision":"1","version":"1"}}]}}\n'
CREATED = b'{"result":{"header":{"revision":"1"},"created":true}}\n'


class Watches:
    """Loses, doubles and reorders what is told to those who watch: each watch meets the next of these."""

    def __init__(self):
        self.kinds, self.met = itertools.cycle(("doubled", "old", "lost", "early", "broken")), set()

    def __call__(self, path, ask):
        if path != "/v3/watch":
            return ask()
        kind = next(self.kinds)
        self.met.add(kind)
        if kind == "lost":
            threading.Event().wait(0.3)
            return 200, CREATED
        return {
            "doubled": (200, CREATED + EVENT + EVENT),
            "old": (200, EVENT + CREATED + EVENT),
            "broken": (200, CREATED + EVENT[:40]),
            "early": LOST,
        }[kind]


@durations(3, 30)
async def test_events_that_are_lost_doubled_and_reordered(cluster, url, tmp_path, trouble_s):
    watches, prefix = Watches(), url.rpartition("/chaos/")[2]
    with contextlib.closing(Meddler(cluster.leader(), watches)) as between:
        meddled = EtcdStore(f"etcd://{between.endpoint}/chaos/{prefix}")
        async with fleet(tmp_path, url, (None, meddled)) as it:
            until_s = clock.mono_s() + trouble_s
            while clock.mono_s() < until_s:
                await it.controls[0].insist()
                await asyncio.sleep(0.1)
            await it.settled(SLACK)
            await assert_sound(it)
    assert len(watches.met) >= 3


class Paused(EtcdStore):
    """Stops between what was read and the next write, until somebody lets it go on."""

    def __init__(self, url):
        super().__init__(url)
        self.pauses, self.reached, self.go_on = False, threading.Event(), threading.Event()

    def write(self, *given):
        if self.pauses:
            self.reached.set()
            assert self.go_on.wait(60)
        super().write(*given)


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.chaos)])
async def test_a_publisher_that_was_paused_between_reading_and_writing_is_refused(url, tmp_path, monkeypatch, rounds):
    """For a minute, by everybody's monotonic clock."""
    slow, jumped = Paused(url), [0.0]
    real = clock.mono_s
    monkeypatch.setattr(clock, "mono_s", lambda: real() + jumped[0])
    async with fleet(tmp_path, url, (slow, None)) as it:
        for turn in range(rounds):
            await it.settled(SLACK)
            slow.pauses = True
            slow.reached.clear()
            slow.go_on.clear()
            late = asyncio.get_running_loop().create_task(it.controls[0].toggle(site="aws"))
            assert await asyncio.to_thread(slow.reached.wait, 20)
            await it.controls[1].toggle()
            jumped[0] += 60
            slow.pauses = False
            slow.go_on.set()
            with pytest.raises(RefusedError) as caught:
                await late
            assert caught.value.rule == "stale", turn
        await assert_sound(it)


async def test_a_leader_that_was_paused_while_another_took_over_is_refused(url, tmp_path):
    slow = Paused(url)
    async with fleet(tmp_path, url, (slow, None)) as it:
        leaders = it.controls
        deadline_s = clock.mono_s() + 2 * LEASE_S
        while all(control.leading.term() is None for control in leaders):
            assert clock.mono_s() < deadline_s
            await asyncio.sleep(0.05)
        term = next(control.leading.term() for control in leaders if control.leading.term() is not None)
        slow.pauses = True
        late = asyncio.get_running_loop().create_task(it.controls[0].toggle(fence=term))
        assert await asyncio.to_thread(slow.reached.wait, 20)
        await asyncio.to_thread(it.controls[1].store.put, TERM, term, b"")
        slow.pauses = False
        slow.go_on.set()
        with pytest.raises(RefusedError) as caught:
            await late
        assert caught.value.rule == "fenced"
        await assert_sound(it)


@pytest.mark.parametrize("jump_s", [86_400, 365 * 86_400, -86_400, -365 * 86_400])
async def test_the_wall_clock_jumps(url, tmp_path, monkeypatch, jump_s):
    """Versions are counted and leases go by the monotonic clock: no time of day decides what is newer."""
    real, jumped = clock.wall_s, [0.0]
    monkeypatch.setattr(clock, "wall_s", lambda: real() + jumped[0])
    async with fleet(tmp_path, url) as it:
        await it.controls[0].toggle()
        await it.settled(SLACK)
        terms = [control.leading.term() for control in it.controls]
        jumped[0] = jump_s
        await it.controls[1].insist()
        await it.settled(SLACK)
        jumped[0] = 0.0
        await it.controls[0].insist()
        await it.settled(SLACK)
        assert [control.leading.term() for control in it.controls] == terms
        it.assert_nobody_went_back()


async def test_what_somebody_else_wrote_into_the_store_reaches_no_node(cluster, url, tmp_path):
    """Who can write to etcd still cannot sign."""
    async with fleet(tmp_path, url) as it:
        await it.settled(SLACK)
        before = it.controls[0].version()
        store = EtcdStore(url)
        stored = await asyncio.to_thread(store.read)
        wanted = changes.drain(stored.intent(), a_drain("dc"))
        forged = stored.model_copy(
            update={"overrides_version": before[1] + 1, "overrides": wanted.overrides.model_dump_json()}
        )
        await asyncio.to_thread(store.write, stored.version, forged, AUDIT)
        await asyncio.sleep(2.5)
        assert {control.version() for control in it.controls} == {before}
        assert all(role.taken[-1] == before for role in it.roles.values())
        with pytest.raises(GslbError, match="bad-signature"):
            await it.controls[0].toggle()
