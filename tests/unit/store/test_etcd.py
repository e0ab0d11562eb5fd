"""The store against a real etcd, and against somebody between who loses, replays and invents answers."""

from __future__ import annotations

import contextlib
import secrets
import socket
import threading

import pytest

from gslb.control import changes
from gslb.errors import HostError, RefusedError
from gslb.snapshot.types import Version
from gslb.store.etcd import REQUEST_LIMIT_BYTES
from tests.support.etcd import Etcd
from tests.support.intents import EtcdStore, version_of
from tests.support.meddler import LOST
from tests.support.ports import free_port
from tests.unit.control.world import a_drain, intent, policy


@pytest.fixture
def store(etcd, prefix):
    return EtcdStore(etcd.url(prefix))


def drained(base=None, site="dc"):
    return changes.drain(base or intent(), a_drain(site))


# Values that are not what they were ---------------------------------------------------------------------------------


@pytest.mark.parametrize("key", ["intent", "policies/0000000001", "audit/0000000001"])
def test_damage_is_told_with_its_key_and_nothing_is_written_over_it(store, member, prefix, entry, etcd, key):
    store.write(None, intent(), entry())
    whole = member.get(f"{prefix}/{key}")
    member.put(f"{prefix}/{key}", whole[:-9])
    fresh = EtcdStore(etcd.url(prefix))
    with pytest.raises(HostError, match=f"{prefix}/{key} in etcd cannot be read"):
        fresh.history(5) if key.startswith("audit") else fresh.read()
    if key == "intent":
        with pytest.raises(HostError, match="cannot be read"):
            fresh.write(Version(1, 0), drained(), entry())
    assert member.get(f"{prefix}/{key}") == whole[:-9]
    member.put(f"{prefix}/{key}", whole)
    assert fresh.read() == intent()
    assert len(fresh.history(5)) == 1


def test_a_policy_that_has_gone(store, member, prefix, entry, etcd):
    store.write(None, intent(), entry())
    member.delete(f"{prefix}/policies/0000000001")
    with pytest.raises(HostError, match="policies/0000000001 in etcd cannot be read: it is not there"):
        EtcdStore(etcd.url(prefix)).read()


def test_an_intent_that_has_gone_is_not_an_empty_store(store, member, prefix, entry, etcd):
    store.write(None, intent(), entry())
    member.delete(f"{prefix}/intent")
    for asked in (store, EtcdStore(etcd.url(prefix))):
        with pytest.raises(HostError, match="has version none"):
            asked.read()
        with pytest.raises(HostError, match="has version none"):
            asked.write(None, drained(), entry())
    assert member.get(f"{prefix}/intent") is None


def test_an_older_intent_than_was_seen_is_never_given(store, member, prefix, entry):
    store.write(None, intent(), entry())
    old = member.get(f"{prefix}/intent")
    store.write(Version(1, 0), drained(), entry())
    member.put(f"{prefix}/intent", old)
    with pytest.raises(HostError, match=r"has version 1.0, and 1.1 was there"):
        store.read()
    with pytest.raises(HostError, match="has gone back"):
        store.write(Version(1, 0), drained(site="aws"), entry())


def test_an_intent_that_was_put_back_cannot_overwrite_what_came_after_it(store, member, prefix, entry, etcd):
    """Even by a control that has not seen it: the history is where it was."""
    store.write(None, intent(), entry())
    old = member.get(f"{prefix}/intent")
    store.write(Version(1, 0), drained(), entry("second"))
    member.put(f"{prefix}/intent", old)
    forgetful = EtcdStore(etcd.url(prefix))
    assert forgetful.read() == intent()
    with pytest.raises(HostError, match="the history or the policies go on behind it"):
        forgetful.write(Version(1, 0), drained(site="aws"), entry("third"))
    assert [record.entry.detail for record in forgetful.history(5)] == ["second", "first"]


def test_a_policy_that_somebody_put_where_the_next_belongs(store, member, prefix, entry):
    store.write(None, intent(), entry())
    store.write(Version(1, 0), changes.set_policy(intent(), policy(environment="two")), entry())
    member.put(f"{prefix}/policies/0000000003", member.get(f"{prefix}/policies/0000000001"))
    with pytest.raises(RefusedError) as caught:
        store.write(Version(2, 0), changes.set_policy(store.read(), policy(environment="three")), entry())
    assert caught.value.rule == "immutable-revision"


# Sizes --------------------------------------------------------------------------------------------------------------


def noise(octets):
    """An Intent that takes a little more than so many octets compressed: hexadecimal digits carry half of theirs."""
    return changes.drain(intent(), a_drain("dc", reason=secrets.token_hex(octets)))


def test_a_policy_that_one_request_cannot_hold_is_refused_with_the_limit(store, entry):
    with pytest.raises(RefusedError, match=str(REQUEST_LIMIT_BYTES)) as caught:
        store.write(None, noise(REQUEST_LIMIT_BYTES), entry())
    assert caught.value.rule == "too-large"
    assert store.read() is None


