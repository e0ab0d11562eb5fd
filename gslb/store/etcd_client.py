"""Asking etcd (3.4 and newer) through its JSON gateway, from threads, and the next member where one does not answer.
Keys and octets only: what they mean to an installation stands in `etcd`, and how members are reached in `etcd_lines`.

Every request carries `hasleader`, so that a member without a majority says so at once instead of holding the request
for seconds. A request may reach etcd twice, when its first answer was lost: whoever writes must be able to tell.
In JSON int64 are strings, and false, zero and empty are absent.
"""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import ssl
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from gslb import clock
from gslb.errors import HostError
from gslb.store.etcd_lines import Lines
from gslb.store.etcd_url import EtcdUrl

__all__ = ["EtcdClient", "KeyValue", "Outcome"]

TRY_S = 2.0
"""How long one member may take; a healthy one takes milliseconds."""
PATIENCE_S = 4.0
"""No round of tries begins after this. An election takes one to two seconds with etcd's own settings."""
PAUSE_S = 0.1
MOMENT_S = 0.001
ANSWER_LIMIT_BYTES = 128 * 1024 * 1024
_WRITE = "kv/txn"
_HEADERS = {"Content-Type": "application/json", "Grpc-Metadata-hasleader": "true"}
_REMEDY = (
    "more than half of etcd's members must run and reach each other: look at them with etcdctl endpoint status; what is"
    " in force stays in force meanwhile"
)
_REMEDY_LOST = "when etcd is back, see what is in force and gslb history, before you ask again"
_REMEDY_REFUSED = "let gslb read and write its prefix there; the gateway takes no user from a client certificate"
_REMEDIES = {
    "database space exceeded": "etcd is full: compact and defragment it, then etcdctl alarm disarm; keep "
    "--auto-compaction-retention set",
    "too large": "remove what is not needed, or start etcd with a larger --max-request-bytes",
}


@dataclass(frozen=True, slots=True)
class KeyValue:
    """One key as etcd has it. `mod_revision` is etcd's counter at the last change of this key, `version` how often it
    was written."""

    key: str
    value: bytes
    mod_revision: int
    version: int


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of a request: `revision` is etcd's counter then, `found` what it read, by key."""

    succeeded: bool
    revision: int
    found: Mapping[str, KeyValue]


class _NoAnswerError(Exception):
    """One member did not answer a request. `taken`: it may have taken it."""

    def __init__(self, why: str, *, taken: bool) -> None:
        super().__init__(why)
        self.taken = taken


