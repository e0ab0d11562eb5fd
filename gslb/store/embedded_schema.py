"""The tables of the embedded store, schema by schema, and the triggers that keep for good what is written for good.

SQL only: nothing here opens a file or knows what is in the tables.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator

__all__ = ["SCHEMA", "statements"]

SCHEMA = 2

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
INSERT INTO meta VALUES ('schema', '1');
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
"""

_DOCUMENTS = """
UPDATE meta SET value = '2' WHERE key = 'schema';
ALTER TABLE overrides ADD COLUMN signer TEXT NOT NULL DEFAULT '';
ALTER TABLE overrides ADD COLUMN signature BLOB NOT NULL DEFAULT x'';
CREATE TABLE documents (name TEXT PRIMARY KEY, number INTEGER NOT NULL CHECK (number > 0), value BLOB);
CREATE TRIGGER documents_rise BEFORE UPDATE ON documents
  WHEN NEW.number != OLD.number + 1 OR NEW.name != OLD.name
  BEGIN SELECT RAISE(ABORT, 'documents rise by one'); END;
CREATE TRIGGER documents_no_delete BEFORE DELETE ON documents
  BEGIN SELECT RAISE(ABORT, 'documents are never deleted'); END;
CREATE TRIGGER documents_no_replace BEFORE INSERT ON documents
  WHEN EXISTS (SELECT 1 FROM documents WHERE name = NEW.name)
  BEGIN SELECT RAISE(ABORT, 'documents rise by one'); END;
"""
_KEPT = (("policies", "revision"), ("audit", "number"))

# REPLACE deletes without firing a delete trigger, so inserting over a row is refused by a trigger of its own.
_APPEND_ONLY = """
CREATE TRIGGER {table}_no_update BEFORE UPDATE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
CREATE TRIGGER {table}_no_delete BEFORE DELETE ON {table} BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
CREATE TRIGGER {table}_no_replace BEFORE INSERT ON {table}
  WHEN EXISTS (SELECT 1 FROM {table} WHERE {key} = NEW.{key})
  BEGIN SELECT RAISE(ABORT, '{table} is append-only'); END;
"""

_STEPS = (
    _TABLES + "".join(_APPEND_ONLY.format(table=table, key=key) for table, key in _KEPT),
    _DOCUMENTS,
)


def statements(since: int) -> Iterator[str]:
    """What leads from schema `since` (0: an empty file) to SCHEMA, to be executed in one transaction, one by one:
    `executescript` would commit the one that keeps two first starts apart."""
    pending = ""
    for line in "".join(_STEPS[since:]).splitlines():
        pending += line + "\n"
        if sqlite3.complete_statement(pending):
            yield pending
            pending = ""
