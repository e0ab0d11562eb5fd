"""What every store does, whatever it rests on: one suite over all of them."""

from __future__ import annotations

import contextlib
import functools
import threading

import pytest

from gslb.control import changes
from gslb.errors import RefusedError
from gslb.snapshot.intent import Key, Overrides
from gslb.snapshot.types import Version
from gslb.store import TERM, Document, embedded, etcd, open_store
from gslb.store.rules import DOCUMENT_LIMIT_BYTES, LIMIT_BYTES
from tests.support.intents import EmbeddedStore, EtcdStore, version_of
from tests.support.trust import STRANGER, bundle
from tests.unit.control.world import NOW_S, a_drain, by, intent, policy

WRITERS = 8
ROUNDS = 4


@pytest.fixture(params=["embedded", "etcd"])
def opening(request, tmp_path, prefix):
    """Opens the same store anew, as another process would."""
    if request.param == "embedded":
        return lambda: contextlib.closing(EmbeddedStore(tmp_path))
    etcd = request.getfixturevalue("etcd")
    return lambda: contextlib.closing(EtcdStore(etcd.url(prefix)))


@pytest.fixture
def store(opening):
    with opening() as opened:
        yield opened


@pytest.fixture
def other(opening):
    with opening() as opened:
        yield opened


def drained(base, site="dc"):
    return changes.drain(base, a_drain(site))


