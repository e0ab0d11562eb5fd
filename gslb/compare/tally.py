"""What is counted of one comparison: requests, fields that differed, and a few samples, all of it bounded.

Counts are kept in two spans of time, so that what a fixed bug did is forgotten within a day.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from gslb.compare.capture import Captured, Role
from gslb.compare.differ import Difference, compare
from gslb.compare.joining import Joined
from gslb.compare.redact import redacted_body, redacted_difference, redacted_headers, redacted_path
from gslb.compare.rules import Rules

__all__ = ["MAX_FIELDS", "MAX_SAMPLES", "SAMPLE_AGE_S", "SPAN_S", "Field", "FieldKey", "Span", "Tally", "together"]

SPAN_S = 12 * 3600.0
"""Between one and two of these are told."""
MAX_FIELDS = 500
"""Fields of one comparison in one span that are counted; others are counted together."""
MAX_SAMPLES = 20
_SAMPLES_PER_FIELD = 3
SAMPLE_AGE_S = 24 * 3600.0
_SAMPLE_BODY_BYTES = 8192
_OLD_ORDER: tuple[Role, ...] = ("answer", "noise")
_NEW_ORDER: tuple[Role, ...] = ("copy", "answer")

FieldKey = tuple[str, str]
"""Path and kind."""


@dataclass(slots=True)
class Field:
    """Of one path and kind. `seen`: pairs of old and new that differed; of the requests with a second answer of one
    side, `both` pairs differed, `only_new` that of old and new, `only_old` that of one side with itself."""

    seen: int = 0
    both: int = 0
    only_new: int = 0
    only_old: int = 0
    first_wall_s: float = 0.0
    last_wall_s: float = 0.0
    old: str = ""
    new: str = ""


@dataclass(slots=True)
class Span:
    """`pairs` old and new were compared, `measured` of them with the noise of one side, `different` of them in some
    field. `by_target`: the client's answer came from the target itself. `refused`: the client was let in and a copy
    was not (401, 403). `more_fields` had no room."""

    since_wall_s: float
    pairs: int = 0
    measured: int = 0
    different: int = 0
    by_target: int = 0
    refused: int = 0
    more_fields: int = 0
    fields: dict[FieldKey, Field] = field(default_factory=dict)


class Tally:
    """Of the comparison that `rules` describe, at one site."""

    def __init__(self, rules: Rules, wall_s: float) -> None:
        self.rules = rules
        self._spans = deque([Span(wall_s)], maxlen=2)
        self._samples: deque[dict[str, Any]] = deque(maxlen=MAX_SAMPLES)

    def take(self, joined: Joined, wall_s: float) -> None:
        """Count one request."""
        old, new = self._sides(joined)
        if not old or not new:
            return
        span = self._span(wall_s)
        found = {_key(item): item for item in compare(old[0], new[0], self.rules)}
        noise: set[FieldKey] | None = None
        for side in (old, new):
            if noise is None and len(side) > 1:
                noise = {_key(item) for item in compare(side[0], side[1], self.rules)}
        span.pairs += 1
        span.measured += noise is not None
        span.different += bool(found)
        answer = joined.captures.get("answer")
        span.by_target += answer is not None and answer.side == self.rules.target
        span.refused += answer is not None and _was_refused(answer, joined)
        for key in sorted(found.keys() | (noise or set())):
            self._count(span, key, found.get(key), noise, wall_s)
        if found:
            self._keep_sample(joined, list(found.values()), noise or set(), wall_s)

    def spans(self) -> tuple[Span, ...]:
        """Those that count, the older first."""
        return tuple(self._spans)

    def samples(self, wall_s: float) -> list[dict[str, Any]]:
        """Redacted, the newest first."""
        while self._samples and self._samples[0]["at_wall_s"] < wall_s - SAMPLE_AGE_S:
            self._samples.popleft()
        return list(reversed(self._samples))

    def _sides(self, joined: Joined) -> tuple[list[Captured], list[Captured]]:
        """Answers of the old service, the client's first, and of the new, the copy's first. Another backend's answer
        is neither."""
        by_role = joined.captures
        old = [by_role[role] for role in _OLD_ORDER if role in by_role and by_role[role].side == self.rules.reference]
        return old, [
            by_role[role] for role in _NEW_ORDER if role in by_role and by_role[role].side == self.rules.target
        ]

    def _span(self, wall_s: float) -> Span:
        if wall_s - self._spans[-1].since_wall_s > SPAN_S:
            self._spans.append(Span(wall_s))
        return self._spans[-1]

    def _count(
        self, span: Span, key: FieldKey, found: Difference | None, noise: set[FieldKey] | None, wall_s: float
    ) -> None:
        counted = span.fields.get(key)
        if counted is None:
            if len(span.fields) >= MAX_FIELDS:
                span.more_fields += 1
                return
            counted = span.fields[key] = Field(first_wall_s=wall_s)
        counted.last_wall_s = wall_s
        is_new, is_old = found is not None, noise is not None and key in noise
        if found is not None:
            counted.seen += 1
            shown = redacted_difference(found, self.rules.redact)
            counted.old, counted.new = shown.old, shown.new
        if noise is not None:
            counted.both += is_new and is_old
            counted.only_new += is_new and not is_old
            counted.only_old += is_old and not is_new

    def _keep_sample(self, joined: Joined, found: list[Difference], noise: set[FieldKey], wall_s: float) -> None:
        """Only of fields that were not noise in this very request, and of each a few."""
        fresh = [item for item in found if _key(item) not in noise]
        kept = [key for sample in self._samples for key in sample["keys"]]
        if not any(kept.count(list(_key(item))) < _SAMPLES_PER_FIELD for item in fresh):
            return
        redact = self.rules.redact
        first = next(iter(joined.captures.values()))
        self._samples.append(
            {
                "at_wall_s": wall_s,
                "request_id": first.request_id,
                "method": first.method,
                "path": redacted_path(first.path),
                "keys": [list(_key(item)) for item in fresh],
                "differences": [_told(redacted_difference(item, redact)) for item in fresh],
                "answers": [_answer(item, redact) for item in joined.captures.values()],
            }
        )


def _key(difference: Difference) -> FieldKey:
    return difference.path, difference.kind


def _was_refused(answer: Captured, joined: Joined) -> bool:
    others = [item for role, item in joined.captures.items() if role != "answer"]
    return answer.status < 400 and any(item.status in (401, 403) for item in others)


def _told(difference: Difference) -> dict[str, str]:
    return {"path": difference.path, "kind": difference.kind, "old": difference.old, "new": difference.new}


def _answer(captured: Captured, redact: tuple[str, ...]) -> dict[str, Any]:
    return {
        "role": captured.role,
        "side": captured.side,
        "status": captured.status,
        "size_bytes": captured.size_bytes,
        "headers": redacted_headers(captured, redact),
        "body": redacted_body(captured, redact, _SAMPLE_BODY_BYTES),
    }


def together(spans: Sequence[Span]) -> Span:
    """All of `spans` (at least one) as one. Values that are shown are the newest."""
    whole = Span(min(span.since_wall_s for span in spans))
    for span in spans:
        for name in ("pairs", "measured", "different", "by_target", "refused", "more_fields"):
            setattr(whole, name, getattr(whole, name) + getattr(span, name))
        for key, counted in span.fields.items():
            before = whole.fields.get(key)
            whole.fields[key] = counted if before is None else _added(before, counted)
    return whole


def _added(one: Field, other: Field) -> Field:
    newer = max(one, other, key=lambda item: (bool(item.old or item.new), item.last_wall_s))
    return Field(
        seen=one.seen + other.seen,
        both=one.both + other.both,
        only_new=one.only_new + other.only_new,
        only_old=one.only_old + other.only_old,
        first_wall_s=min(one.first_wall_s, other.first_wall_s),
        last_wall_s=max(one.last_wall_s, other.last_wall_s),
        old=newer.old,
        new=newer.new,
    )
