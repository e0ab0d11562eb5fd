"""Backup and restore over both kinds of store: everything comes back, under a newer version, or nothing happens."""

from __future__ import annotations

import contextlib

import pytest

from gslb.errors import HostError, RefusedError
from gslb.roles import backup as work
from gslb.roles.supervisor import lock_folder
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Drain, Intent, Overrides, Provenance
from gslb.store import TERM, AuditEntry, open_store
from gslb.store.embedded import EmbeddedStore
from gslb.trust.signer_files import TrustFolder
from tests.support.trust import bundle, trust_in
from tests.unit.control.world import a_drain, policy
from tests.unit.store.conftest import etcd, member, prefix  # noqa: F401 - fixtures

OTHER = policy(environment="other")


def entry(detail):
    return AuditEntry(1.0, "ann", "policy", detail, "because")


def fill(store):
    """Three changes of two policies, and documents with a past."""
    drained = Overrides(version=3, drains=(a_drain("dc"),))
    steps = [Intent(revision=1, policy=policy()), Intent(revision=2, policy=OTHER),
             Intent(revision=2, policy=OTHER, overrides=drained)]  # fmt: skip
    before = None
    store.append(entry("before any policy"))
    for number, intent in enumerate(steps):
        made = bundle(intent)
        store.write(before, made, entry(f"change {number}"))
        store.append(entry(f"after change {number}"))
        before = made.version
    for name, writes in ((TERM, 3), ("machines/two", 2), ("joins/abc", 1), ("trust", 2)):
        number = 0
        for write in range(writes):
            number = store.put(name, number, f"{name} {write}".encode()).number
    gone = store.put("machines/gone", 0, b"x")
    store.put(gone.name, gone.number, None)


@pytest.fixture
def source(tmp_path):
    data = tmp_path / "source"
    data.mkdir()
    trust_in(data)
    (data / "dnssec.secret").write_text("00" * 32)
    (data / "trust" / "identities").mkdir()
    (data / "trust" / "identities" / ".dns.1").mkdir()
    (data / "trust" / "identities" / ".dns.1" / "key.pem").write_text("key")
    (data / "trust" / "identities" / "dns").symlink_to(".dns.1")
    (data / "dns").mkdir()
    (data / "dns" / "generation").write_text("not in it")
    with contextlib.closing(EmbeddedStore(data)) as store:
        fill(store)
        yield data, store


def restored(backup, url, data, **given):
    done = work.restore(backup, url, data, **given)
    return done, open_store(url, data)


def same_everything(backup, store, done):
    """What was taken is there again, and on top of it the policy as a newer version, signed by a key that nodes
    believe."""
    found = store.read()
    assert (found.revision, found.overrides_version) == (done.revision, done.overrides)
    before, after = backup.bundle.intent(), found.intent()
    assert after.policy == before.policy
    assert after.overrides == before.overrides.model_copy(update={"version": before.overrides.version + 1})
    assert [store.policy(revision).environment for revision in (1, 2)] == ["test", "other"]
    history = store.history(10)
    versions = [
        (item.entry.detail, item.version.revision, item.version.overrides) for item in list(reversed(history))[:7]
    ]
    assert versions == [
        ("before any policy", 0, 0), ("change 0", 1, 0), ("after change 0", 1, 0), ("change 1", 2, 0),
        ("after change 1", 2, 0), ("change 2", 2, 3), ("after change 2", 2, 3),
    ]  # fmt: skip
    assert (history[0].entry.action, history[0].version) == ("restore", found.version)
    for kept in backup.documents:
        document = store.document(kept.name)
        assert (document.number, document.value) == (kept.number, kept.value)
    assert [document.name for document in store.documents("machines")] == ["machines/two"]


def test_everything_comes_back_on_one_machine(source, tmp_path):
    backup = work.unpack(work.pack(work.take(source[1], source[0])))
    assert {file.path for file in backup.files} == {
        "dnssec.secret", "trust/signing.key", "trust/signers.json", "trust/identities/.dns.1/key.pem",
        "trust/identities/dns",
    }  # fmt: skip
    assert "leader/beat" not in {kept.name for kept in backup.documents}
    data = tmp_path / "target"
    done, store = restored(backup, "sqlite", data)
    with contextlib.closing(store):
        same_everything(backup, store, done)
        assert done.revision == 2 + work.AHEAD
        TrustFolder(data / "trust").verify(store.read())
    assert (data / "trust" / "identities" / "dns" / "key.pem").read_text() == "key"
    assert (data / "dnssec.secret").stat().st_mode & 0o777 == 0o600
    assert sorted(path.name for path in data.iterdir() if not path.name.startswith("gslb.db")) == [
        "dnssec.secret", "lock", "trust",
    ]  # fmt: skip


