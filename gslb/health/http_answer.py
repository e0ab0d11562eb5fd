"""Whether an HTTP answer is what a check expects of it. Pure; how it came here is not known."""

from __future__ import annotations

from dataclasses import dataclass

import re2

from gslb.health.target import Result
from gslb.snapshot.checks import Headers, HttpExpect

__all__ = ["Answer", "judged"]

_SHOWN = 80


@dataclass(frozen=True, slots=True)
class Answer:
    """`headers` have lower-case names. `body` is as much of it as was read; empty where nobody asked for it."""

    status: int
    headers: Headers
    body: bytes = b""


def judged(subject: str, answer: Answer, expect: HttpExpect, origin: str = "") -> Result:
    """The result that `answer` is. `origin` ends the reason of a wrong status, such as ` from the edge`."""
    text = f"{subject}: {answer.status}"
    if not any(first <= answer.status <= last for first, last in expect.status):
        return Result(ok=False, reason=text + origin)
    lacking = _lacking(answer, expect)
    return Result(ok=False, reason=f"{text}, {lacking}") if lacking else Result(ok=True, reason=text)


def _lacking(answer: Answer, expect: HttpExpect) -> str | None:
    for name, value in expect.headers:
        values = [has for known, has in answer.headers if known == name]
        if value not in values:
            return f"{name} is {_clip(values[0])}" if values else f"without {name}"
    body = answer.body.decode("utf-8", "replace")
    if expect.body is not None and expect.body not in body:
        return f"without {_clip(expect.body)!r} in its body"
    if expect.regex is not None and not re2.search(expect.regex, body):
        return f"nothing in its body fits {_clip(expect.regex)!r}"
    return None


def _clip(text: str) -> str:
    return text if len(text) <= _SHOWN else text[: _SHOWN - 3] + "..."
