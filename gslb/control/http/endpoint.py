"""What one line of the HTTP API's table says, and what a handler gets and gives. No line stands here."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Literal

from gslb.control.bodies.body import Body
from gslb.control.http.access import LOCAL, Caller
from gslb.control.http.events import Events
from gslb.control.publishing import Publisher

__all__ = ["LIMIT_BYTES", "Asked", "Endpoint", "Media", "Stream"]

LIMIT_BYTES = 1024 * 1024
"""What a request may hold; most that make sense are under 10 KiB."""


@dataclass(frozen=True, slots=True)
class Asked:
    """One request, read and checked against its line of the table."""

    publisher: Publisher
    path: Mapping[str, str]
    query: Any = None
    body: Any = None
    events: Events | None = None
    caller: Caller = LOCAL


@dataclass(frozen=True, slots=True)
class Media:
    """An answer that is not JSON, or the name of its type in the table."""

    content_type: str
    content: bytes = b""


@dataclass(frozen=True, slots=True)
class Stream:
    """An answer that goes on."""

    content_type: str
    lines: AsyncGenerator[bytes]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """`query` and `body` say what is taken; `answer` what comes back. `versioned`: a reading whose ETag a change may
    name in If-Match. `repeatable`: a change that takes an Idempotency-Key. `conditional`: one that If-Match may hold
    up; others do not change the Intent."""

    method: Literal["GET", "POST", "PUT", "DELETE"]
    path: str
    handler: Callable[[Asked], Awaitable[dict[str, Any] | Media | Stream]]
    summary: str
    answer: type[Body] | Media
    query: type[Body] | None = None
    body: type[Body] | None = None
    limit_bytes: int = LIMIT_BYTES
    versioned: bool = False
    repeatable: bool = True
    conditional: bool = True
