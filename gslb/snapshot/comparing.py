"""The comparison of a mirror's answers as the system runs it. Frozen values, and how they are made from the policy."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from gslb.model.comparing import Normalise
from gslb.model.comparing import comparing as long_form
from gslb.model.routing import Mirror as WrittenMirror
from gslb.snapshot.routing import BackendName, Comparison, Normal

__all__ = ["compile_comparison"]


def compile_comparison(mirror: WrittenMirror, split: Mapping[str, float]) -> Comparison | None:
    """How the answers of `mirror` are compared; None where they are not, or where the split has nobody but its target.
    The old side is the largest of the others, as the policy has it: a shift does not change who it is."""
    given = long_form(mirror.compare)
    others = sorted((name for name in split if name != mirror.to), key=lambda name: (-split[name], name))
    if given is None or not others:
        return None
    return Comparison(
        reference=BackendName(others[0]),
        sample_bp=round(given.sample * 100),
        noise=given.noise,
        body_bytes=given.body,
        ignore=tuple(given.ignore),
        normal=tuple(map(_normal, given.normalise)),
        redact=tuple(given.redact),
    )


def _normal(rule: Literal["timestamps", "ids"] | Normalise) -> Normal:
    if isinstance(rule, Normalise):
        return Normal("sorted", rule.path) if rule.sorted else Normal("regex", rule.path, rule.regex or "")
    return Normal(rule)
