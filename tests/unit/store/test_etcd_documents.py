"""Documents in a real etcd, and past somebody between who loses and replays answers."""

from __future__ import annotations

import pytest

from gslb.errors import HostError, RefusedError
from gslb.store import TERM, Document
from gslb.store.etcd_values import Change, pack, unpack
from tests.support.intents import EtcdStore
from tests.support.meddler import LOST
from tests.unit.control.world import intent


@pytest.fixture
def store(etcd, prefix):
    return EtcdStore(etcd.url(prefix))


def test_a_write_whose_answer_got_lost_is_made_once(between, store):
    lost = []

    def lose_first(path, ask):
        answer = ask()
        if path == "/v3/kv/txn" and not lost:
            lost.append(answer)
            return LOST
        return answer

    meddler, unlucky = between(lose_first)
    assert unlucky.put(TERM, 0, b"mine") == Document(TERM, 1, b"mine")
    assert meddler.asked.count("/v3/kv/txn") == 2
    assert store.document(TERM).number == 1


def test_a_write_whose_answer_got_lost_is_not_taken_for_the_same_words_of_another(between, store):
    """Two candidates may write the very same value; only one of them leads."""
    store.put(TERM, 0, b"same")
    _, late = between()
    with pytest.raises(RefusedError, match="stale"):
        late.put(TERM, 0, b"same")


def test_a_write_whose_answer_got_lost_and_that_was_followed_by_another_holds_no_more(between, store):
    overtaken = []

    def overtake(path, ask):
        answer = ask()
        if path == "/v3/kv/txn" and not overtaken:
            overtaken.append(store.put(TERM, 1, b"theirs"))
            return LOST
        return answer

    _, slow = between(overtake)
    with pytest.raises(RefusedError, match="stale"):
        slow.put(TERM, 0, b"mine")
    assert store.document(TERM) == Document(TERM, 2, b"theirs")


def test_when_every_answer_gets_lost_nobody_claims_to_know(between, store, impatient):
    def lose_writes(path, ask):
        answer = ask()
        return LOST if path == "/v3/kv/txn" else answer

    _, unlucky = between(lose_writes)
    with pytest.raises(HostError, match="may be in the store or not"):
        unlucky.put(TERM, 0, b"mine")
    assert unlucky.document(TERM) == store.document(TERM) == Document(TERM, 1, b"mine")


def test_a_document_that_went_back_is_never_given(between, store, impatient):
    store.put("trust", 0, b"old")
    old = []

    def replay(path, ask):
        if path != "/v3/kv/range":
            return ask()
        old.append(ask())
        return old[0] if stuck else old[-1]

    stuck = False
    _, reader = between(replay)
    assert reader.document("trust").number == 1
    store.put("trust", 1, b"new")
    assert reader.document("trust").value == b"new"
    stuck = True
    with pytest.raises(HostError, match="gone back"):
        reader.document("trust")
    stuck = False
    assert reader.document("trust").value == b"new"


def test_a_key_that_was_really_deleted_is_no_new_document(store, member, prefix):
    store.put("joins/1", 0, b"token")
    member.delete(f"{prefix}/documents/joins/1")
    with pytest.raises(HostError, match="gone back"):
        store.document("joins/1")


@pytest.mark.parametrize("value", [b"", b"\x01short", b"\x07" + bytes(40), b"{}"])
def test_what_is_no_document_is_told_with_its_key(store, member, prefix, value):
    member.put(f"{prefix}/documents/trust", value)
    with pytest.raises(HostError, match=f"{prefix}/documents/trust in etcd cannot be read"):
        store.document("trust")


def test_a_change_that_waited_for_its_member_while_the_leader_changed_is_refused(between, store, entry):
    """The transaction itself compares the fence, not the writer before it."""
    store.put(TERM, 0, b"one")

    def late(path, ask):
        if path == "/v3/kv/txn":
            store.put(TERM, store.document(TERM).number, b"two")
        return ask()

    _, paused = between(late)
    with pytest.raises(RefusedError) as caught:
        paused.write(None, intent(), entry(), fence=1)
    assert caught.value.rule == "fenced"
    with pytest.raises(RefusedError) as caught:
        paused.put("wave", 0, b"late", fence=2)
    assert caught.value.rule == "fenced"
    assert store.read() is None
    assert store.document("wave").number == 0


def test_a_fenced_change_whose_answer_got_lost_is_made_once(between, store, entry, member, prefix):
    store.put(TERM, 0, b"one")
    lost = []

    def lose_first(path, ask):
        answer = ask()
        if path == "/v3/kv/txn" and not lost:
            lost.append(store.put(TERM, 1, b"two"))
            return LOST
        return answer

    _, unlucky = between(lose_first)
    unlucky.write(None, intent(), entry(), fence=1)
    key = f"{prefix}/audit/0000000001"
    assert unpack(Change, key, member.get(key)).number == 1
    assert pack(unpack(Change, key, member.get(key))) == member.get(key)
    assert store.read() == intent()
