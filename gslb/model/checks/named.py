"""Named checks and who refers to them: that references lead somewhere, in no circle, and that each can be made."""

from __future__ import annotations

import graphlib
import ipaddress
import re
from collections.abc import Mapping
from urllib.parse import urlsplit

from gslb.model.check_words import KINDS, Calculated, Check, Expect, Http, NamedCheck, Prometheus, Tls, TlsOptions
from gslb.model.checks.re2 import REMEDY, re2_refusal
from gslb.model.checks.report import Report
from gslb.model.tree import Path

__all__ = ["check_headers", "check_named", "check_rounds"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.6.2
_VALUE = re.compile(r"(?:[\x21-\x7e](?:[\x20-\x7e\t]*[\x21-\x7e])?)?")
_NAME = re.compile(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?")
_OWN_HEADERS = ("host", "content-length", "transfer-encoding", "connection", "upgrade", "te", "trailer")


def check_named(report: Report) -> None:
    """Every named check, every reference to one."""
    checks = report.policy.checks
    for name, check in checks.items():
        path = ("checks", name)
        _rounds_of(report, path, check)
        match check.http, check.prometheus, check.tls, check.calculated:
            case Http() as http, _, _, _:
                _http(report, (*path, "http"), http)
            case _, Prometheus() as prometheus, _, _:
                _url(report, (*path, "prometheus"), prometheus)
            case _, _, Tls() as tls, _:
                _tls(report, (*path, "tls"), tls)
            case _, _, _, Calculated() as calculated:
                _members(report, (*path, "calculated"), calculated)
        if check.icmp:
            _host(report, (*path, "icmp", "to"), check.icmp.to)
        if check.command:
            _command(report, (*path, "command", "run"), check.command.run)
    _circles(report)
    used = _ready(report) | {member for check in checks.values() if check.calculated for member in check.calculated.of}
    for name, check in checks.items():
        if name not in used and not check.monitor:
            message = f"nothing refers to {name}, so that it steers nobody"
            report.warn(
                ("checks", name), "check-unused", message, "name it in ready: of an app, or write monitor: true"
            )


def check_rounds(report: Report, path: Path, check: NamedCheck | Check) -> None:
    """What interval, timeout, fall and flaky are to each other."""
    if check.timeout > check.interval:
        message = f"a check may take {check.timeout:g} s, and the next comes after {check.interval:g} s"
        report.warn((*path, "timeout"), "check-timeout", message, "write a timeout below the interval")
    if check.flaky is not None and check.flaky <= check.fall:
        message = f"{check.flaky} failures in all take it down before {check.fall} in a row can"
        report.warn((*path, "flaky"), "check-flaky", message, "write a flaky above fall, such as 10")


def check_headers(report: Report, path: Path, headers: Mapping[str, str], *, sent: bool = True) -> None:
    """The header fields of a check's request (`sent`), or those that its answer must have."""
    for name, value in headers.items():
        place = (*path, name)
        if not _TOKEN.fullmatch(name):
            message = f"{name!r} is not the name of a header field"
            report.error_at_key(place, "header-name", message, "use letters, digits and hyphens, such as x-beta")
        elif sent and (name.lower() in _OWN_HEADERS or name.lower().startswith("x-gslb-")):
            remedy = "write host: HOST" if name.lower() == "host" else "leave it out"
            report.error_at_key(place, "header-name", f"{name} is written by gslb itself", remedy)
        if not _VALUE.fullmatch(value):
            message = f"no header can have the value {value!r:.80}"
            report.error(place, "header-value", message, "write printable ASCII without spaces at its ends")


def _rounds_of(report: Report, path: Path, check: NamedCheck) -> None:
    if KINDS[check.kind].asked:
        check_rounds(report, path, check)
        return
    for word in ("interval", "timeout", "rise", "fall", "flaky"):
        if word in report.keys(path):
            message = f"{word} has no effect: a {check.kind} check is not asked but told"
            report.warn((*path, word), "check-rounds", message, "leave it out")


def _http(report: Report, path: Path, http: Http) -> None:
    _url(report, path, http)
    check_headers(report, (*path, "headers"), http.headers)
    if http.bearer and any(name.lower() == "authorization" for name in http.headers):
        message = "bearer sends authorization, and headers name it, too"
        report.error_at_key((*path, "bearer"), "header-name", message, "keep one of the two")
    _expect(report, (*path, "expect"), http.expect, method=http.method)


def _expect(report: Report, path: Path, expect: Expect, *, method: str) -> None:
    check_headers(report, (*path, "headers"), expect.headers, sent=False)
    if expect.regex is not None and (refusal := re2_refusal(expect.regex)):
        message = f"RE2 would refuse it: {refusal}"
        report.error((*path, "regex"), "regex", message, REMEDY)
    for word in ("body", "regex"):
        if method == "HEAD" and getattr(expect, word) is not None:
            message = "an answer to HEAD has no body"
            report.error((*path, word), "check-body", message, "write method: GET, or leave it out")


def _url(report: Report, path: Path, asked: Http | Prometheus) -> None:
    url, place = asked.url, (*path, "url")
    if not url.startswith("https:") and asked.tls != TlsOptions():
        report.error_at_key((*path, "tls"), "check-tls", "the url is not https", "write https:// or leave tls out")
    try:
        parts = urlsplit(url)
        good = bool(parts.hostname) and parts.port != 0 and "@" not in parts.netloc
    except ValueError:
        good = False
    if not good:
        message = f"{url!r:.100} is not a URL that can be asked"
        report.error(place, "url", message, "write one such as http://10.1.0.20:8008/primary (secrets: bearer)")
    elif "#" in url:
        report.error(place, "path-query", "the part after # is never sent", "write the URL without it")


def _tls(report: Report, path: Path, tls: Tls) -> None:
    if tls.fail > tls.warn:
        message = "it would fail before it warns"
        report.error((*path, "fail"), "check-expiry", message, "write a fail below warn, such as warn: 14d, fail: 2d")


def _host(report: Report, path: Path, host: str) -> None:
    try:
        ipaddress.ip_address(host)
    except ValueError:
        if (
            not re.fullmatch(r"[A-Za-z0-9_](?:[A-Za-z0-9_.-]*[A-Za-z0-9_])?\.?", host)
            or host.replace(".", "").isdigit()
        ):
            report.error(path, "host", f"{host} is no host", "write an address or a name, without a port")


def _command(report: Report, path: Path, argv: tuple[str, ...]) -> None:
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,63}", argv[0]):
        message = f"{argv[0]!r:.80} is not the plain name of a program"
        report.error((*path, 0), "command", message, "write the name of a file in the folder of --check-commands")
    for index, word in enumerate(argv):
        if "\0" in word:
            report.error((*path, index), "command", "no argument can hold a NUL", "leave it out")


def _members(report: Report, path: Path, calculated: Calculated) -> None:
    known = report.policy.checks
    for index, name in enumerate(calculated.of):
        if name not in known:
            report.unknown((*path, "of", index), "check", name, known)
        elif name in calculated.of[:index]:
            report.error((*path, "of", index), "duplicate-check", f"{name} stands here already", "name it once")
    for index, name in enumerate(calculated.critical):
        if name not in calculated.of:
            report.error((*path, "critical", index), "check-critical", f"{name} is none of them", "name it in of, too")
    if calculated.at_least is not None and calculated.at_least > len(calculated.of):
        message = f"{calculated.at_least} of {len(calculated.of)} can never be up"
        report.error((*path, "at_least"), "check-never", message, f"write at most {len(calculated.of)}")


def _circles(report: Report) -> None:
    """A check that is calculated from itself, by whatever way."""
    members = {
        name: [other for other in check.calculated.of if other in report.policy.checks] if check.calculated else []
        for name, check in report.policy.checks.items()
    }
    try:
        graphlib.TopologicalSorter(members).prepare()
    except graphlib.CycleError as error:
        circle: list[str] = error.args[1]
        first = min(circle)
        message = f"{first} is calculated from itself: {', which needs '.join(reversed(circle))}"
        report.error_at_key(("checks", first, "calculated", "of"), "check-circle", message, "break the circle")


def _ready(report: Report) -> set[str]:
    """The checks that apps name."""
    policy, used = report.policy, set()
    for app_name, app in policy.apps.items():
        for site, names in app.ready.items():
            path = ("apps", app_name, "ready", site)
            if site not in policy.sites:
                report.unknown(path, "site", site, policy.sites)
            for index, name in enumerate(names):
                used.add(name)
                place = (*path, index)
                if name not in policy.checks:
                    report.unknown(place, "check", name, policy.checks)
                elif policy.checks[name].monitor:
                    message = f"{name} is only watched (monitor: true), so that it cannot steer {app_name}"
                    report.error(place, "check-monitor", message, "take monitor: true from it, or leave it out here")
                elif name in names[:index]:
                    report.error(place, "duplicate-check", f"{name} stands here already", "name it once")
    return used
