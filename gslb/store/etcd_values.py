"""What an installation's keys in etcd hold, and how: JSON of a known format, compressed. Pure: no network.

What cannot be read whole is damage, and is said with the name of the key; nothing is ever repaired here.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from typing import Literal, TypeVar

from pydantic import BaseModel, ConfigDict

from gslb.errors import HostError
from gslb.model.policy import Policy
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.types import Version
from gslb.store.interface import AuditEntry, AuditRecord
from gslb.store.rules import LIMIT_BYTES

__all__ = ["Change", "Head", "Row", "Value", "damaged", "pack", "policy_in", "text_in", "unpack"]

FORMAT = 2
UNPACKED_LIMIT_BYTES = 4 * LIMIT_BYTES
"""JSON inside JSON escapes its quotation marks."""


class Value(BaseModel):
    """What every value says of itself."""

    model_config = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")

    format: Literal[1, 2] = 1


class Head(Value):
    """What is in force. `changes` counts the writes, and numbers the last one in the audit; `digest` is its policy's;
    `overrides` is their JSON. Format 1, of gslb 0.1, has no signature."""

    format: Literal[1, 2] = 2

    revision: int
    overrides_version: int
    digest: str
    changes: int
    overrides: str
    signer: str = ""
    signature: bytes = b""

    @classmethod
    def of(cls, bundle: Bundle, digest: str, changes: int) -> Head:
        return cls(
            revision=bundle.revision,
            overrides_version=bundle.overrides_version,
            digest=digest,
            changes=changes,
            overrides=bundle.overrides,
            signer=bundle.signer,
            signature=bundle.signature,
        )

    @property
    def version(self) -> Version:
        return Version(self.revision, self.overrides_version)

    def bundle(self, policy: str) -> Bundle:
        """With the text of its policy. Raises ValueError where it is none."""
        return Bundle(
            revision=self.revision,
            overrides_version=self.overrides_version,
            policy=policy,
            overrides=self.overrides,
            signer=self.signer,
            signature=self.signature,
        )


class Row(Value):
    """A policy. `digest` is the SHA-256 of `policy`, which is its JSON."""

    digest: str
    policy: str
    author: str
    message: str
    at_s: float

    @classmethod
    def of(cls, policy: str, audit: AuditEntry) -> Row:
        return cls(
            digest=hashlib.sha256(policy.encode()).hexdigest(),
            policy=policy,
            author=audit.author,
            message=audit.reason,
            at_s=audit.at_s,
        )


class Change(Value):
    """A change that was written, the `number`th. By `token` its writer knows it again, who may have lost the answer."""

    number: int
    token: str
    revision: int
    overrides_version: int
    at_s: float
    author: str
    action: str
    detail: str
    reason: str

    @classmethod
    def of(cls, version: Version, audit: AuditEntry, number: int, token: str) -> Change:
        return cls(
            number=number,
            token=token,
            revision=version.revision,
            overrides_version=version.overrides,
            at_s=audit.at_s,
            author=audit.author,
            action=audit.action,
            detail=audit.detail,
            reason=audit.reason,
        )

    @property
    def version(self) -> Version:
        return Version(self.revision, self.overrides_version)

    @property
    def record(self) -> AuditRecord:
        entry = AuditEntry(self.at_s, self.author, self.action, self.detail, self.reason)
        return AuditRecord(self.number, self.version, entry)


_V = TypeVar("_V", bound=Value)


def pack(value: Value) -> bytes:
    return zlib.compress(value.model_dump_json().encode(), 6)


def unpack(kind: type[_V], key: str, value: bytes) -> _V:
    """Raises HostError with the name of the key: damaged, too large, or written by a newer gslb."""
    stream = zlib.decompressobj()
    try:
        text = stream.decompress(value, UNPACKED_LIMIT_BYTES)
    except zlib.error as error:
        raise damaged(key, str(error)) from None
    if not stream.eof or stream.unused_data:
        raise damaged(key, "it is cut short, too large, or has something behind its end")
    try:
        return kind.model_validate_json(text)
    except ValueError as error:
        written = _format_of(text)
        if written > FORMAT:
            raise HostError(
                f"{key} in etcd was written by a newer gslb (format {written}, this one knows {FORMAT})",
                "run that version here, too; what runs keeps its last good policy",
            ) from None
        raise damaged(key, _first_line(error)) from None


def text_in(row: Row, digest: str, key: str) -> str:
    """The text of the policy of `row`, which must have `digest`. Raises HostError."""
    if hashlib.sha256(row.policy.encode()).hexdigest() != digest:
        raise damaged(key, "it is not the policy that was written")
    return row.policy


def policy_in(row: Row, key: str) -> Policy:
    """Raises HostError."""
    try:
        return Policy.model_validate_json(text_in(row, row.digest, key))
    except ValueError as error:
        raise damaged(key, _first_line(error)) from None


def damaged(key: str, why: str) -> HostError:
    return HostError(
        f"{key} in etcd cannot be read: {why}",
        "put it back from a backup, or run the gslb that wrote it; what runs keeps its last good policy",
    )


def _format_of(text: bytes) -> int:
    try:
        written = json.loads(text)["format"]
    except (LookupError, TypeError, ValueError):
        return 0
    return written if isinstance(written, int) else 0


def _first_line(error: ValueError) -> str:
    return str(error).splitlines()[0]