def at_once(count, work):
    """`work(number)` in so many threads that begin together; what they returned, in order of their numbers."""
    together, outcomes = threading.Barrier(count, timeout=20), [None] * count

    def run(number):
        together.wait()
        outcomes[number] = work(number)

    threads = [threading.Thread(target=run, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return outcomes


def tried(store, expected, wanted, entry):
    try:
        store.write(expected, wanted, entry)
    except RefusedError as error:
        return error.rule
    return "written"


def test_an_empty_store_says_so(store):
    assert store.read() is None
    assert store.history(10) == []


def test_what_is_written_is_read_back_whole_by_others(store, other, entry):
    wanted = changes.shift(intent(), "shop", "pay", {"checkout": 12.34}, by(expires_s=NOW_S + 60))
    wanted = changes.drain(wanted, a_drain("dc", reason="öffnen\0\u2028"))
    store.write(None, wanted, entry())
    assert store.read() == wanted
    assert other.read() == wanted


def as_they_are(store):
    """The class that does not know what it keeps."""
    return super(type(store).__mro__[1], store)


def test_a_bundle_is_kept_to_the_letter_with_its_signature(store, other, entry):
    """Also one that this gslb would write otherwise, or could not even read: whoever signed it signed just this."""
    first = bundle(intent())
    odd = first.model_copy(update={"policy": '{ "from": "the future" }', "overrides": '{"version":0,"ö":"\\u0000"}'})
    as_they_are(store).write(None, odd, entry())
    assert as_they_are(other).read() == odd
    newer = bundle(drained(intent()), STRANGER).model_copy(update={"policy": odd.policy})
    as_they_are(other).write(odd.version, newer, entry())
    assert as_they_are(store).read() == newer
    assert as_they_are(store).read().signer != odd.signer


def test_an_unsigned_bundle_is_kept_unsigned(store, other, entry):
    unsigned = bundle(intent()).model_copy(update={"signer": "", "signature": b""})
    as_they_are(store).write(None, unsigned, entry())
    assert as_they_are(other).read() == unsigned


def test_keys_are_octets_and_stay_what_they_are(store, other, entry):
    key = Key(role="ksk", algorithm=13, public=bytes(range(192, 256)), private="sealed", state="ready", since_s=1.25)
    overrides = Overrides(version=3, keys={"gslb.example.com": (key,)})
    wanted = intent().model_copy(update={"overrides": overrides})
    store.write(None, wanted, entry())
    assert other.read() == wanted


def test_a_change_of_overrides_keeps_the_policy_and_a_new_policy_the_overrides(store, other, entry):
    first = intent()
    second = drained(first)
    third = changes.set_policy(second, policy(environment="new"))
    for before, after in ((None, first), (first, second), (second, third)):
        store.write(version_of(before) if before else None, after, entry())
        assert other.read() == after
    assert other.read().overrides.drains == second.overrides.drains


def test_a_paused_writer_is_refused_and_changes_nothing(store, other, entry):
    store.write(None, intent(), entry())
    paused = store.read()
    first = drained(other.read())
    other.write(version_of(paused), first, entry("fast"))
    assert tried(store, version_of(paused), drained(paused, "aws"), entry("slow")) == "stale"
    assert store.read() == other.read() == first
    assert [record.entry.detail for record in store.history(10)] == ["fast", "first"]


def test_of_writers_at_once_one_wins_each_round(store, opening, entry):
    """Half of them share an object, as threads of a process do; the others have one each."""
    store.write(None, intent(), entry())
    with contextlib.ExitStack() as stack:
        stores = [store if n % 2 else stack.enter_context(opening()) for n in range(WRITERS)]
        for turn in range(ROUNDS):
            base = store.read()
            wanted = changes.undrain(base, "dc", None) if turn % 2 else drained(base)

            def write(number, base=base, wanted=wanted, turn=turn):
                return tried(stores[number], version_of(base), wanted, entry(f"round {turn} by {number}"))

            outcomes = at_once(WRITERS, write)
            assert sorted(outcomes) == ["stale"] * (WRITERS - 1) + ["written"]
            assert store.read() == wanted
            assert store.history(1)[0].entry.detail == f"round {turn} by {outcomes.index('written')}"
    assert [record.number for record in store.history(100)] == list(range(ROUNDS + 1, 0, -1))


def test_of_first_writers_at_once_one_wins(opening, entry):
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(opening()) for _ in range(WRITERS)]
        wanted = [changes.set_policy(None, policy(environment=f"e{n}")) for n in range(WRITERS)]
        outcomes = at_once(WRITERS, lambda n: tried(stores[n], None, wanted[n], entry(str(n))))
        assert sorted(outcomes) == ["stale"] * (WRITERS - 1) + ["written"]
        assert stores[0].read() == wanted[outcomes.index("written")]


def test_versions_only_rise(store, entry):
    store.write(None, drained(intent()), entry())
    for older in (intent(), drained(intent())):
        with pytest.raises(RefusedError, match="not newer") as caught:
            store.write(Version(1, 1), older, entry())
        assert caught.value.rule == "stale"


def test_nobody_can_have_read_what_was_never_written(store, entry):
    with pytest.raises(RefusedError, match="none is in force"):
        store.write(Version(1, 1), intent(), entry())
    assert store.read() is None


def test_who_saw_nothing_cannot_write_over_something(store, entry):
    store.write(None, intent(), entry())
    assert tried(store, None, drained(intent()), entry()) == "stale"


def test_a_revision_never_comes_to_mean_another_policy(store, entry):
    store.write(None, intent(), entry())
    forged = drained(intent()).model_copy(update={"policy": policy(environment="forged")})
    assert tried(store, Version(1, 0), forged, entry()) == "immutable-revision"
    assert store.read() == intent()
    assert len(store.history(10)) == 1


def test_every_policy_stays_under_its_revision(store, other, entry):
    first = intent()
    second = changes.set_policy(first, policy(environment="second"))
    store.write(None, first, entry())
    store.write(version_of(first), second, entry())
    assert [other.policy(revision) for revision in (1, 2)] == [first.policy, second.policy]
    for unknown in (0, 3, 0xFFFFFFFF):
        with pytest.raises(RefusedError) as caught:
            store.policy(unknown)
        assert caught.value.rule == "unknown-revision"


def test_what_changes_no_intent_is_recorded_at_the_version_in_force(store, entry):
    store.append(entry("before any policy"))
    base = intent()
    store.write(None, base, entry("the policy"))
    store.append(entry("m2 joined", reason="more"))
    assert version_of(store.read()) == version_of(base)
    store.write(version_of(base), drained(base), entry("a drain"))
    records = store.history(10)
    assert [record.number for record in records] == [4, 3, 2, 1]
    assert [record.version for record in records] == [
        version_of(drained(base)), version_of(base), version_of(base), Version(0, 0),
    ]  # fmt: skip
    assert records[1].entry == entry("m2 joined", reason="more")


def test_what_is_appended_at_once_is_all_there_and_stands_in_no_changes_way(store, opening, entry):
    store.write(None, intent(), entry("the policy"))

    def work(number):
        with opening() as opened:
            if number:
                for turn in range(ROUNDS):
                    opened.append(entry(f"{number}.{turn}"))
                return
            base = intent()
            for turn in range(ROUNDS):
                after = drained(base) if turn % 2 == 0 else changes.undrain(base, "dc", None)
                opened.write(version_of(base), after, entry(f"0.{turn}"))
                base = after

    at_once(3, work)
    records = store.history(100)
    assert [record.number for record in records] == list(range(3 * ROUNDS + 1, 0, -1))
    made = {f"{number}.{turn}" for number in range(3) for turn in range(ROUNDS)}
    assert made | {"the policy"} == {record.entry.detail for record in records}
    assert version_of(store.read()) == Version(1, ROUNDS)


def test_the_history_is_newest_first_and_bounded(store, entry):
    base, number = intent(), 1
    store.write(None, base, entry("1", reason="r"))
    for number in range(2, 13):
        after = drained(base) if number % 2 == 0 else changes.undrain(base, "dc", None)
        store.write(version_of(base), after, entry(str(number)))
        base = after
    records = store.history(1000)
    assert [record.number for record in records] == list(range(12, 0, -1))
    assert [record.entry.detail for record in records] == [str(n) for n in range(12, 0, -1)]
    assert (records[-1].version, records[-1].entry) == (Version(1, 0), entry("1", reason="r"))
    assert records[0].version == version_of(base)
    assert [record.number for record in store.history(3)] == [12, 11, 10]


def test_a_policy_that_is_too_large_is_refused(store, entry):
    huge = intent().model_copy(update={"policy": policy().model_copy(update={"environment": "x" * LIMIT_BYTES})})
    assert tried(store, None, huge, entry()) == "too-large"
    assert store.read() is None


def test_a_policy_of_a_megabyte_is_taken(store, other, entry):
    large = policy()
    apps = {f"shop{n}": large.apps["shop"].model_copy(update={"hosts": (f"shop{n}",)}) for n in range(700)}
    wanted = changes.set_policy(None, large.model_copy(update={"apps": apps}))
    assert len(wanted.policy.model_dump_json()) > 500_000
    store.write(None, wanted, entry())
    assert other.read() == wanted


def test_what_others_write_is_noticed_and_what_was_read_is_not_news(store, other, entry):
    assert store.read() is None
    assert not store.changed(None, 0.05)
    other.write(None, intent(), entry())
    assert store.changed(None, 0)
    assert store.changed(None, 5)
    assert store.read() == intent()
    assert not store.changed(Version(1, 0), 0.05)
    assert not store.changed(Version(1, 0), 0)
    assert not other.changed(Version(1, 0), 0.05), "its own write is no news"
    assert store.changed(Version(1, 7), 0.05), "whoever knows something else has to read"


def test_who_waits_is_woken(store, other, entry):
    other.write(None, intent(), entry())
    store.read()
    woken = []
    waiter = threading.Thread(target=lambda: woken.append(store.changed(Version(1, 0), 60)))
    waiter.start()
    waiter.join(0.2)
    assert waiter.is_alive()
    other.write(Version(1, 0), drained(intent()), entry())
    waiter.join(20)
    assert woken == [True]
    assert store.read() == drained(intent())


def test_a_store_is_opened_by_its_name(tmp_path):
    with contextlib.closing(open_store("sqlite", tmp_path)) as opened:
        assert isinstance(opened, embedded.EmbeddedStore)
    assert isinstance(open_store("etcd://127.0.0.1:1/x", tmp_path), etcd.EtcdStore)


def refusal(work):
    """The rule by which `work` is refused; `written` where it is not."""
    try:
        work()
    except RefusedError as error:
        return error.rule
    return "written"


def test_a_document_that_was_never_written(store):
    assert store.document("machines/berlin") == Document("machines/berlin", 0, None)
    assert store.documents("machines") == []


def test_the_number_of_a_document_rises_by_one_with_each_write(store, other):
    assert store.put("trust", 0, b"first") == Document("trust", 1, b"first")
    assert other.document("trust") == Document("trust", 1, b"first")
    assert other.put("trust", 1, b"second\0\xff") == Document("trust", 2, b"second\0\xff")
    assert store.document("trust") == Document("trust", 2, b"second\0\xff")
    assert store.put("trust", 2, b"") == other.document("trust") == Document("trust", 3, b"")


def test_who_has_not_seen_the_last_write_is_refused_and_changes_nothing(store, other):
    store.put("trust", 0, b"first")
    other.put("trust", 1, b"second")
    for number in (0, 1, 3, -1):
        assert refusal(lambda number=number: store.put("trust", number, b"forged")) == "stale"
    assert store.document("trust") == Document("trust", 2, b"second")


def test_a_document_that_nobody_wrote_cannot_have_been_seen(store):
    assert refusal(lambda: store.put("trust", 1, b"forged")) == "stale"
    assert store.document("trust").number == 0


def test_a_deleted_document_keeps_its_number(store, other):
    """Or who saw the first one could take the next for it, such as a token of one time that was used."""
    store.put("joins/1", 0, b"token")
    assert store.put("joins/1", 1, None) == Document("joins/1", 2, None)
    assert other.document("joins/1") == Document("joins/1", 2, None)
    assert refusal(lambda: other.put("joins/1", 0, b"again")) == "stale"
    assert refusal(lambda: other.put("joins/1", 1, b"again")) == "stale"
    assert other.put("joins/1", 2, b"another") == store.document("joins/1") == Document("joins/1", 3, b"another")


def test_a_folder_is_listed_by_name_without_the_deleted_and_its_neighbours(store, other):
    for name in ("machines/b", "machines/a", "machines/a/deep", "machines", "machines0", "machines-x/c", "joins/a"):
        store.put(name, 0, name.encode())
    store.put("machines/c", 0, b"c")
    store.put("machines/c", 1, None)
    assert [document.name for document in other.documents("machines")] == [
        "machines/a",
        "machines/a/deep",
        "machines/b",
    ]
    assert other.documents("machines")[0] == Document("machines/a", 1, b"machines/a")


def test_of_writers_of_a_document_one_wins_each_round(store, opening):
    with contextlib.ExitStack() as stack:
        stores = [store if n % 2 else stack.enter_context(opening()) for n in range(WRITERS)]
        for turn in range(ROUNDS):

            def write(number, turn=turn):
                return refusal(lambda: stores[number].put("leader/term", turn, str(number).encode()))

            outcomes = at_once(WRITERS, write)
            assert sorted(outcomes) == ["stale"] * (WRITERS - 1) + ["written"]
            assert store.document(TERM) == Document(TERM, turn + 1, str(outcomes.index("written")).encode())


@pytest.mark.parametrize("name", ["", "/", "a/", "/a", "a//b", "a b", "ä", "a\0", "x" * 201, "../a?"])
def test_names_that_no_document_may_have(store, name):
    assert refusal(lambda: store.put(name, 0, b"")) == "document-name"


def test_a_document_has_a_limit_and_may_reach_it(store, other):
    assert refusal(lambda: store.put("trust", 0, bytes(DOCUMENT_LIMIT_BYTES + 1))) == "too-large"
    largest = bytes(range(256)) * (DOCUMENT_LIMIT_BYTES // 256)
    store.put("x" * 200, 0, largest)
    assert other.document("x" * 200).value == largest


def test_only_the_present_leader_writes_with_a_fence(store, other, entry):
    assert refusal(lambda: store.write(None, intent(), entry(), fence=1)) == "fenced", "there is no leader yet"
    store.put(TERM, 0, b"one")
    store.write(None, intent(), entry(), fence=1)
    store.put("wave", 0, b"first", fence=1)
    other.put(TERM, 1, b"two")
    assert refusal(lambda: store.write(Version(1, 0), drained(intent()), entry("late"), fence=1)) == "fenced"
    assert refusal(lambda: store.put("wave", 1, b"late", fence=1)) == "fenced"
    assert refusal(lambda: store.put("wave", 1, b"early", fence=3)) == "fenced"
    assert other.read() == intent()
    assert other.document("wave") == Document("wave", 1, b"first")
    assert len(other.history(10)) == 1
    other.put("wave", 1, b"second", fence=2)
    other.write(Version(1, 0), drained(intent()), entry("second"), fence=2)
    assert store.read() == drained(intent())


def test_a_fence_does_not_help_who_is_stale(store, entry):
    store.put(TERM, 0, b"one")
    store.put("wave", 0, b"first", fence=1)
    store.write(None, intent(), entry(), fence=1)
    assert refusal(lambda: store.put("wave", 0, b"again", fence=1)) == "stale"
    assert refusal(lambda: store.write(None, drained(intent()), entry(), fence=1)) == "stale"


def test_what_people_ask_for_needs_no_fence(store, entry):
    store.put(TERM, 0, b"one")
    store.write(None, intent(), entry())
    assert store.put("machines/berlin", 0, b"").number == 1


def test_of_leaders_that_write_while_terms_change_only_the_present_one_does(store, opening):
    """Each writes under the fence that it won, as long as it may; what was written tells the terms in order."""
    with contextlib.ExitStack() as stack:
        stores = [stack.enter_context(opening()) for _ in range(WRITERS)]

        def lead(number):
            mine, written = stores[number], []
            term = mine.document(TERM).number
            if refusal(lambda: mine.put(TERM, term, b"")) != "written":
                return written
            for _ in range(20):
                seen = mine.document("wave").number
                write = functools.partial(mine.put, "wave", seen, b"", fence=term + 1)
                if refusal(write) == "written":
                    written.append((seen + 1, term + 1))
            return written

        written = sorted(write for writes in at_once(WRITERS, lead) for write in writes)
        assert written
        assert [number for number, _ in written] == list(range(1, len(written) + 1))
        assert [term for _, term in written] == sorted(term for _, term in written)
