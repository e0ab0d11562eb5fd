from __future__ import annotations

import contextlib
import hashlib
import sqlite3
import stat
import subprocess
import sys
import threading

import pytest

from gslb.control import changes
from gslb.errors import HostError, RefusedError
from gslb.snapshot.types import Version
from gslb.store import AuditEntry
from gslb.store.embedded import LIMIT_BYTES, SCHEMA
from tests.support.intents import EmbeddedStore, version_of
from tests.unit.control.world import NOW_S, a_drain, by, intent, policy


def entry(detail="first", reason="because"):
    return AuditEntry(at_s=NOW_S, author="ann", action="policy", detail=detail, reason=reason)


@pytest.fixture
def store(tmp_path):
    with contextlib.closing(EmbeddedStore(tmp_path)) as opened:
        yield opened


@pytest.fixture
def raw(tmp_path, store):
    """The file as somebody else sees it, past our code."""
    with contextlib.closing(sqlite3.connect(tmp_path / "gslb.db", isolation_level=None)) as connection:
        yield connection


def test_an_empty_store_says_so(store):
    assert store.read() is None
    assert store.history(10) == []


def test_what_is_written_is_read_back_whole_by_another_process(store, tmp_path):
    wanted = changes.shift(intent(), "shop", "pay", {"checkout": 12.34}, by(expires_s=NOW_S + 60))
    wanted = changes.drain(wanted, a_drain("dc", reason="öffnen"))
    store.write(None, wanted, entry())
    assert store.read() == wanted
    with contextlib.closing(EmbeddedStore(tmp_path)) as other:
        assert other.read() == wanted


def test_the_file_is_private_from_the_first_moment(store, tmp_path):
    store.write(None, intent(), entry())
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes["gslb.db"] == 0o600
    assert set(modes.values()) == {0o600}, "side files hold the same content"


def test_a_file_that_others_could_read_is_closed_to_them(tmp_path):
    (tmp_path / "gslb.db").touch(0o644)
    EmbeddedStore(tmp_path).close()
    assert stat.S_IMODE((tmp_path / "gslb.db").stat().st_mode) == 0o600


def test_a_stale_writer_is_refused_and_changes_nothing(tmp_path):
    with contextlib.closing(EmbeddedStore(tmp_path)) as one, contextlib.closing(EmbeddedStore(tmp_path)) as two:
        one.write(None, intent(), entry())
        base = two.read()
        first = changes.drain(base, a_drain("dc"))
        one.write(version_of(base), first, entry("fast"))
        with pytest.raises(RefusedError) as caught:
            two.write(version_of(base), changes.drain(base, a_drain("aws")), entry("slow"))
        assert caught.value.rule == "stale"
        assert two.read() == first
        assert [record.entry.detail for record in two.history(10)] == ["fast", "first"]


def test_two_first_writers_make_one_first_policy(tmp_path):
    """Both start on an empty folder at the same moment, schema and all."""
    together, outcomes = threading.Barrier(2, timeout=20), []

    def start(number):
        together.wait()
        with contextlib.closing(EmbeddedStore(tmp_path)) as opened:
            together.wait()
            try:
                opened.write(None, changes.set_policy(None, policy(environment=f"e{number}")), entry(str(number)))
                outcomes.append("written")
            except RefusedError as error:
                outcomes.append(error.rule)

    threads = [threading.Thread(target=start, args=(number,)) for number in (1, 2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(outcomes) == ["stale", "written"]


def test_versions_only_rise(store):
    drained = changes.drain(intent(), a_drain("dc"))
    store.write(None, drained, entry())
    with pytest.raises(RefusedError, match="not newer"):
        store.write(Version(1, 1), intent(), entry())


def test_nobody_can_have_read_what_was_never_written(store):
    with pytest.raises(RefusedError, match="none is in force"):
        store.write(Version(1, 1), intent(), entry())


def test_a_revision_never_comes_to_mean_another_policy(store):
    store.write(None, intent(), entry())
    forged = changes.drain(intent(), a_drain("dc")).model_copy(update={"policy": policy(environment="forged")})
    with pytest.raises(RefusedError) as caught:
        store.write(Version(1, 0), forged, entry())
    assert caught.value.rule == "immutable-revision"
    assert store.read() == intent()


def test_the_history_is_newest_first_and_bounded(store):
    store.write(None, intent(), entry("one", reason="r"))
    store.write(Version(1, 0), changes.drain(intent(), a_drain("dc")), entry("two"))
    newest, oldest = store.history(10)
    assert (newest.number, newest.version, newest.entry) == (2, Version(1, 1), entry("two"))
    assert (oldest.number, oldest.version, oldest.entry.reason) == (1, Version(1, 0), "r")
    assert [record.number for record in store.history(1)] == [2]


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit SET author = 'nobody'",
        "DELETE FROM audit",
        "INSERT OR REPLACE INTO audit VALUES (1, 0, 'x', 'x', 'x', 'x', 1, 1)",
        "UPDATE policies SET policy = '{}'",
        "DELETE FROM policies",
        "INSERT OR REPLACE INTO policies VALUES (1, 'x', '{}', 'x', 'x', 0)",
    ],
)
def test_audit_and_policies_are_append_only_for_everybody(store, raw, statement):
    store.write(None, intent(), entry())
    with pytest.raises(sqlite3.IntegrityError, match="append-only"):
        raw.execute(statement)
    assert store.read() == intent()


