"""Comparisons of mirrored answers: that there is somebody to compare with, and that patterns can be used."""

from __future__ import annotations

from gslb.model.checks.re2 import REMEDY, re2_refusal
from gslb.model.checks.report import Report
from gslb.model.comparing import Compare, Normalise, comparing
from gslb.model.routing import Route
from gslb.model.tree import Path

__all__ = ["check_comparisons"]


def check_comparisons(report: Report, path: Path, route: Route) -> None:
    """Those of the mirrors of `route`, at `path`."""
    compared: str | None = None
    for index, mirror in enumerate(route.mirror):
        place = (*path, "mirror", index, "compare")
        compare = comparing(mirror.compare)
        if compare is None:
            continue
        if compared is not None:
            message = f"the answers of {compared} are compared on this route already, and one mirror of a route can be"
            report.error_at_key(place, "second-compare", message, "compare one of them at a time")
        compared = mirror.to
        if not set(route.split or ()) - {mirror.to}:
            message = f"the split has nobody but {mirror.to}, whose answers would be compared with its own"
            report.error_at_key(
                place, "compare-nobody", message, "delete compare, or mirror to a backend that is not the only one"
            )
        _patterns(report, place, compare)


def _patterns(report: Report, place: Path, compare: Compare) -> None:
    for index, rule in enumerate(compare.normalise):
        if isinstance(rule, Normalise) and rule.regex is not None and (refusal := re2_refusal(rule.regex)):
            message = f"this pattern cannot be used: {refusal}"
            where = report.item((*place, "normalise"), index)
            report.error((*where, "regex"), "regex", message, REMEDY)
