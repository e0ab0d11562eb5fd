r"""Domain names as octets (RFC 1035 section 3.1), and their written form with `\DDD` escapes (section 5.1).

Names here are absolute and lower-case. Only names: no records, and no rule about which names a policy may use.
"""

from __future__ import annotations

import re
from collections.abc import Container, Iterator

__all__ = ["ROOT", "ancestors", "from_text", "is_below", "nearest", "parent", "to_text"]

ROOT = b"\0"

_ESCAPE = re.compile(rb"\\(\d\d\d)")
_SPECIAL = re.compile(rb"[^a-z0-9_*/-]")


def from_text(name: str) -> bytes:
    r"""The octets of an absolute name, with or without its last dot, whose special octets are written `\DDD`."""
    labels = name.removesuffix(".").encode("ascii").lower().split(b".")
    if b"\\" in (octets := b".".join(labels)):
        labels = [_ESCAPE.sub(lambda match: bytes([int(match[1])]), label) for label in octets.split(b".")]
    return b"".join(len(label).to_bytes() + label for label in labels if label) + ROOT


def to_text(name: bytes) -> str:
    r"""What `from_text` reads back: every octet that is no letter, digit or one of `-_*/` as `\DDD`, no last dot."""
    labels = []
    offset = 0
    while length := name[offset]:
        label = name[offset + 1 : offset + 1 + length]
        labels.append(_SPECIAL.sub(lambda match: b"\\%03d" % match[0][0], label).decode("ascii"))
        offset += length + 1
    return ".".join(labels) or "."


def parent(name: bytes) -> bytes:
    """`name` without its first label. The root has none."""
    return name[name[0] + 1 :]


def ancestors(name: bytes) -> Iterator[bytes]:
    """What `name` lies below, nearest first, the root last."""
    while name != ROOT:
        name = parent(name)
        yield name


def nearest(name: bytes, among: Container[bytes]) -> bytes | None:
    """The longest of `among` that `name` is or lies below, or None."""
    while name not in among:
        if name == ROOT:
            return None
        name = parent(name)
    return name


def is_below(name: bytes, other: bytes) -> bool:
    """Whether `name` is `other` or lies below it. As labels hold any octets, equal ends alone prove nothing."""
    if not name.endswith(other):
        return False
    offset, start = 0, len(name) - len(other)
    while offset < start:
        offset += name[offset] + 1
    return offset == start
