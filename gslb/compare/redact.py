"""What is never kept of an answer: credentials and personal secrets, by name of the field and by shape of the value.

Redaction is by default, and errs on the side of less: what is kept serves to see a difference, not to hold data. The
patterns are RE2's, which take linear time whatever an answer holds.
"""

from __future__ import annotations

import json
import re
from typing import Any
from urllib.parse import parse_qsl, urlencode

import re2

from gslb.compare.capture import Captured, content_of
from gslb.compare.differ import Difference
from gslb.compare.rules import covers

__all__ = ["HIDDEN", "redacted_body", "redacted_difference", "redacted_headers", "redacted_path"]

HIDDEN = "[redacted]"
_SECRET_NAME = re2.compile(
    r"(?i)pass(?:word|wd|phrase|code)?$|secret|token|api[_-]?key|access[_-]?key|private[_-]?key|credential|authori[sz]ation|^auth$"
    r"|cookie|session|sid$|jwt|csrf|xsrf|otp$|^pin$|ssn|iban|card[_-]?(?:number|no)$|cvv|cvc|e?mail|phone|birth"
)
_SECRET_VALUE = re2.compile(
    r"(?i)\beyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # RFC 7519
    r"|\b(?:Bearer|Basic) +[\w.~+/=-]{8,}"
    r"|-----BEGIN [A-Z ]*PRIVATE KEY-----[^-]*(?:-----END [A-Z ]*PRIVATE KEY-----)?"
    r"|\b(?:AKIA|ASIA)[0-9A-Z]{16}\b"
    r"|[\w.+-]+@[\w-]+(?:\.[\w-]+)+"
    r"|\b(?:\d[ -]?){13,19}\b"
)
_NAMED_VALUE = re2.compile(
    r"""(?i)((?:pass(?:word|wd)?|secret|token|api[_-]?key|session)["']?\s*[:=]\s*["']?)[^\s"'&<>,;]+"""
)


def redacted_headers(captured: Captured, patterns: tuple[str, ...]) -> dict[str, str]:
    """By name; of cookies only the names stay."""
    return {
        name: HIDDEN if _is_secret(name) or covers(patterns, f"header.{name}") else _text(value)
        for name, value in captured.headers
    }


def redacted_path(path: str) -> str:
    """Path and query of a request."""
    plain, mark, query = path.partition("?")
    pairs = [(name, HIDDEN if _is_secret(name) else _text(value)) for name, value in parse_qsl(query, True)]
    return _text(plain) + (f"?{urlencode(pairs, safe='[]/')}" if mark else "")


def redacted_body(captured: Captured, patterns: tuple[str, ...], limit_bytes: int) -> str:
    """As text, cut off at `limit_bytes` characters; empty for what cannot be shown."""
    content = content_of(captured)
    if content.kind == "json":
        text = json.dumps(_value("body", content.value, patterns), ensure_ascii=False, indent=1)
    elif content.kind == "text":
        text = HIDDEN if covers(patterns, "body") else _text(content.value)
    else:
        text = f"({captured.size_bytes} octets)" if captured.size_bytes else ""
    return text if len(text) <= limit_bytes else f"{text[:limit_bytes]}…"


def redacted_difference(difference: Difference, patterns: tuple[str, ...]) -> Difference:
    """With values that may be kept."""
    named = re.split(r"[.\[]", difference.path)
    if any(map(_is_secret, named)) or covers(patterns, difference.path):
        old, new = (HIDDEN if value else "" for value in (difference.old, difference.new))
        return Difference(difference.path, difference.kind, old, new)
    return Difference(difference.path, difference.kind, _text(difference.old), _text(difference.new))


def _value(path: str, value: Any, patterns: tuple[str, ...]) -> Any:
    if covers(patterns, path):
        return HIDDEN
    if isinstance(value, dict):
        return {
            _text(name): HIDDEN if _is_secret(name) else _value(f"{path}.{name}", item, patterns)
            for name, item in value.items()
        }
    if isinstance(value, list):
        return [_value(f"{path}[]", item, patterns) for item in value]
    if isinstance(value, int) and not isinstance(value, bool) and _text(str(value)) != str(value):
        return HIDDEN
    return _text(value) if isinstance(value, str) else value


def _is_secret(name: str) -> bool:
    return _SECRET_NAME.search(name) is not None


def _text(text: str) -> str:
    return str(_SECRET_VALUE.sub(HIDDEN, _NAMED_VALUE.sub(rf"\g<1>{HIDDEN}", text)))