def test_what_is_within_the_limit_is_within_etcds(store, entry, etcd, prefix):
    wanted = noise(1_100_000)
    store.write(None, wanted, entry())
    assert EtcdStore(etcd.url(prefix)).read() == wanted


def test_an_etcd_that_takes_less_says_so(tmp_path, entry):
    with contextlib.closing(Etcd(tmp_path / "small", options=("--max-request-bytes", "10000"))) as small:
        store = EtcdStore(small.url("x"))
        with pytest.raises(HostError, match="request is too large") as caught:
            store.write(None, noise(20_000), entry())
        assert "--max-request-bytes" in caught.value.remedy
        store.write(None, intent(), entry())


def test_a_full_etcd_changes_nothing_and_says_what_to_do(tmp_path, entry):
    with contextlib.closing(Etcd(tmp_path / "full", options=("--quota-backend-bytes", "2000000"))) as full:
        store = EtcdStore(full.url("x"))
        store.write(None, intent(), entry())
        while full.members[0].put("filler", secrets.token_bytes(300_000)) == 200:
            pass
        with pytest.raises(HostError, match="database space exceeded") as caught:
            store.write(Version(1, 0), drained(), entry())
        assert "defragment" in caught.value.remedy
        assert store.read() == intent()


# Answers that get lost, come late, or are nonsense -------------------------------------------------------------------


def test_a_change_whose_answer_got_lost_is_made_once(between, entry):
    lost = []

    def lose_first_write(path, ask):
        answer = ask()
        if path == "/v3/kv/txn" and not lost:
            lost.append(answer)
            return LOST
        return answer

    meddler, store = between(lose_first_write)
    store.write(None, intent(), entry())
    assert meddler.asked.count("/v3/kv/txn") == 2
    assert store.read() == intent()
    assert len(store.history(10)) == 1
    store.write(Version(1, 0), drained(), entry())


def test_a_change_whose_answer_got_lost_and_that_was_followed_by_another_was_made(between, store, entry):
    store.write(None, intent(), entry())
    overtaken = []

    def overtake(path, ask):
        answer = ask()
        if path == "/v3/kv/txn" and not overtaken:
            overtaken.append(answer)
            first = EtcdStore(store_url)
            first.write(Version(1, 1), changes.undrain(first.read(), "dc", None), entry("third"))
            return LOST
        return answer

    meddler, slow = between(overtake)
    store_url = f"etcd://{meddler.member.endpoint}/{store._prefix}"
    slow.write(Version(1, 0), drained(), entry("second"))
    assert [record.entry.detail for record in slow.history(10)] == ["third", "second", "first"]
    assert slow.changed(Version(1, 1), 0.05)
    assert version_of(slow.read()) == Version(1, 2)


def test_when_every_answer_to_a_change_gets_lost_nobody_claims_to_know(between, store, entry, impatient):
    def lose_writes(path, ask):
        answer = ask()
        return LOST if path == "/v3/kv/txn" else answer

    _, unlucky = between(lose_writes)
    with pytest.raises(HostError, match="may be in the store or not") as caught:
        unlucky.write(None, intent(), entry())
    assert "gslb history" in caught.value.remedy
    assert store.read() == intent()
    assert unlucky.changed(None, 0.05), "whoever looks again finds it"
    assert unlucky.read() == intent()


def test_what_never_left_is_not_in_doubt(prefix, entry, impatient):
    port = free_port("127.0.7.1")
    store = EtcdStore(f"etcd://127.0.7.1:{port}/{prefix}")
    for ask in (store.read, lambda: store.write(None, intent(), entry()), lambda: store.history(1)):
        with pytest.raises(HostError, match=f"127.0.7.1:{port}: connection refused") as caught:
            ask()
        assert "or not" not in caught.value.message


def test_a_member_that_reads_the_past_is_asked_again(between, store, entry):
    store.write(None, intent(), entry())
    seen = []

    def replay(path, ask):
        answer = ask()
        seen.append((path, answer))
        return answer if len(seen) != 4 else seen[0][1]

    _, reader = between(replay)
    assert reader.read() == intent()
    store.write(Version(1, 0), drained(), entry())
    assert reader.read() == drained()
    assert reader.read() == drained()
    assert len(seen) == 5


