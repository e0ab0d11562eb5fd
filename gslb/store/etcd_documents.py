"""The documents of an installation in etcd: `PREFIX/documents/NAME`. The number of a document is how often etcd says
that its key was written, so that etcd itself compares it, a fence's too, inside the transaction that writes.

A key is never deleted: a deleted document is a key that says so, or its number would begin again. What a document holds
is not known here.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence

from gslb.errors import HostError
from gslb.store.etcd_client import EtcdClient, KeyValue
from gslb.store.etcd_values import damaged
from gslb.store.interface import TERM, Document
from gslb.store.rules import refuse_bad_document, refuse_fenced, refuse_stale_document

__all__ = ["EtcdDocuments"]

LIMIT = 10_000
READ_TRIES = 3
TOKEN_BYTES = 16
"""By it a writer knows its own write again, whose answer got lost."""

_LIVING, _DELETED = b"\x01", b"\x00"


class EtcdDocuments:
    """Safe to use from several threads. Raises HostError where etcd does not answer, or goes back."""

    def __init__(self, client: EtcdClient, prefix: str) -> None:
        self._client = client
        self._prefix = f"{prefix}/documents/"
        self._lock = threading.Lock()
        self._seen: dict[str, int] = {}

    @property
    def term_key(self) -> str:
        """What a fence is the version of."""
        return self._key(TERM)

    def document(self, name: str) -> Document:
        """See Store.document. Never one with a smaller number than this object has seen before."""
        for _ in range(READ_TRIES):
            document = self._read(name, self._client.get(self._key(name)).found)
            if self._is_not_older(document):
                return document
            self._client.turn()
        raise self._gone_back(name)

    def documents(self, folder: str) -> Sequence[Document]:
        """See Store.documents."""
        for _ in range(READ_TRIES):
            found = self._client.below(self._key(f"{folder}/"), LIMIT).found
            documents = [self._read(key.removeprefix(self._prefix), found) for key in sorted(found)]
            if all(map(self._is_not_older, documents)):
                return [document for document in documents if document.value is not None]
            self._client.turn()
        raise self._gone_back(folder)

    def put(self, name: str, number: int, value: bytes | None, fence: int | None = None) -> Document:
        """See Store.put."""
        refuse_bad_document(name, value)
        key, token = self._key(name), secrets.token_bytes(TOKEN_BYTES)
        content = _DELETED + token if value is None else _LIVING + token + value
        versions = {key: number} | ({} if fence is None else {self.term_key: fence})
        written = Document(name, number + 1, value)
        outcome = self._client.replace({}, {key: content}, [key, self.term_key], versions)
        if not outcome.succeeded:
            found = outcome.found.get(key)
            if found is None or found.value != content:  # else it was written by an earlier try, whose answer got lost
                self.refuse_fenced(fence, outcome.found)
                refuse_stale_document(name, number, found.version if found else 0)
                raise damaged(key, "it did not change, and cannot be written")
        self._is_not_older(written)
        return written

    def refuse_fenced(self, fence: int | None, found: Mapping[str, KeyValue]) -> None:
        """RefusedError, rule `fenced`, by what a transaction found."""
        term = found.get(self.term_key)
        refuse_fenced(fence, term.version if term else 0)

    def _read(self, name: str, found: Mapping[str, KeyValue]) -> Document:
        pair = found.get(self._key(name))
        if pair is None:
            return Document(name, 0, None)
        mark, value = pair.value[:1], pair.value[1 + TOKEN_BYTES :]
        if mark not in (_LIVING, _DELETED) or len(pair.value) < 1 + TOKEN_BYTES:
            raise damaged(pair.key, "it is no document")
        return Document(name, pair.version, value if mark == _LIVING else None)

    def _is_not_older(self, document: Document) -> bool:
        with self._lock:
            if document.number < self._seen.get(document.name, 0):
                return False
            if document.number:
                self._seen[document.name] = document.number
            return True

    def _gone_back(self, name: str) -> HostError:
        return HostError(
            f"etcd has gone back: {self._prefix}{name} is older than it was",
            "if it was restored from an old backup, restart every control; what runs keeps what it has",
        )

    def _key(self, name: str) -> str:
        return self._prefix + name
