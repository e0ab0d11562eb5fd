"""The path of a request as the edges compare it."""

from __future__ import annotations

import re

__all__ = ["normal_path"]

_ESCAPED_SLASH = re.compile(r"%(?:2f|5c)", re.IGNORECASE)
_UNRESERVED = re.compile(r"%(4[1-9a-f]|5[0-9a]|6[1-9a-f]|7[0-9a]|3[0-9]|2[de]|5f|7e)", re.IGNORECASE)
_SLASHES = re.compile(r"/{2,}")


def normal_path(path: str) -> str | None:
    """`path` (absolute, without its query) as the edges compare it: RFC 3986 section 6.2.2, and runs of slashes as one.

    None where they refuse it with 400: a fragment, or an escaped slash, which services read differently.
    """
    if "#" in path or _ESCAPED_SLASH.search(path):
        return None
    plain = _UNRESERVED.sub(lambda escape: chr(int(escape[1], 16)), path).replace("\\", "/")
    kept: list[str] = []
    segments = plain.split("/")[1:]
    for segment in segments:
        if segment == "..":
            kept = kept[:-1]
        elif segment != ".":
            kept.append(segment)
    if segments[-1] in (".", ".."):
        kept.append("")
    made = "/" + "/".join(kept)
    if len(made) > 1 and not made.strip("/"):
        return "//"  # Envoy puts the first and the last slash back, though there is nothing between them
    return _SLASHES.sub("/", made)
