"""The fields of a comparison with their verdicts, those first that somebody should look at. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from gslb.compare.noise import Verdict, judge
from gslb.compare.tally import Field, FieldKey

__all__ = ["Ranked", "ranked"]

_ORDER: tuple[Verdict, ...] = ("difference", "unmeasured", "unsettled", "noise")


@dataclass(frozen=True, slots=True)
class Ranked:
    path: str
    kind: str
    verdict: Verdict
    counted: Field


def ranked(fields: Mapping[FieldKey, Field]) -> list[Ranked]:
    """By verdict; then the status before other fields, and what was seen most."""
    found = [
        Ranked(path, kind, judge(item.seen, item.both, item.only_new, item.only_old), item)
        for (path, kind), item in fields.items()
    ]
    return sorted(found, key=_rank)


def _rank(one: Ranked) -> tuple[int, bool, int, str, str]:
    return _ORDER.index(one.verdict), one.path != "status", -one.counted.seen, one.path, one.kind
