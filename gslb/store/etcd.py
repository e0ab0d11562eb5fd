"""The store of many machines: an etcd, under one prefix. Several controls may write; compare-and-swap lets one win.

    PREFIX/intent             the version in force, its overrides, the digest of its policy, and the signature
    PREFIX/policies/REVISION  a policy, for good
    PREFIX/audit/NUMBER       one written change, or something else that somebody did, for good
    PREFIX/documents/NAME     see etcd_documents

A change is one transaction over the first three, so that there is never half of one, and nothing is ever deleted. What
etcd says is not believed where it contradicts itself: a version older than one that was seen, a policy that is not the
one of its digest, an Intent that has gone. Nothing here decides what an Intent means.
"""

from __future__ import annotations

import secrets
import threading
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from gslb.errors import HostError
from gslb.model.policy import Policy
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.types import Version
from gslb.store.etcd_client import EtcdClient
from gslb.store.etcd_documents import EtcdDocuments
from gslb.store.etcd_url import parse_url
from gslb.store.etcd_values import Change, Head, Row, damaged, pack, policy_in, text_in, unpack
from gslb.store.interface import AuditEntry, AuditRecord
from gslb.store.rules import LIMIT_BYTES, refuse_other_policy, refuse_stale, refuse_too_large, unknown_revision

__all__ = ["EtcdStore"]

REQUEST_LIMIT_BYTES = 1_310_720
"""1.25 MiB of compressed values. By default etcd refuses a request above 1.5 MiB, keys and framing included."""
READ_TRIES = 3
WRITE_TRIES = 10
"""Each time somebody else was faster."""


@dataclass(frozen=True, slots=True)
class _Seen:
    """What etcd held when it was asked: the Intent's version, etcd's counter at its last change, and the counter."""

    version: Version | None
    mod_revision: int
    counter: int


