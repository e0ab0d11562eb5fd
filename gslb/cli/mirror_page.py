"""The report of a comparison as one HTML page that needs nothing else: no script, no network. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape
from typing import Any

from gslb.cli.printing import status_word

__all__ = ["page"]

_SECTIONS = (
    ("difference", "Differences", "Old and new differ here more often than one of them differs from itself."),
    ("unmeasured", "Seen, without a measure of noise", "No second answer of the old side was there to compare with."),
    ("unsettled", "Not settled yet", "Seen too few times to tell from chance."),
    ("noise", "Noise", "One side differs from itself here, too: times, ids, order."),
)
_ROLES = {"answer": "the client's answer", "copy": "the mirror's copy", "noise": "the second copy to the old side"}
_STYLE = """
:root { color-scheme: light dark; --edge: #8885; --soft: #8882; --bad: #c62828; --warn: #b26a00; --quiet: #6a737d; }
body { font: 15px/1.5 system-ui, sans-serif; max-width: 76rem; margin: 2rem auto; padding: 0 1.25rem; }
h1 { font-size: 1.5rem; margin: 0 0 .25rem; } h2 { font-size: 1.1rem; margin: 2rem 0 .25rem; }
p { margin: .25rem 0 .75rem; } .quiet { color: var(--quiet); }
.numbers { display: flex; flex-wrap: wrap; gap: .75rem; margin: 1.25rem 0; padding: 0; list-style: none; }
.numbers li { border: 1px solid var(--edge); border-radius: 8px; padding: .5rem 1rem; min-width: 8rem; }
.numbers b { display: block; font-size: 1.5rem; font-weight: 600; }
.hint { border-left: 4px solid var(--warn); background: var(--soft); padding: .5rem .9rem; margin: .5rem 0; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; width: 100%; }
th, td { text-align: left; padding: .4rem .7rem; border-bottom: 1px solid var(--edge); vertical-align: top; }
th { font-weight: 600; color: var(--quiet); font-size: .85rem; } td.n, th.n { text-align: right; white-space: nowrap; }
code, pre { font: 13px/1.45 ui-monospace, monospace; } td code { overflow-wrap: anywhere; }
.difference td:first-child code { color: var(--bad); } h1 code { font-size: 1em; } td.quiet { white-space: nowrap; }
details { border: 1px solid var(--edge); border-radius: 8px; margin: .5rem 0; padding: .5rem .9rem; }
summary { cursor: pointer; }
.sides { display: grid; gap: 1rem; grid-template-columns: repeat(auto-fit, minmax(20rem, 1fr)); }
pre { background: var(--soft); border-radius: 6px; padding: .6rem; overflow: auto; max-height: 24rem; margin: .3rem 0; }
"""


def page(seen: Mapping[str, Any]) -> str:
    """What /v1/mirrors/APP/ROUTE/report answers, for a browser."""
    name = f"{seen['app']}/{seen['route']}"
    return "\n".join(
        [
            "<!DOCTYPE html>",
            '<html lang="en"><head><meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none'; style-src 'unsafe-inline'\">",
            f"<title>{escape(name)}: old beside new</title><style>{_STYLE}</style></head><body>",
            *_head(name, seen),
            *(f'<p class="hint">{escape(hint)}</p>' for hint in seen["hints"]),
            *_traffic(seen),
            *(line for section in _SECTIONS for line in _section(seen, *section)),
            *_samples(seen["samples"]),
            "</body></html>",
            "",
        ]
    )


def _head(name: str, seen: Mapping[str, Any]) -> Iterable[str]:
    yield f"<h1>{escape(name)}: {_code(seen['reference'])} beside {_code(seen['target'])}</h1>"
    since = f", since {escape(seen['since'])}" if seen["since"] else ""
    yield f'<p class="quiet">Environment {escape(seen["environment"])}{since}.</p>'
    counts = {verdict: sum(item["verdict"] == verdict for item in seen["fields"]) for verdict, _, _ in _SECTIONS}
    numbers = (
        (seen["pairs"], "pairs compared"), (seen["measured"], "with noise measured"),
        (counts["difference"] + counts["unmeasured"], "fields differ"), (counts["unsettled"], "not settled"),
        (counts["noise"], "fields of noise"), (seen["by_target"], "answered by the new side"),
    )  # fmt: skip
    yield '<ul class="numbers">'
    yield from (f"<li><b>{number:,}</b>{what}</li>" for number, what in numbers)
    yield "</ul>"


def _traffic(seen: Mapping[str, Any]) -> Iterable[str]:
    traffic = seen["traffic"]
    if not traffic["pairs"]:
        return
    yield f'<h2>Everything mirrored</h2><p class="quiet">{traffic["pairs"]:,} requests that both sides got.</p>'
    yield '<div class="scroll"><table><tr><th>side<th>statuses<th class="n">p50<th class="n">p95<th class="n">p99'
    yield '<th class="n">mean octets</tr>'
    for side, name in (("old", seen["reference"]), ("new", seen["target"])):
        told = traffic[side]
        statuses = ", ".join(f"{number:,} × {status_word(status)}" for status, number in told["statuses"].items())
        times = "".join(f'<td class="n">{_ms(told[key])}' for key in ("p50_ms", "p95_ms", "p99_ms"))
        yield f'<tr><td>{_code(name)}<td>{statuses}{times}<td class="n">{told["mean_bytes"] or 0:,.0f}</tr>'
    yield "</table></div>"
    if traffic["changes"]:
        listed = (
            f"{item['count']:,} × {status_word(item['old'])} to {status_word(item['new'])}"
            for item in traffic["changes"]
        )
        yield f"<p>Another status: {', '.join(listed)}.</p>"


def _ms(value: float | None) -> str:
    return "" if value is None else f"{value:.3g} ms"


def _section(seen: Mapping[str, Any], verdict: str, title: str, meaning: str) -> Iterable[str]:
    shown = [item for item in seen["fields"] if item["verdict"] == verdict]
    if not shown:
        if verdict == "difference" and seen["pairs"]:
            yield f"<h2>{title}</h2><p>None.</p>"
        return
    yield f'<h2>{title}</h2><p class="quiet">{meaning}</p><div class="scroll"><table class="{verdict}">'
    yield (
        '<tr><th>field<th>how<th class="n">seen<th class="n">of pairs<th class="n">one side with itself'
        "<th>old<th>new<th>last</tr>"
    )
    for item in shown:
        yield (
            f"<tr><td>{_code(item['path'])}<td>{escape(item['kind'])}{_more(item)}"
            f'<td class="n">{item["seen"]:,}<td class="n">{item["percent"]:g} %'
            f'<td class="n">{item["both"] + item["only_old"]:,}<td>{_code(item["old"])}<td>{_code(item["new"])}'
            f'<td class="quiet">{escape(item["last"])}</tr>'
        )
    yield "</table></div>"


def _more(item: Mapping[str, Any]) -> str:
    return f'<br><span class="quiet">{item["needed"]} more would settle it</span>' if item["needed"] else ""


def _samples(samples: Iterable[Mapping[str, Any]]) -> Iterable[str]:
    found = list(samples)
    if found:
        yield '<h2>Samples</h2><p class="quiet">A few requests, secrets removed, for a day at most.</p>'
    for sample in found:
        what = ", ".join(sorted({item["path"] for item in sample["differences"]}))
        yield (
            f"<details><summary>{_code(sample['method'] + ' ' + sample['path'])} {escape(sample['at'])},"
            f" {escape(sample['site'])}: {escape(what)}</summary>"
            f'<p class="quiet">request id {_code(sample["request_id"])}</p><div class="sides">'
        )
        yield from map(_answer, sample["answers"])
        yield "</div></details>"


def _answer(answer: Mapping[str, Any]) -> str:
    headers = "\n".join(f"{name}: {value}" for name, value in answer["headers"].items())
    return (
        f"<div><b>{_code(answer['side'])}</b> {_ROLES[answer['role']]}: {answer['status']},"
        f" {answer['size_bytes']:,} octets<pre>{escape(headers)}</pre><pre>{escape(answer['body'])}</pre></div>"
    )


def _code(text: str) -> str:
    return f"<code>{escape(text)}</code>" if text else ""
