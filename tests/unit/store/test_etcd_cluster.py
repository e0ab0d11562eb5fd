"""The store on three real members, some of which are killed, frozen and started again."""

from __future__ import annotations

import contextlib
import threading

import pytest

from gslb.control import changes
from gslb.errors import GslbError, HostError, RefusedError
from gslb.snapshot.types import Version
from gslb.store import etcd_client
from tests.support.etcd import Etcd, needs_etcd
from tests.support.intents import EtcdStore, version_of
from tests.unit.control.world import a_drain, intent

pytestmark = needs_etcd


@pytest.fixture(scope="module")
def cluster(tmp_path_factory):
    with contextlib.closing(Etcd(tmp_path_factory.mktemp("three"), 3)) as made:
        yield made


@pytest.fixture(autouse=True)
def healthy(cluster):
    """Whatever a test did to the members is undone after it."""
    yield
    for member in cluster.members:
        if member.process is None:
            member.start(cluster.members)
        else:
            member.thaw()
    cluster.wait(cluster.members)


@pytest.fixture
def store(cluster, prefix):
    return EtcdStore(cluster.url(prefix))


def others(cluster, member):
    return [other for other in cluster.members if other is not member]


def toggled(base):
    return changes.undrain(base, "dc", None) if base.overrides.drains else changes.drain(base, a_drain("dc"))


def test_writers_ride_over_the_death_of_the_leader(cluster, store, prefix, entry, monkeypatch):
    """Two controls write all the while. What was written is there in order, and nobody's change is made twice."""
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 20.0)
    store.write(None, intent(), entry("0"))
    killed, written, failed = threading.Event(), [], []

    def control(name):
        own, after = EtcdStore(cluster.url(prefix)), 0
        while after < 5:
            base = own.read()
            detail = f"{name} {version_of(base)}"
            try:
                own.write(version_of(base), toggled(base), entry(detail))
            except RefusedError:
                continue
            except HostError as error:
                failed.append(error)
                return
            written.append(detail)
            after += killed.is_set()

    threads = [threading.Thread(target=control, args=(name,)) for name in ("ann", "bob")]
    for thread in threads:
        thread.start()
    while len(written) < 10:
        threads[0].join(0.01)
    cluster.leader().kill()
    killed.set()
    for thread in threads:
        thread.join()
    assert not failed
    told = [record.entry.detail for record in store.history(1000)][::-1]
    assert sorted(told[1:]) == sorted(written)
    bases = [record.version for record in store.history(1000)][::-1]
    assert [f"{version}" for version in bases[:-1]] == [detail.split()[1] for detail in told[1:]]


def test_a_minority_refuses_and_says_what_is_wrong(cluster, store, entry, monkeypatch):
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 1.0)
    store.write(None, intent(), entry())
    leader = cluster.leader()
    for member in others(cluster, leader):
        member.kill()
    for ask in (store.read, lambda: store.write(Version(1, 0), toggled(intent()), entry()), lambda: store.history(1)):
        with pytest.raises(HostError) as caught:
            ask()
        assert caught.value.message.count("connection refused") == 2
        assert "more than half" in caught.value.remedy or "gslb history" in caught.value.remedy
    assert f"{leader.endpoint}: etcdserver: no leader" in caught.value.message
    others(cluster, leader)[0].start(cluster.members)
    cluster.wait([leader])
    base = store.read()
    store.write(version_of(base), toggled(base), entry())
    assert EtcdStore(f"etcd://{leader.endpoint}/{store._prefix}").read() == toggled(base)


def test_a_frozen_leader_holds_nobody_up_and_tells_nothing_old_when_it_wakes(
    cluster, store, prefix, entry, monkeypatch
):
    monkeypatch.setattr(etcd_client, "TRY_S", 0.5)
    store.write(None, intent(), entry())
    frozen = cluster.leader()
    near = EtcdStore(f"etcd://{frozen.endpoint},{others(cluster, frozen)[0].endpoint}/{prefix}")
    assert near.read() == intent()
    frozen.freeze()
    while (base := store.read()) == intent():
        with contextlib.suppress(GslbError):  # nobody knows what became of a change during an election
            store.write(Version(1, 0), toggled(intent()), entry())
    assert near.read() == base
    store.write(version_of(base), toggled(base), entry("last"))
    frozen.thaw()
    assert EtcdStore(f"etcd://{frozen.endpoint}/{prefix}").read() == toggled(base)
    with pytest.raises(RefusedError) as caught:
        near.write(Version(1, 0), toggled(intent()), entry())
    assert caught.value.rule == "stale"
    assert [record.entry.detail for record in store.history(9)] == ["last", "first", "first"]


def test_a_paused_writer_is_refused_after_a_change_of_leaders(cluster, store, prefix, entry):
    store.write(None, intent(), entry())
    paused, other = EtcdStore(cluster.url(prefix)), EtcdStore(cluster.url(prefix))
    base = paused.read()
    leader = cluster.leader()
    leader.kill()
    other.write(version_of(base), toggled(base), entry("fast"))
    leader.start(cluster.members)
    with pytest.raises(RefusedError) as caught:
        paused.write(version_of(base), changes.drain(base, a_drain("aws")), entry("slow"))
    assert caught.value.rule == "stale"
    assert paused.read() == toggled(base)


def test_all_members_die_and_nothing_is_lost(cluster, store, entry):
    store.write(None, intent(), entry())
    store.write(Version(1, 0), toggled(intent()), entry("second"))
    for member in cluster.members:
        member.kill()
    for member in cluster.members:
        member.start(cluster.members)
    cluster.wait(cluster.members)
    assert store.read() == toggled(intent())
    assert [record.entry.detail for record in store.history(9)] == ["second", "first"]


def test_compaction_and_a_dead_member_during_a_watch(cluster, store, prefix, entry):
    store.write(None, intent(), entry())
    follower, news = EtcdStore(cluster.url(prefix)), []
    follower.read()
    waiter = threading.Thread(target=lambda: news.append(follower.changed(Version(1, 0), 3)))
    waiter.start()
    waiter.join(0.2)
    watched = cluster.members[0]
    watched.kill()
    cluster.leader()
    store.write(Version(1, 0), toggled(intent()), entry())
    others(cluster, watched)[0].compact()
    waiter.join()
    assert news == [True]
    assert follower.read() == toggled(intent())
    assert not follower.changed(Version(1, 1), 0.05)
