"""A plan as Markdown (CommonMark with tables), for a pull request. Values of a policy never become markup here."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from gslb.plan.rules import few
from gslb.plan.text import aside, headline, moved
from gslb.plan.types import AppChange, Plan

__all__ = ["markdown"]

_ROWS = 100
_MARKUP = re.compile(r"([\\`*_{}\[\]<>#|!~&])")


def markdown(plan: Plan) -> str:
    """The whole plan; tables of more than 100 rows are cut, and say so."""
    return "\n".join(_lines(plan)) + "\n"


def _lines(plan: Plan) -> Iterator[str]:
    yield f"### {_plain(headline(plan))}"
    yield ""
    yield _verdict(plan)
    if plan.refusals or plan.conflicts:
        yield from ("", "#### Guard rails and overrides", "")
    for refusal in plan.refusals:
        note = f"allowed: {refusal.allowed}" if refusal.allowed else refusal.remedy
        held = "" if refusal.allowed else "**refused** "
        yield f"- {held}{_code(refusal.rule)} {_plain(refusal.message)}; {_plain(note)}"
    for conflict in plan.conflicts:
        yield f"- {'**refused** ' if conflict.blocks else ''}{_plain(conflict.message)}; {_plain(conflict.remedy)}"
    for app in plan.apps[:_ROWS]:
        yield from _app(app)
    for title, items in (("Sites", plan.sites), ("Zones", plan.zones)):
        if items:
            yield from ("", f"#### {title}", "")
            yield from (f"- {_code(item.name)} {item.kind}: {_plain(item.note)}" for item in items[:_ROWS])
    if plan.unreachable:
        yield from ("", "#### Unreachable", "")
        yield from (f"- {_plain(item.what)}: {_plain(item.why)}" for item in plan.unreachable[:_ROWS])
    if plan.aside:
        yield from ("", _plain(aside(plan)))
    yield from _differences(plan)


def _verdict(plan: Plan) -> str:
    if plan.is_refused:
        return "**Refused**: see the guard rails."
    if plan.is_empty:
        return "Nothing would change."
    return "Nothing stands against it."


def _app(app: AppChange) -> Iterator[str]:
    yield from ("", f"#### App {_code(app.app)} {app.kind}", "")
    for word, hosts in (("added", app.hosts_added), ("removed", app.hosts_removed)):
        if hosts:
            yield f"- hosts {word}: {_plain(few(hosts))}"
    if app.ttl:
        yield f"- TTL {app.ttl.before} → {app.ttl.after}"
    if app.exposure:
        total = "until a person acts" if app.exposure.total_s is None else f"{app.exposure.total_s:g} s"
        yield f"- a dead site is answered for at most: {total} ({_plain(app.exposure.terms)})"
    for route in app.routes[:_ROWS]:
        yield from (f"- route {_code(route.route)}: {_plain(mirror)}" for mirror in route.mirrors)
    if app.groups or app.routes:
        yield from ("", "| who | before | after | moved |", "| --- | --- | --- | --- |")
    for group in app.groups[:_ROWS]:
        yield _row(f"clients, {_plain(group.clients)}", _shares(group.before), _shares(group.after), moved(group))
    for route in app.routes[:_ROWS]:
        share = f"{route.moved_percent:g} %" if route.kind == "changed" else route.kind
        note = ", takes other requests" if route.is_matched_anew else ""
        yield _row(f"route {_code(route.route)}", _shares(route.before), _shares(route.after), share + note)
    if max(len(app.groups), len(app.routes)) > _ROWS:
        yield from ("", "More rows are left out.")


def _differences(plan: Plan) -> Iterator[str]:
    if not plan.changes:
        return
    shown = plan.changes[:_ROWS]
    yield from ("", "<details><summary>Differences of the policy</summary>", "")
    yield from ("| path | before | after |", "| --- | --- | --- |")
    for change in shown:
        yield _row(_code(change.path), _code(change.before), _code(change.after))
    yield ""
    more = len(plan.changes) - len(shown) + plan.left_out
    if more:
        yield from (f"{more:,} more are left out.", "")
    yield "</details>"


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _shares(shares: Mapping[str, float]) -> str:
    return ", ".join(f"{_plain(name)} {percent:g} %" for name, percent in shares.items()) or "-"


def _plain(text: str) -> str:
    """Punctuation that could be markup, escaped (CommonMark section 2.4)."""
    return _MARKUP.sub(r"\\\1", text)


def _code(text: str | None) -> str:
    """A code span: a fence longer than any run of backticks inside (CommonMark section 6.1); no end of a table cell."""
    if text is None:
        return "-"
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    space = " " if "`" in text else ""
    return f"{fence}{space}{text.replace('|', chr(92) + '|')}{space}{fence}"
