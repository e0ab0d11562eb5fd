"""Answers to ACME's DNS-01 challenges (RFC 8555 section 8.4), as records of the zone that each name lies in. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gslb.model.hosts import zone_of
from gslb.model.wire_name import from_text, to_text
from gslb.snapshot.intent import Intent

__all__ = ["challenge_lines"]

_TTL_S = 1
"""Who asks comes once; the next challenge of the same name, seconds later, has another value."""
_TXT = 16


def challenge_lines(intent: Intent, apex: str, wall_s: float) -> Iterator[str]:
    """The TXT records of `apex` that are asked for at `wall_s`, in the form of `Zone.records`."""
    zones = {zone.name.removesuffix(".") for zone in (intent.policy.zone, *intent.policy.zones)}
    for item in intent.overrides.challenges:
        name = item.name.removesuffix(".")
        over = item.by.expires_s is not None and item.by.expires_s <= wall_s
        if over or zone_of(name, zones) != apex:
            continue
        text = item.value.encode("ascii")
        data = bytes([len(text)]) + text
        yield rf"{to_text(from_text(name))} {_TTL_S} IN TYPE{_TXT} \# {len(data)} {data.hex()}"