def test_a_newer_schema_is_refused(store, raw, tmp_path):
    raw.execute("UPDATE meta SET value = ? WHERE key = 'schema'", (str(SCHEMA + 1),))
    with pytest.raises(HostError, match="newer gslb"):
        EmbeddedStore(tmp_path)


SCHEMA_1 = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE policies (
  revision INTEGER PRIMARY KEY CHECK (revision BETWEEN 1 AND 4294967295),
  digest TEXT NOT NULL, policy TEXT NOT NULL, author TEXT NOT NULL, message TEXT NOT NULL, at_s REAL NOT NULL
);
CREATE TABLE overrides (
  only_row INTEGER PRIMARY KEY CHECK (only_row = 1), version INTEGER NOT NULL CHECK (version >= 0), value TEXT NOT NULL
);
CREATE TABLE audit (
  number INTEGER PRIMARY KEY AUTOINCREMENT, at_s REAL NOT NULL, author TEXT NOT NULL, action TEXT NOT NULL,
  detail TEXT NOT NULL, reason TEXT NOT NULL, revision INTEGER NOT NULL, overrides INTEGER NOT NULL
);
INSERT INTO meta VALUES ('schema', '1');
"""
"""A file as gslb 0.1 made it."""


@pytest.fixture
def old_file(tmp_path):
    wanted = changes.drain(intent(), a_drain("dc"))
    policy_text = wanted.policy.model_dump_json()
    with contextlib.closing(sqlite3.connect(tmp_path / "gslb.db", isolation_level=None)) as connection:
        connection.executescript(SCHEMA_1)
        digest = hashlib.sha256(policy_text.encode()).hexdigest()
        connection.execute("INSERT INTO policies VALUES (1, ?, ?, 'ann', 'because', 1)", (digest, policy_text))
        connection.execute("INSERT INTO overrides VALUES (1, 1, ?)", (wanted.overrides.model_dump_json(),))
        connection.execute("INSERT INTO audit VALUES (1, 1, 'ann', 'policy', 'first', 'because', 1, 1)")
    return wanted


def test_a_file_of_an_older_gslb_keeps_what_is_in_it(old_file, tmp_path):
    with contextlib.closing(EmbeddedStore(tmp_path)) as store:
        assert store.read() == old_file
        assert [record.entry.detail for record in store.history(10)] == ["first"]
        store.write(version_of(old_file), changes.undrain(old_file, "dc", None), entry("second"))
        store.put("trust", 0, b"first")
    with contextlib.closing(EmbeddedStore(tmp_path)) as again:
        assert again.read() == changes.undrain(old_file, "dc", None)
        assert [record.entry.detail for record in again.history(10)] == ["second", "first"]
        assert again.document("trust").value == b"first"


def test_two_that_open_an_older_file_at_once(old_file, tmp_path):
    with contextlib.closing(EmbeddedStore(tmp_path)) as one, contextlib.closing(EmbeddedStore(tmp_path)) as two:
        assert one.put("trust", 0, b"first") == two.document("trust")


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE documents SET value = x'00'",
        "UPDATE documents SET number = number + 2",
        "UPDATE documents SET number = number - 1",
        "UPDATE documents SET number = number + 1, name = 'other'",
        "DELETE FROM documents",
        "INSERT OR REPLACE INTO documents VALUES ('trust', 1, x'00')",
    ],
)
def test_the_number_of_a_document_only_rises_for_everybody(store, raw, statement):
    store.put("trust", 0, b"first")
    with pytest.raises(sqlite3.IntegrityError):
        raw.execute(statement)
    assert store.document("trust").value == b"first"


def test_a_file_that_is_no_database_is_left_alone(tmp_path):
    (tmp_path / "gslb.db").write_bytes(b"my notes, not a database, and longer than a header" * 9)
    with pytest.raises(HostError, match="not a database") as caught:
        EmbeddedStore(tmp_path)
    assert "not a gslb store" in caught.value.remedy
    assert (tmp_path / "gslb.db").read_bytes().startswith(b"my notes")


@pytest.mark.parametrize("table", ["CREATE TABLE notes (text)", "CREATE TABLE meta (key, value)"])
def test_a_database_of_somebody_else_is_left_alone(tmp_path, table):
    with contextlib.closing(sqlite3.connect(tmp_path / "gslb.db")) as connection:
        connection.execute(table)
    with pytest.raises(HostError, match="no gslb store"):
        EmbeddedStore(tmp_path)


def test_a_folder_that_is_missing_or_is_none(tmp_path):
    with pytest.raises(HostError, match="No such file"):
        EmbeddedStore(tmp_path / "nowhere")
    (tmp_path / "file").touch()
    with pytest.raises(HostError, match="Not a directory"):
        EmbeddedStore(tmp_path / "file")
    (tmp_path / "gslb.db").symlink_to(tmp_path / "file")
    with pytest.raises(HostError, match="no regular file"):
        EmbeddedStore(tmp_path)


def test_a_file_that_cannot_be_written_names_the_remedy(store):
    """As root no mode bit keeps us out, so SQLite itself is told to refuse, which gives the same error."""
    store.write(None, intent(), entry())
    store._connection.execute("PRAGMA query_only = ON")
    with pytest.raises(HostError, match="readonly") as caught:
        store.write(Version(1, 0), changes.drain(intent(), a_drain("dc")), entry())
    assert "writable" in caught.value.remedy
    assert store.read() == intent()


def test_a_writer_that_holds_the_store_too_long(store, raw):
    store.write(None, intent(), entry())
    store._connection.execute("PRAGMA busy_timeout = 10")
    raw.execute("BEGIN IMMEDIATE")
    with pytest.raises(HostError, match="locked") as caught:
        store.write(Version(1, 0), changes.drain(intent(), a_drain("dc")), entry())
    assert "another process" in caught.value.remedy
    assert store.read() == intent(), "readers wait for nobody"
    raw.execute("ROLLBACK")
    store.write(Version(1, 0), changes.drain(intent(), a_drain("dc")), entry())


def test_a_full_disk_changes_nothing(store):
    store.write(None, intent(), entry())
    (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
    store._connection.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(HostError, match="full") as caught:
        store.write(Version(1, 0), changes.drain(intent(), a_drain("dc")), entry("y" * 100_000))
    assert "space" in caught.value.remedy
    assert store.read() == intent()
    assert len(store.history(10)) == 1


def test_a_policy_that_this_version_cannot_read(store, raw):
    raw.execute("INSERT INTO policies VALUES (1, 'd', '{\"from\": \"the future\"}', '', '', 0)")
    with pytest.raises(HostError, match="cannot read"):
        store.policy(1)


def test_every_policy_that_was_ever_in_force_can_be_read_by_its_revision(store):
    first = intent()
    second = changes.set_policy(first, policy(environment="second"))
    store.write(None, first, entry())
    store.write(version_of(first), second, entry("second"))
    assert [store.policy(revision) for revision in (1, 2)] == [first.policy, second.policy]
    for unknown in (0, 3, 0xFFFFFFFF):
        with pytest.raises(RefusedError) as caught:
            store.policy(unknown)
        assert caught.value.rule == "unknown-revision"


def test_a_policy_that_is_too_large_is_refused(store):
    huge = intent().model_copy(update={"policy": policy().model_copy(update={"environment": "x" * LIMIT_BYTES})})
    with pytest.raises(RefusedError, match="octets") as caught:
        store.write(None, huge, entry())
    assert caught.value.rule == "too-large"
    assert store.read() is None


DYING = """
import os, pathlib, sys
from gslb.store.embedded import EmbeddedStore
store = EmbeddedStore(pathlib.Path(sys.argv[1]))
with store._transaction("IMMEDIATE"):
    store._connection.execute("INSERT INTO audit SELECT 2, at_s, 'half', 'x', 'x', 'x', 1, 1 FROM audit")
    os._exit(9)
"""


def test_a_writer_that_dies_in_the_middle_leaves_nothing_behind(store, tmp_path):
    store.write(None, intent(), entry())
    ended = subprocess.run([sys.executable, "-c", DYING, str(tmp_path)], check=False)
    assert ended.returncode == 9
    assert len(store.history(10)) == 1
    store.write(Version(1, 0), changes.drain(intent(), a_drain("dc")), entry())
    assert len(store.history(10)) == 2
