"""If-Match: a change only where the caller has seen what is in force (RFC 9110 section 13.1.1).

The tag is of the version, not of an answer's octets: what is observed changes all the time and is nobody's to write.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any, cast

from gslb.control.publishing import Make, Published, Publisher
from gslb.errors import RefusedError
from gslb.snapshot.intent import Intent
from gslb.store import AuditEntry

__all__ = ["ANY", "ChangedError", "only_if", "tag_in_force", "tag_of"]

ANY = "*"


class ChangedError(RefusedError):
    """Something else is in force than the caller has seen. `tag` is what is, empty before the first policy."""

    def __init__(self, tag: str) -> None:
        super().__init__(
            "if-match",
            f"in force is {tag or 'nothing'}, not what If-Match names",
            "look at what is in force, and ask again",
        )
        self.tag = tag


def tag_of(version: Mapping[str, Any]) -> str:
    """The entity tag of a version as messages.VersionSeen has it, without quotes."""
    return f"{version['revision']}.{version['overrides']}-{version['digest']}"


def tag_in_force(publisher: Publisher) -> str:
    """Empty before the first policy."""
    current = publisher.current()
    if current is None:
        return ""
    version = current[1].version
    return tag_of({"revision": version.revision, "overrides": version.overrides, "digest": current[1].digest})


def only_if(publisher: Publisher, tags: Collection[str] | None) -> Publisher:
    """`publisher`, whose changes raise ChangedError where none of `tags` is in force; `ANY`: any policy. None: no
    condition."""
    return publisher if tags is None else cast("Publisher", _Conditional(publisher, tags))


class _Conditional:
    """Everything as the publisher has it, but for the changes: looked at within them, when no other is under way."""

    def __init__(self, publisher: Publisher, tags: Collection[str]) -> None:
        self._publisher = publisher
        self._tags = tags

    def __getattr__(self, name: str) -> Any:
        return getattr(self._publisher, name)

    async def change(
        self, make: Make, audit: AuditEntry, bake_s: float | None = None, fence: int | None = None
    ) -> Published:
        def checked(intent: Intent | None) -> Intent:
            tag = tag_in_force(self._publisher)
            if not tag or not {tag, ANY} & set(self._tags):
                raise ChangedError(tag)
            return make(intent)

        return await self._publisher.change(checked, audit, bake_s, fence)