def test_everything_comes_back_from_a_file_to_an_etcd_and_back(source, tmp_path, etcd, prefix):  # noqa: F811
    url = f"etcd://{etcd.members[0].endpoint}/{prefix}"
    backup = work.take(source[1], source[0])
    done, store = restored(backup, url, tmp_path / "many")
    same_everything(backup, store, done)
    with pytest.raises(RefusedError, match="not-empty"):
        work.restore(backup, url, tmp_path / "many")
    again = work.take(store, tmp_path / "many")
    assert again.bundle.policy == backup.bundle.policy
    done, back = restored(again, "sqlite", tmp_path / "one")
    with contextlib.closing(back):
        assert back.read().intent().overrides.drains == backup.bundle.intent().overrides.drains
        assert len(back.history(10)) == 9
    over, store = restored(backup, url, tmp_path / "many", over=True)
    assert over.revision == 2 + 2 * work.AHEAD, "above what is in force there"
    assert store.policy(1).environment == "test"


def test_what_is_in_force_is_kept_aside_where_somebody_insists(source, tmp_path):
    backup = work.take(source[1], source[0])
    data = tmp_path / "target"
    work.restore(backup, "sqlite", data)
    with pytest.raises(RefusedError) as caught:
        work.restore(backup, "sqlite", data)
    assert caught.value.rule == "not-empty"
    done = work.restore(backup, "sqlite", data, over=True)
    assert done.revision == 2 + 2 * work.AHEAD
    assert done.aside.startswith(str(data / "gslb.db.before-"))
    with contextlib.closing(EmbeddedStore(data)) as store:
        assert store.read().revision == done.revision
    with pytest.raises(RefusedError, match="not newer"):
        work.restore(backup, "sqlite", data, over=True, revision=5)


def test_nothing_is_restored_below_a_living_gslb(source, tmp_path):
    backup = work.take(source[1], source[0])
    data = tmp_path / "target"
    data.mkdir()
    with lock_folder(data), pytest.raises(HostError, match="another gslb"):
        work.restore(backup, "sqlite", data)
    assert not (data / "gslb.db").exists()


def test_a_crash_in_the_middle_leaves_nothing_in_force_and_may_be_tried_again(source, tmp_path, monkeypatch):
    backup = work.take(source[1], source[0])
    data = tmp_path / "target"

    def die(*_given, **_more):
        raise KeyboardInterrupt

    monkeypatch.setattr(work, "_move_aside", die)
    with pytest.raises(KeyboardInterrupt):
        work.restore(backup, "sqlite", data)
    with contextlib.closing(EmbeddedStore(data)) as store:
        assert store.read() is None
    monkeypatch.undo()
    assert work.restore(backup, "sqlite", data).aside == ""


def test_a_change_meanwhile_is_in_it_or_after_it_but_never_half(source, tmp_path):
    data, store = source
    real, changes = store.policy, []

    def policy_of(revision):
        if not changes:
            changes.append(1)
            intent = store.read().intent()
            by = Provenance(author="bob", at_s=2.0)
            drains = (*intent.overrides.drains, Drain(site="lab", by=by))
            overrides = intent.overrides.model_copy(update={"version": 4, "drains": drains})
            new = bundle(intent.model_copy(update={"overrides": overrides}))
            store.write(store.read().version, new, entry("meanwhile"))
        return real(revision)

    store.policy = policy_of
    backup = work.take(store, data)
    assert [change.detail for change in backup.history][-1] == "meanwhile"
    assert len(backup.bundle.intent().overrides.drains) == 2


def test_there_must_be_something(tmp_path):
    with contextlib.closing(EmbeddedStore(tmp_path)) as store, pytest.raises(RefusedError, match="no-policy"):
        work.take(store, tmp_path)


@pytest.mark.parametrize("octets", [b"", b"x", b"\x78\x9c", work.zlib.compress(b"{}"), work.zlib.compress(b"[1]")])
def test_what_is_no_backup_is_damaged(octets):
    with pytest.raises(RefusedError, match="damaged"):
        work.unpack(octets)


def test_paths_cannot_lead_out_of_the_data_folder():
    for path in ("../x", "/etc/passwd", "trust/../../x", ""):
        with pytest.raises(ValueError, match="pattern"):
            work.File(path=path, octets=b"")
    with pytest.raises(ValueError, match="pattern"):
        work.File(path="trust/x", link="../../etc/passwd")


def test_a_bomb_is_not_unpacked(monkeypatch):
    monkeypatch.setattr(work, "LIMIT_BYTES", 1000)
    with pytest.raises(RefusedError, match="too large"):
        work.unpack(work.zlib.compress(b" " * 10_000))
    assert isinstance(Bundle.of(Intent(revision=1, policy=policy())), Bundle)
