"""The store of one machine: one SQLite file in WAL mode. The processes of this machine share it.

Policies are kept for good, one row a revision; triggers keep them and the audit from ever being changed. Nothing here
decides what an Intent means, and nothing here waits longer than `BUSY_S` for a neighbour's lock.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import sqlite3
import stat
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Literal

from gslb import clock
from gslb.errors import HostError
from gslb.model.policy import Policy
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.types import Version
from gslb.store.embedded_schema import SCHEMA, statements
from gslb.store.interface import TERM, AuditEntry, AuditRecord, Document
from gslb.store.rules import (
    LIMIT_BYTES,
    refuse_bad_document,
    refuse_fenced,
    refuse_other_policy,
    refuse_stale,
    refuse_stale_document,
    refuse_too_large,
    unknown_revision,
)

__all__ = ["EmbeddedStore"]

FILE_NAME = "gslb.db"
BUSY_S = 5.0
RETRY_S = 0.02
PRIVATE = 0o600
LOOK_S = 0.1
"""How often a waiting reader looks for what other processes wrote."""

_REMEDIES = {
    "SQLITE_READONLY": "make the folder and its files writable for the user that runs gslb, or choose another folder",
    "SQLITE_CANTOPEN": "make the folder writable for the user that runs gslb, or choose another folder",
    "SQLITE_PERM": "make the folder writable for the user that runs gslb, or choose another folder",
    "SQLITE_BUSY": "another process holds the store: end it, or wait until it is done, and try again",
    "SQLITE_LOCKED": "another process holds the store: end it, or wait until it is done, and try again",
    "SQLITE_FULL": "free some space on that disk; the last good policy stays in force meanwhile",
    "SQLITE_NOTADB": "it is not a gslb store: move the file away, or choose another folder",
    "SQLITE_CORRUPT": "move the file away and restore the last backup; what runs keeps its last good policy",
    "SQLITE_IOERR": "check the disk and its file system; what runs keeps its last good policy",
}


class EmbeddedStore:
    """`gslb.db` in the data folder `folder`, which must exist; the file is made, with mode 0600, where it is missing.

    Raises HostError where the file cannot be opened, is no gslb store, or was written by a newer gslb.
    """

    def __init__(self, folder: Path) -> None:
        self._path = path = folder / FILE_NAME
        self._lock = threading.Lock()
        _private_file(path)
        with self._blaming():
            self._connection = sqlite3.connect(path, timeout=BUSY_S, isolation_level=None, check_same_thread=False)
        try:
            with self._blaming():
                _use_wal(self._connection)
                self._connection.execute("PRAGMA synchronous = FULL")
            with self._transaction("IMMEDIATE"):
                self._prepare()
        except BaseException:
            self._connection.close()
            raise

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def read(self) -> Bundle | None:
        """See Store.read."""
        with self._transaction("DEFERRED"):
            return self._read()

    def write(self, expected: Version | None, bundle: Bundle, audit: AuditEntry, fence: int | None = None) -> None:
        """See Store.write."""
        refuse_too_large(len(bundle.policy) + len(bundle.overrides), LIMIT_BYTES, "the policy takes")
        version, digest = bundle.version, hashlib.sha256(bundle.policy.encode()).hexdigest()
        with self._transaction("IMMEDIATE"):
            refuse_fenced(fence, self._document(TERM).number)
            refuse_stale(expected, self._version(), version)
            known = self._one("SELECT digest FROM policies WHERE revision = ?", version.revision)
            refuse_other_policy(version.revision, known[0] if known else None, digest)
            if known is None:
                self._connection.execute(
                    "INSERT INTO policies VALUES (?, ?, ?, ?, ?, ?)",
                    (version.revision, digest, bundle.policy, audit.author, audit.reason, audit.at_s),
                )
            self._connection.execute(
                "INSERT INTO overrides VALUES (1, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
                " SET (version, value, signer, signature) = (?, ?, ?, ?)",
                (version.overrides, bundle.overrides, bundle.signer, bundle.signature) * 2,
            )
            self._record(audit, version)

    def append(self, audit: AuditEntry) -> None:
        """See Store.append."""
        with self._transaction("IMMEDIATE"):
            self._record(audit, self._version() or Version(0, 0))

    def policy(self, revision: int) -> Policy:
        """See Store.policy."""
        with self._transaction("DEFERRED"):
            row = self._one("SELECT policy FROM policies WHERE revision = ?", revision)
        if row is None:
            raise unknown_revision(revision)
        with self._understanding():
            return Policy.model_validate_json(row[0])

    def history(self, limit: int) -> Sequence[AuditRecord]:
        """See Store.history."""
        with self._transaction("DEFERRED"):
            rows = self._connection.execute(
                "SELECT number, revision, overrides, at_s, author, action, detail, reason FROM audit"
                " ORDER BY number DESC LIMIT ?",
                (limit,),
            ).fetchall()
        return [AuditRecord(number, Version(rev, over), AuditEntry(*rest)) for number, rev, over, *rest in rows]

    def changed(self, since: Version | None, timeout_s: float) -> bool:
        """See Store.changed."""
        until_s = clock.mono_s() + timeout_s
        while True:
            with self._transaction("DEFERRED"):
                if self._version() != since:
                    return True
            if clock.mono_s() >= until_s:
                return False
            time.sleep(min(LOOK_S, max(0.0, until_s - clock.mono_s())))

    def document(self, name: str) -> Document:
        """See Store.document."""
        with self._transaction("DEFERRED"):
            return self._document(name)

    def documents(self, folder: str) -> Sequence[Document]:
        """See Store.documents."""
        with self._transaction("DEFERRED"):
            rows = self._connection.execute(
                "SELECT name, number, value FROM documents WHERE name > ? AND name < ? AND value IS NOT NULL"
                " ORDER BY name",
                (f"{folder}/", f"{folder}0"),  # 0 is what follows /
            ).fetchall()
        return [Document(*row) for row in rows]

    def put(self, name: str, number: int, value: bytes | None, fence: int | None = None) -> Document:
        """See Store.put."""
        refuse_bad_document(name, value)
        with self._transaction("IMMEDIATE"):
            refuse_fenced(fence, self._document(TERM).number)
            refuse_stale_document(name, number, self._document(name).number)
            if number == 0:
                self._connection.execute("INSERT INTO documents VALUES (?, 1, ?)", (name, value))
            else:
                self._connection.execute(
                    "UPDATE documents SET number = number + 1, value = ? WHERE name = ?", (value, name)
                )
        return Document(name, number + 1, value)

    def _record(self, audit: AuditEntry, version: Version) -> None:
        self._connection.execute(
            "INSERT INTO audit (at_s, author, action, detail, reason, revision, overrides)"
            " VALUES (?, ?, ?, ?, ?, ?, ?)",
            (audit.at_s, audit.author, audit.action, audit.detail, audit.reason, version.revision, version.overrides),
        )

    def _document(self, name: str) -> Document:
        row = self._one("SELECT number, value FROM documents WHERE name = ?", name)
        return Document(name, *row) if row else Document(name, 0, None)

    def _prepare(self) -> None:
        """Makes the tables in an empty file, and those that an older gslb did not have; refuses a file that this gslb
        does not understand."""
        tables = {name for (name,) in self._connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        if not tables:
            self._bring(since=0)
            return
        row = self._one("SELECT value FROM meta WHERE key = 'schema'") if "meta" in tables else None
        if row is None or not str(row[0]).isdecimal():
            raise HostError(f"{self._path} is a database, but no gslb store", _REMEDIES["SQLITE_NOTADB"])
        if int(row[0]) > SCHEMA:
            raise HostError(
                f"{self._path} was written by a newer gslb (schema {row[0]}, this one knows {SCHEMA})",
                "run that version again, or restore a backup that this version made",
            )
        self._bring(since=int(row[0]))

    def _bring(self, since: int) -> None:
        """From schema `since` (0: an empty file) to the one of today. What was there stays as it is."""
        for statement in statements(since):
            self._connection.execute(statement)

    def _read(self) -> Bundle | None:
        row = self._one("SELECT revision, policy FROM policies ORDER BY revision DESC LIMIT 1")
        overrides = self._one("SELECT version, value, signer, signature FROM overrides")
        if row is None or overrides is None:
            return None
        version, value, signer, signature = overrides
        with self._understanding():
            return Bundle(
                revision=row[0],
                policy=row[1],
                overrides_version=version,
                overrides=value,
                signer=signer,
                signature=signature,
            )

    @contextlib.contextmanager
    def _understanding(self) -> Iterator[None]:
        """What does not read as what it should be, as HostError."""
        try:
            yield
        except ValueError as error:
            raise HostError(
                f"{self._path} holds a policy that this gslb cannot read: {str(error).splitlines()[0]}",
                "run the version that wrote it, or restore a backup",
            ) from error

    def _version(self) -> Version | None:
        row = self._one("SELECT max(revision), (SELECT version FROM overrides) FROM policies")
        return Version(row[0], row[1]) if row and row[0] is not None else None

    def _one(self, sql: str, *values: object) -> tuple[Any, ...] | None:
        row: tuple[Any, ...] | None = self._connection.execute(sql, values).fetchone()
        return row

    @contextlib.contextmanager
    def _transaction(self, kind: Literal["DEFERRED", "IMMEDIATE"]) -> Iterator[None]:
        """IMMEDIATE: a writer waits for its turn at the beginning, and never finds out at the end. Readers, DEFERRED,
        wait for nobody."""
        with self._lock, self._blaming():
            self._connection.execute(f"BEGIN {kind}")
            try:
                yield
                self._connection.execute("COMMIT")
            except BaseException:
                if self._connection.in_transaction:
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _blaming(self) -> Iterator[None]:
        """SQLite's errors as HostError, with what to do about them."""
        try:
            yield
        except sqlite3.Error as error:
            name = getattr(error, "sqlite_errorname", "SQLITE_ERROR")
            remedy = next((text for key, text in _REMEDIES.items() if name.startswith(key)), "")
            raise HostError(
                f"the store {self._path} cannot be used: {error}",
                remedy or "check the file, or move it away and restore a backup",
            ) from error