class EtcdStore:
    """The etcd that `url` names, as `etcd_url.parse_url` reads it. Nothing is asked before the first call.

    A call takes some milliseconds. Where no majority answers it raises HostError: after 4 s, or 2 s for each member
    that is silent. Raises HostError, too, where `url` or a file that it names cannot be used.
    """

    def __init__(self, url: str) -> None:
        parsed = parse_url(url)
        self._client = EtcdClient(parsed)
        self._prefix = parsed.prefix
        self._intent_key = f"{parsed.prefix}/intent"
        self._lock = threading.Lock()
        self._newest: Version | None = None
        self._last: _Seen | None = None
        self._text: tuple[str, str] | None = None
        self._documents = EtcdDocuments(self._client, parsed.prefix)
        self.document = self._documents.document
        self.documents = self._documents.documents
        self.put = self._documents.put

    def close(self) -> None:
        """No connection stays open between two calls."""

    def read(self) -> Bundle | None:
        """See Store.read. Never an older one than this object has returned before: HostError."""
        head, seen = self._head()
        if head is None:
            self._last = seen
            return None
        try:
            bundle = head.bundle(self._text_of(head))
        except ValueError as error:
            raise damaged(self._intent_key, str(error).splitlines()[0]) from None
        self._last = seen
        return bundle

    def write(self, expected: Version | None, bundle: Bundle, audit: AuditEntry, fence: int | None = None) -> None:
        """See Store.write. Raises RefusedError, rule `too-large`, also for what one request to etcd cannot hold.

        Where the answer got lost, HostError says that the change may be in the store or not.
        """
        for _ in range(WRITE_TRIES):
            if self._write(expected, bundle, audit, fence):
                return
        raise self._crowded()

    def _write(self, expected: Version | None, bundle: Bundle, audit: AuditEntry, fence: int | None) -> bool:
        """One try; False where something was appended meanwhile, which took the number of this change."""
        head, seen = self._head()
        version = bundle.version
        refuse_stale(expected, seen.version, version)
        row, row_key = Row.of(bundle.policy, audit), self._row_key(version.revision)
        kept = head if head and head.revision == version.revision else None
        refuse_other_policy(version.revision, kept.digest if kept else None, row.digest)
        number = self._next(head)
        new = Head.of(bundle, row.digest, number)
        change = Change.of(version, audit, number, secrets.token_hex(16))
        refuse_too_large(len(row.policy) + len(new.overrides), LIMIT_BYTES, "the policy takes")
        puts = {self._intent_key: pack(new), self._change_key(number): pack(change)}
        unchanged = {self._intent_key: seen.mod_revision, self._change_key(number): 0}
        if kept is None:
            puts[row_key], unchanged[row_key] = pack(row), 0
        size_bytes = sum(map(len, puts.values()))
        refuse_too_large(size_bytes, REQUEST_LIMIT_BYTES, "compressed for one request to etcd, the change takes")
        counter = self._commit(unchanged, puts, change, fence)
        if counter is None:
            return self._try_again(expected, change, row.digest)
        with self._lock:
            self._newest = max(self._newest or new.version, new.version)
            self._last = _Seen(new.version, counter, counter)
        return True

    def append(self, audit: AuditEntry) -> None:
        """See Store.append. The head counts it, too; other readers may take that for news, and read the same again."""
        for _ in range(WRITE_TRIES):
            head, seen = self._head()
            number = self._next(head)
            change = Change.of(seen.version or Version(0, 0), audit, number, secrets.token_hex(16))
            puts = {self._change_key(number): pack(change)}
            unchanged = {self._intent_key: seen.mod_revision, self._change_key(number): 0}
            if head is not None:
                puts[self._intent_key] = pack(head.model_copy(update={"changes": number}))
            counter = self._commit(unchanged, puts, change, None)
            if counter is None:
                continue
            with self._lock:
                if head is not None and self._last == _Seen(seen.version, seen.mod_revision, seen.counter):
                    self._last = _Seen(seen.version, counter, counter)
            return
        raise self._crowded()

    def policy(self, revision: int) -> Policy:
        """See Store.policy."""
        key = self._row_key(revision)
        row = self._row(key)
        if row is None:
            raise unknown_revision(revision)
        return policy_in(row, key)

    def history(self, limit: int) -> Sequence[AuditRecord]:
        """See Store.history."""
        found = self._client.last(f"{self._prefix}/audit/", limit).found
        return [unpack(Change, key, pair.value).record for key, pair in found.items()]

    def changed(self, since: Version | None, timeout_s: float) -> bool:
        """See Store.changed. etcd's watch is a hint that may be lost; what is told in the end was read."""
        last = self._last
        if last is None or last.version != since:
            return True
        if timeout_s > 0 and self._client.wait(self._intent_key, last.counter, timeout_s):
            return True
        outcome = self._client.get(self._intent_key, with_value=False)
        found = outcome.found.get(self._intent_key)
        if (found.mod_revision if found else 0) != last.mod_revision:
            return True
        self._last = replace(last, counter=outcome.revision)
        return False

    def _head(self) -> tuple[Head | None, _Seen]:
        """What is in force. Another member is asked where one tells less than was seen before."""
        for _ in range(READ_TRIES):
            outcome = self._client.get(self._intent_key)
            pair = outcome.found.get(self._intent_key)
            head = unpack(Head, pair.key, pair.value) if pair else None
            version = head.version if head else None
            with self._lock:
                newest = self._newest
                if version is not None and (newest is None or version >= newest):
                    self._newest = version
                    return head, _Seen(version, pair.mod_revision if pair else 0, outcome.revision)
            if version is None and newest is None and not self._began():
                return None, _Seen(None, 0, outcome.revision)
            self._client.turn()
        raise HostError(
            f"etcd has gone back: {self._intent_key} has version {version or 'none'}, and {newest or 'one'} was there",
            "if it was restored from an old backup, restore gslb's newest one, too; what runs keeps what it has",
        )

    def _commit(
        self, unchanged: Mapping[str, int], puts: Mapping[str, bytes], change: Change, fence: int | None
    ) -> int | None:
        """Writes `puts` where nobody else wrote, and gives etcd's counter then; None where somebody did. Raises
        RefusedError, rule `fenced`."""
        change_key, term_key = self._change_key(change.number), self._documents.term_key
        versions = {} if fence is None else {term_key: fence}
        outcome = self._client.replace(unchanged, puts, [change_key, term_key], versions)
        if outcome.succeeded:
            return outcome.revision
        written = outcome.found.get(change_key)
        if written is not None and unpack(Change, change_key, written.value).token == change.token:
            return written.mod_revision  # by an earlier try, whose answer got lost
        self._documents.refuse_fenced(fence, outcome.found)
        return None

    def _try_again(self, expected: Version | None, change: Change, digest: str) -> bool:
        """False where nothing stood in the way of a change that was not written, but something that was appended.
        Raises what did."""
        head, seen = self._head()
        refuse_stale(expected, seen.version, change.version)
        row = self._row(self._row_key(change.revision))
        refuse_other_policy(change.revision, row.digest if row else None, digest)
        if self._next(head) <= change.number:
            raise damaged(self._intent_key, "the history or the policies go on behind it")
        return False

    def _next(self, head: Head | None) -> int:
        """The number of the next entry: the head counts them; before the first policy they are counted by keys."""
        if head is not None:
            return head.changes + 1
        last = self._client.last(f"{self._prefix}/audit/", 1).found
        return max((unpack(Change, key, pair.value).number for key, pair in last.items()), default=0) + 1

    def _crowded(self) -> HostError:
        return HostError("others write to etcd all the time", "try again")

    def _text_of(self, head: Head) -> str:
        """The policy: read once, and kept while it is in force."""
        known = self._text
        if known is None or known[0] != head.digest:
            key = self._row_key(head.revision)
            row = self._row(key)
            if row is None:
                raise damaged(key, "it is not there, though it is in force")
            known = self._text = head.digest, text_in(row, head.digest, key)
        return known[1]

    def _row(self, key: str) -> Row | None:
        pair = self._client.get(key).found.get(key)
        return unpack(Row, key, pair.value) if pair else None

    def _began(self) -> bool:
        """Whether a policy was ever written."""
        return bool(self._client.last(f"{self._prefix}/policies/", 1).found)

    def _row_key(self, revision: int) -> str:
        return f"{self._prefix}/policies/{revision:010}"

    def _change_key(self, number: int) -> str:
        return f"{self._prefix}/audit/{number:010}"