class EtcdClient:
    """Safe to use from several threads. Raises HostError where the files of `url` cannot be used."""

    def __init__(self, url: EtcdUrl) -> None:
        self._endpoints = url.endpoints
        self._lines = Lines(url)
        self._lock = threading.Lock()
        self._first = 0

    def get(self, key: str, *, with_value: bool = True) -> Outcome:
        """One key; nothing is `found` where there is none. Raises HostError, as all here do."""
        return _read(self._ask("kv/range", {"key": _coded(key), "keys_only": not with_value}))

    def last(self, prefix: str, limit: int) -> Outcome:
        """The `limit` greatest keys that begin with `prefix`, which ends with /, greatest first."""
        wanted = {"key": _coded(prefix), "range_end": _coded(_after(prefix)), "limit": limit}
        return _read(self._ask("kv/range", wanted | {"sort_order": "DESCEND", "sort_target": "KEY"}))

    def below(self, prefix: str, limit: int) -> Outcome:
        """The first `limit` keys that begin with `prefix`, which ends with /, in order."""
        wanted = {"key": _coded(prefix), "range_end": _coded(_after(prefix)), "limit": limit}
        return _read(self._ask("kv/range", wanted))

    def replace(
        self,
        seen: Mapping[str, int],
        puts: Mapping[str, bytes],
        otherwise: Sequence[str],
        versions: Mapping[str, int] | None = None,
    ) -> Outcome:
        """One transaction: where every key of `seen` still has that mod_revision (0: is not there), and every one of
        `versions` was written just so often, write `puts`; else `succeeded` is False, nothing is written, and
        `otherwise` is read.

        Where every answer got lost, HostError says that it may have been written or not.
        """
        compare = [
            {"key": _coded(key), "target": "MOD", "result": "EQUAL", "mod_revision": str(revision)}
            for key, revision in seen.items()
        ] + [
            {"key": _coded(key), "target": "VERSION", "result": "EQUAL", "version": str(version)}
            for key, version in (versions or {}).items()
        ]
        success = [{"request_put": {"key": _coded(key), "value": _coded(value)}} for key, value in puts.items()]
        failure = [{"request_range": {"key": _coded(key)}} for key in otherwise]
        return _read(self._ask(_WRITE, {"compare": compare, "success": success, "failure": failure}))

    def wait(self, key: str, after_revision: int, timeout_s: float) -> bool:
        """Whether `key` seems to have changed after etcd's counter was `after_revision`: True at once when a member
        says so or has forgotten that far back; False after `timeout_s` of silence. Never more than a hint."""
        until_s = clock.mono_s() + timeout_s
        member = self._first
        try:
            return self._watch(member, key, after_revision, until_s)
        except _NoAnswerError:
            self._prefer((member + 1) % len(self._endpoints))
            time.sleep(max(0.0, until_s - clock.mono_s()))
            return False

    def turn(self) -> None:
        """Ask another member from now on."""
        self._prefer((self._first + 1) % len(self._endpoints))

    def _watch(self, member: int, key: str, after_revision: int, until_s: float) -> bool:
        """Lines of JSON for as long as the member and we like. The first says that it watches."""
        create = {"key": _coded(key), "start_revision": str(after_revision + 1)}
        heard = False
        with contextlib.closing(self._lines.new(member, max(MOMENT_S, until_s - clock.mono_s()))) as connection:
            try:
                connection.request("POST", "/v3/watch", json.dumps({"create_request": create}), _HEADERS)
                socket = connection.sock
                with connection.getresponse() as response:
                    while clock.mono_s() < until_s:
                        socket.settimeout(max(MOMENT_S, until_s - clock.mono_s()))
                        result = _watched(response.readline(ANSWER_LIMIT_BYTES))
                        if result.get("canceled") or result.get("events"):
                            return True
                        heard = True
            except TimeoutError:
                if not heard:
                    raise _NoAnswerError("it does not answer", taken=False) from None
            except (OSError, http.client.HTTPException, ValueError) as error:
                raise _NoAnswerError(str(error), taken=False) from None
        return False

    def _ask(self, path: str, body: Mapping[str, Any]) -> dict[str, Any]:
        """The answer of the first member that gives one; all are asked, round after round within PATIENCE_S."""
        sent = json.dumps(body)
        until_s = clock.mono_s() + PATIENCE_S
        reasons: dict[str, str] = {}
        maybe_taken = False
        while True:
            for member in self._order():
                try:
                    answer = self._try(member, path, sent)
                except _NoAnswerError as error:
                    reasons[self._name(member)] = str(error)
                    maybe_taken |= error.taken
                else:
                    self._prefer(member)
                    return answer
            if clock.mono_s() >= until_s:
                said = "; ".join(f"{name}: {why}" for name, why in sorted(reasons.items()))
                if maybe_taken and path == _WRITE:
                    raise HostError(
                        f"etcd does not answer: {said}; the change may be in the store or not", _REMEDY_LOST
                    )
                raise HostError(f"etcd does not answer: {said}", _REMEDY)
            time.sleep(PAUSE_S)

    def _try(self, member: int, path: str, sent: str) -> dict[str, Any]:
        taken = False
        try:
            with self._lines.one(member, TRY_S) as connection:
                taken = True
                connection.request("POST", f"/v3/{path}", sent, _HEADERS)
                with connection.getresponse() as response:
                    status, content = response.status, response.read(ANSWER_LIMIT_BYTES + 1)
        except TimeoutError:
            raise _NoAnswerError(f"no answer within {TRY_S:g} s", taken=taken) from None
        except ssl.SSLError as error:
            why = f"TLS fails: {getattr(error, 'verify_message', None) or error.reason or error}"
            refused = "ALERT" in (error.reason or "")  # of TLS 1.3 it comes after the request, which nobody has read
            raise _NoAnswerError(why, taken=taken and not refused) from None
        except OSError as error:
            raise _NoAnswerError((error.strerror or str(error)).lower(), taken=taken) from None
        except http.client.HTTPException as error:
            raise _NoAnswerError(f"it does not speak HTTP ({type(error).__name__})", taken=taken) from None
        return self._judged(member, status, content)

    def _judged(self, member: int, status: int, content: bytes) -> dict[str, Any]:
        """An answer, or why there is none: a fault of this member is left to the next, a fault of ours is not."""
        answer: Any = None
        if len(content) <= ANSWER_LIMIT_BYTES:
            with contextlib.suppress(ValueError):
                answer = json.loads(content)
        if not isinstance(answer, dict):
            raise _NoAnswerError(f"it is no etcd, or an older one than 3.4 (HTTP status {status})", taken=True)
        if status == HTTPStatus.OK:
            return answer
        said = str(answer.get("error") or answer.get("message") or f"HTTP status {status}")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            raise _NoAnswerError(said, taken="no leader" not in said)
        remedy = next((text for part, text in _REMEDIES.items() if part in said), _REMEDY_REFUSED)
        raise HostError(f"etcd at {self._name(member)} refuses: {said}", remedy)

    def _order(self) -> Sequence[int]:
        count = len(self._endpoints)
        return [(self._first + step) % count for step in range(count)]

    def _prefer(self, member: int) -> None:
        with self._lock:
            self._first = member

    def _name(self, member: int) -> str:
        host, port = self._endpoints[member]
        return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _after(prefix: str) -> str:
    """The end of the range of everything that begins with `prefix`."""
    return prefix[:-1] + chr(ord(prefix[-1]) + 1)


def _coded(octets: str | bytes) -> str:
    return base64.b64encode(octets.encode() if isinstance(octets, str) else octets).decode("ascii")


def _read(answer: Mapping[str, Any]) -> Outcome:
    try:
        kvs = list(answer.get("kvs", ()))
        for response in answer.get("responses", ()):
            kvs += response.get("response_range", {}).get("kvs", ())
        pairs = [
            KeyValue(
                base64.b64decode(kv["key"]).decode(),
                base64.b64decode(kv.get("value", "")),
                int(kv["mod_revision"]),
                int(kv["version"]),
            )
            for kv in kvs
        ]
        return Outcome(
            bool(answer.get("succeeded")), int(answer["header"]["revision"]), {pair.key: pair for pair in pairs}
        )
    except (ArithmeticError, AttributeError, LookupError, TypeError, ValueError) as error:
        raise HostError(
            f"etcd answers what this gslb does not understand: {type(error).__name__} {error}",
            "run an etcd from 3.4 on, and reach it without a proxy that changes its answers",
        ) from error


def _watched(line: bytes) -> Mapping[str, Any]:
    """The result in one line of a watch. A line that ends early, or tells an error, is no result."""
    message = json.loads(line)
    result = message.get("result") if isinstance(message, dict) else None
    if not isinstance(result, dict):
        raise _NoAnswerError("the watch ended", taken=False)
    return result
