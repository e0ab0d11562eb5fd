"""Tables for people, from what control answers. Printing alone: nothing is asked or decided here."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.table import Table

__all__ = [
    "add_row", "change_lines", "checks_table", "console", "history_page", "new_table", "node_note", "status_page",
    "tail_cells",
]  # fmt: skip

PIPED_WIDTH = 160
"""Columns where nobody's terminal says how many there are: a reason should not be cut in a log."""

_STYLES = {
    "up": "green", "ready": "green", "live": "green", "down": "bold red", "unreachable": "bold red",
    "held": "yellow", "critical": "bold red", "warning": "yellow", "unknown": "yellow", "starting": "yellow",
    "backing_off": "bold red", "drained": "yellow",
}  # fmt: skip


def console() -> Console:
    """Standard output, in colour where it is a terminal."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else PIPED_WIDTH, highlight=False, soft_wrap=False)


def status_page(seen: Mapping[str, Any]) -> RenderableType:
    """What `/v1/status` answers, for a terminal."""
    from rich.console import Group
    from rich.text import Text

    if seen["snapshot"] is None:
        return Group(Text("No policy is in force yet."), _roles(seen), *map(Text, _below(seen)))
    snapshot = seen["snapshot"]
    head = Text.assemble(
        ("environment ", "dim"), (str(seen["environment"]), "bold"),
        ("   policy revision ", "dim"), str(snapshot["revision"]),
        ("   overrides ", "dim"), str(snapshot["overrides"]),
        ("   digest ", "dim"), str(snapshot["digest"]),
    )  # fmt: skip
    parts: list[RenderableType] = [head]
    parts += [_alarms(seen)] if seen.get("alarms") else []
    parts += [_sites(seen)]
    if any(site["tail"] for site in seen["sites"].values()):
        parts.append(_tails(seen))
    if any(site["capacity_per_s"] for site in seen["sites"].values()):
        parts.append(_loads(seen))
    parts.append(_splits(seen))
    if seen.get("checks"):
        parts.append(checks_table(seen["checks"]))
    if seen["mirrors"]:
        parts.append(_mirrors(seen))
    return Group(*parts, _roles(seen), *map(Text, _below(seen)))


def _below(seen: Mapping[str, Any]) -> list[str]:
    """What is told below the tables."""
    return [*_comparers(seen["edges"]), *_git(seen.get("git")), *_lead(seen.get("leader"))]


def _comparers(edges: Mapping[str, Any]) -> Iterable[str]:
    """Nothing where none ever had to be started again, or nothing is compared."""
    for site, edge in edges.items():
        comparer = edge.get("comparer")
        if comparer and comparer["restarts"]:
            now = "answers" if comparer["answers"] else "does not answer"
            last = f"the last time at {comparer['last_ended']}, because {comparer['last_end']}"
            yield f"{site}: the comparer {now}; it was started again {comparer['restarts']} ×, {last}"


def _lead(leader: Mapping[str, Any] | None) -> list[str]:
    """Nothing where there is but one control."""
    if leader is None or (leader["control"] is not None and leader.get("since") is None):
        return []
    if leader["control"] is None:
        return [] if leader.get("settling") else ["no control is known to lead"]
    return [f"{leader['control']} leads the controls since {leader['since']}"]


def history_page(seen: Mapping[str, Any]) -> RenderableType:
    """What `/v1/history` answers, for a terminal."""
    table = new_table("History", "when", "version", "who", "did", "why")
    for item in seen["changes"]:
        version = f"{item['revision']}.{item['overrides']}"
        add_row(table, item["at"], version, item["author"], f"{item['action']} {item['detail']}", item["reason"])
    return table


def change_lines(answer: Mapping[str, Any], what: str) -> Iterable[str]:
    """What a change did: environment, before, after, and how to take it back."""
    yield f"environment {answer['environment']}: {what}"
    names = list(answer["after"] or answer["before"])
    width = max(map(len, names), default=0)
    for name in names:
        before, after = _value(answer["before"].get(name)), _value(answer["after"].get(name))
        yield f"  {name:<{width}}  {before} -> {after}" if before != after else f"  {name:<{width}}  {after}"
    yield f"to undo: {answer['undo']}" if answer["undo"] else "nothing had to change"


def _value(value: object) -> str:
    if value is None:
        return "-"
    return f"{value:g} %" if isinstance(value, int | float) else str(value)


def new_table(title: str, *columns: str) -> Table:
    """An empty table with a heading, at least as wide as that: in a narrow one it would be broken between letters."""
    from rich import box
    from rich.table import Table
    from rich.text import Text

    table = Table(
        title=Text(title), title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, pad_edge=False, expand=False,
        min_width=len(title),
    )  # fmt: skip
    for column in columns:
        table.add_column(Text(column), overflow="fold")
    return table


def add_row(table: Table, *cells: object) -> None:
    """As text, never as markup: a reason may hold brackets, and may come from far away."""
    from rich.text import Text

    texts = ["" if cell is None else str(cell) for cell in cells]
    table.add_row(*(Text(text, style=_STYLES.get(text, "")) for text in texts))


def checks_table(checks: Mapping[str, Any]) -> Table:
    """Every named check, and whom it decides."""
    table = new_table("Checks", "check", "kind", "state", "decides", "why")
    for name, check in checks.items():
        decides = "only watched" if check["monitor"] else ", ".join(check["decides"])
        why = ("WARNING " if check["warning"] else "") + check["reason"]
        add_row(table, name, check["kind"], check["state"], decides, why)
    return table


def _sites(seen: Mapping[str, Any]) -> Table:
    table = new_table("Sites", "site", "app", "verdict", "in service", "since", "envoy", "seen from", "why")
    for name, site in seen["sites"].items():
        envoy = seen["edges"].get(name, {}).get("state", "")
        if not site["apps"]:
            add_row(table, name, "", site["verdict"], _service(site), site["since"], envoy, "", site["reason"])
        for app, verdict in site["apps"].items():
            service, why = _service(verdict), verdict["reason"]
            add_row(table, name, app, verdict["verdict"], service, verdict["since"], envoy, _views(verdict), why)
            name = envoy = ""
    return table


def _service(seen: Mapping[str, Any]) -> str:
    if seen.get("at_nodes"):
        return "not alike everywhere"
    if seen["drained"]:
        return "drained"
    if forced := seen.get("forced"):
        return f"forced {forced['state']}"
    share = seen.get("share_percent", 100)
    return "yes" if share == 100 else f"{share:g} % of its share"


def _views(verdict: Mapping[str, Any]) -> str:
    """What each place sees, the worst of all addresses first; nothing where one place alone looks."""
    worst: dict[str, str] = {}
    for views in verdict["views"].values():
        for place, view in views.items():
            order = ("down", "silent", "unknown", "up")
            worst[place] = min(view, worst.get(place, "up"), key=order.index)
    return ", ".join(f"{place}: {view}" for place, view in worst.items()) if len(worst) > 1 else ""


def _alarms(seen: Mapping[str, Any]) -> Table:
    table = new_table("Alarms", "", "rule", "about", "since", "what", "do")
    for alarm in seen["alarms"]:
        cells = (alarm["rule"], alarm["subject"], alarm["since"], alarm["message"], alarm["remedy"])
        add_row(table, alarm["severity"], *cells)
    return table


def _loads(seen: Mapping[str, Any]) -> Table:
    table = new_table("Loads", "site", "load", "of requests/s", "refused")
    for name, site in seen["sites"].items():
        if site["capacity_per_s"]:
            load = "unknown" if site["load_percent"] is None else _value(site["load_percent"])
            add_row(table, name, load, f"{site['capacity_per_s']:,}", seen["edges"][name]["refused"])
    return table


def _tails(seen: Mapping[str, Any]) -> Table:
    table = new_table("Tails", "site", "requests/s", "open", "left DNS", "longest TTL", "switch off", "why")
    for name, site in seen["sites"].items():
        if tail := site["tail"]:
            why = tail["why"] + (f"; what is open is closed at {tail['closes_at']}" if tail["closes_at"] else "")
            add_row(table, name, *tail_cells(tail), "yes" if tail["can_be_switched_off"] else "no", why)
    return table


def tail_cells(tail: Mapping[str, Any]) -> tuple[str, str, str, str]:
    """Requests a second, open connections, how long ago it left DNS, the longest TTL."""
    open_now = "unknown" if tail["connections"] is None else str(tail["connections"])
    per_s = sum(tail["arriving_per_s"].values())
    return f"{per_s:.3g}", open_now, f"{tail['left_dns_s']:.0f} s ago", f"{tail['longest_ttl_s']} s"


def _splits(seen: Mapping[str, Any]) -> Table:
    table = new_table("Splits", "route", "backend", "intended", "observed", "requests", "source")
    for route, split in seen["splits"].items():
        name, requests, source = route, str(split["requests"]), f"{split['source']} {split['detail']}".strip()
        for backend in sorted({*split["intended"], *split["observed"]}):
            observed = split["observed"].get(backend, 0.0 if split["observed"] else None)
            add_row(table, name, backend, _value(split["intended"].get(backend)), _value(observed), requests, source)
            name = requests = source = ""
    return table


def _mirrors(seen: Mapping[str, Any]) -> Table:
    table = new_table("Mirrors", "route", "intended", "sent", "not sent")
    for route, mirror in seen["mirrors"].items():
        skipped = ", ".join(f"{number} {reason}" for reason, number in mirror["skipped"].items())
        intended = ", ".join(f"{name} {percent:g} %" for name, percent in mirror["intended"].items())
        elsewhere = "".join(f"; at {name}: {how}" for name, how in mirror["at_nodes"].items())
        add_row(table, route, _mirroring(intended, mirror["stopped"]) + elsewhere, mirror["sent"], skipped or "0")
    return table


def _mirroring(intended: str, stopped: str | None) -> str:
    return intended if stopped is None else f"stopped {stopped} (policy: {intended})"


def _roles(seen: Mapping[str, Any]) -> Table:
    table = new_table("Roles", "role", "state", "version", "in sync", "heard", "pid", "note")
    for name, role in seen["roles"].items():
        version = "-" if role["revision"] is None else f"{role['revision']}.{role['overrides']}"
        heard = "-" if role["age_s"] is None else f"{role['age_s']:g} s ago"
        in_sync = "yes" if role["in_sync"] else "no"
        add_row(table, name, role["state"], version, in_sync, heard, role["pid"], node_note(role))
    return table


def _git(git: Mapping[str, Any] | None) -> Iterable[str]:
    if git is None:
        return
    yield f"git {git['source']}, read {git['looked'] or 'never'}"
    if git["commit"]:
        after = "in force" if git["in_force"] else "not in force any more: something was applied after it"
        told = f"{git['commit'][:12]} by {git['author']}: {git['subject']}"
        yield f"  commit {told}: revision {git['revision']}, {after}"
    if git["refused"]:
        refused = git["refused"]
        yield f"  refused: commit {refused['commit'][:12]} by {refused['author']}: {refused['subject']}"
        yield from (f"    {line}" for line in refused["why"].splitlines())
    if git["error"]:
        yield f"  cannot be read: {git['error']}"


def node_note(node: Mapping[str, Any]) -> str:
    """What a node decided by itself, or was told where it runs."""
    notes = [node["prober"]] if node.get("prober") else []
    if node["stepped_back_from"]:
        notes.append(f"crashed with {node['stepped_back_from']} and stepped back")
    if node["broken_glass"]:
        notes.append("broken glass: " + ", ".join(node["broken_glass"]))
    if node["left_out"]:
        notes.append("cannot serve " + ", ".join(node["left_out"]))
    return "; ".join(notes)