def _private_file(path: Path) -> None:
    """Made here, so that the mode is right from the first moment; SQLite gives its side files the same.

    A file that is there is not opened: closing it would drop the locks that another connection of this process holds
    (https://www.sqlite.org/howtocorrupt.html, section 2.2).
    """
    try:
        with contextlib.suppress(FileExistsError):
            os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, PRIVATE))
        mode = path.lstat().st_mode
        if stat.S_ISREG(mode) and stat.S_IMODE(mode) != PRIVATE:
            path.chmod(PRIVATE)
    except OSError as error:
        raise HostError(
            f"the store {path} cannot be opened: {error.strerror}",
            "let its folder exist and be writable for the user that runs gslb, or choose another folder",
        ) from error
    if not stat.S_ISREG(mode):
        raise HostError(f"the store {path} is no regular file", "move it away, or choose another folder")


def _use_wal(connection: sqlite3.Connection) -> None:
    """SQLite does not wait where two connections switch at once: it calls one of them busy, which then has to ask
    again, for BUSY_S at most."""
    for attempt in range(int(BUSY_S / RETRY_S)):
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchall()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & 0xFF != sqlite3.SQLITE_BUSY or attempt + 1 == int(BUSY_S / RETRY_S):
                raise
            time.sleep(RETRY_S)
        else:
            return