def test_a_member_that_lives_in_the_past_is_not_believed(between, store, entry):
    store.write(None, intent(), entry())
    seen = {}

    def replay(path, ask):
        return seen.setdefault(path, ask()) if stuck else ask()

    stuck = True
    _, reader = between(replay)
    assert reader.changed(None, 0.01)
    with contextlib.suppress(HostError):
        reader.read()
    stuck = False
    store.write(Version(1, 0), drained(), entry())
    assert reader.read() == drained()
    stuck = True
    with pytest.raises(HostError, match="has gone back"):
        reader.read()


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        ((200, b"<html>welcome</html>"), "no etcd"),
        ((200, b"[1]"), "no etcd"),
        ((404, b"404 page not found"), "no etcd"),
        ((503, b'{"error":"etcdserver: no leader","code":14}'), "no leader"),
        ((503, b'{"code":14,"message":"etcdserver: no leader","details":[]}'), "no leader"),
        ((500, b"{}"), "HTTP status 500"),
        ((403, b'{"error":"etcdserver: permission denied","code":7}'), "permission denied"),
        ((200, b"{}"), "does not understand"),
        ((200, b'{"header":{"revision":"x"}}'), "does not understand"),
        ((200, b'{"header":{"revision":"1"},"kvs":[{"key":"!"}]}'), "does not understand"),
        ((200, b'{"header":{"revision":"1"},"kvs":7}'), "does not understand"),
        (LOST, "closed|reset|HTTP"),
    ],
)
def test_nonsense_is_told_and_believed_by_nobody(between, entry, impatient, answer, why):
    _, store = between(lambda _path, _ask: answer)
    for ask in (store.read, lambda: store.write(None, intent(), entry()), lambda: store.history(3)):
        with pytest.raises(HostError, match=why):
            ask()


def test_what_speaks_no_http(prefix, impatient):
    with contextlib.closing(socket.create_server(("127.0.7.1", 0))) as server:

        def greet():
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = server.accept()
                    with connection:
                        connection.sendall(b"220 mail.example.com ESMTP\r\n")
                        connection.recv(65536)

        threading.Thread(target=greet, daemon=True).start()
        store = EtcdStore("etcd://{}:{}/".format(*server.getsockname()) + prefix)
        with pytest.raises(HostError, match=r"does not speak HTTP|reset"):
            store.read()
        server.shutdown(socket.SHUT_RDWR)


def test_a_dead_and_a_silent_member_are_passed_over_and_not_asked_first_again(member, prefix, entry, impatient, etcd):
    with contextlib.closing(socket.create_server(("127.0.7.1", 0))) as silent:
        dead = free_port("127.0.7.1")
        store = EtcdStore(f"etcd://127.0.7.1:{silent.getsockname()[1]},127.0.7.1:{dead},{member.endpoint}/{prefix}")
        store.write(None, intent(), entry())
        assert store.read() == intent()
        silent.setblocking(False)
        asked = 0
        with contextlib.suppress(BlockingIOError):
            while True:
                silent.accept()[0].close()
                asked += 1
        assert asked == 1


# Watching -----------------------------------------------------------------------------------------------------------


def test_what_was_compacted_during_a_watch_is_read_anew(store, member, prefix, entry, etcd):
    other = EtcdStore(etcd.url(prefix))
    store.write(None, intent(), entry())
    assert other.read() == intent()
    store.write(Version(1, 0), drained(), entry())
    member.put("elsewhere", b"1")
    member.compact()
    assert other.changed(Version(1, 0), 5)
    assert other.read() == drained()
    assert not other.changed(Version(1, 1), 0.05)


def test_compaction_alone_is_no_news_for_long(store, member, prefix, entry):
    store.write(None, intent(), entry())
    for _ in range(3):
        member.put("elsewhere", b"1")
    member.compact()
    assert store.changed(Version(1, 0), 5), "etcd has forgotten: read, to know"
    assert store.read() == intent()
    assert not store.changed(Version(1, 0), 0.05)


@pytest.mark.parametrize(
    "watch",
    [
        lambda meddler: meddler.hang(),
        lambda _: LOST,
        lambda _: (200, b""),
        lambda _: (200, b'{"result":{"created":true}}\n{"error":{"message":"no leader"'),
        lambda _: (503, b'{"error":{"grpc_code":14,"message":"etcdserver: no leader"}}'),
        lambda _: (200, b"[]\n"),
        lambda _: (200, b'{"result":{"header":{}}}\n'),
    ],
)
def test_a_watch_that_tells_nothing_loses_nothing(between, store, entry, watch):
    meddler, reader = between()
    meddler.meddle = lambda path, ask: watch(meddler) if path == "/v3/watch" else ask()
    store.write(None, intent(), entry())
    assert reader.read() == intent()
    assert not reader.changed(Version(1, 0), 0.05)
    store.write(Version(1, 0), drained(), entry())
    assert reader.changed(Version(1, 0), 0.2)
    assert reader.read() == drained()


def test_a_watch_whose_first_event_is_larger_than_any_buffer(store, entry, etcd, prefix):
    other = EtcdStore(etcd.url(prefix))
    store.write(None, intent(), entry())
    other.read()
    reason = secrets.token_hex(800_000)
    store.write(Version(1, 0), changes.drain(intent(), a_drain("dc", reason=reason)), entry())
    assert other.changed(Version(1, 0), 20)
    assert other.read().overrides.drains[0].by.reason == reason


def test_no_etcd_to_watch_is_told(between, entry, impatient):
    meddler, store = between()
    store.write(None, intent(), entry())
    meddler.meddle = lambda _path, _ask: LOST
    with pytest.raises(HostError, match="does not answer"):
        store.changed(Version(1, 0), 0.05)
