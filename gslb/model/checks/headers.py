"""Names and values of header fields, wherever a policy writes them."""

from __future__ import annotations

import re

from gslb.model.checks.report import Report
from gslb.model.tree import Path

__all__ = ["check_header_name", "check_header_value", "warn_of_underscore"]

_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")  # RFC 9110 section 5.1 and 5.6.2
_VALUE = re.compile(r"(?:[!-~](?:[ -~]*[!-~])?)?")  # RFC 9110 section 5.5, without obs-text


def check_header_name(report: Report, path: Path, name: str, seen: set[str]) -> None:
    """`name`, the key at `path`; `seen` are those before it in the same mapping, lower-case, and gets it too."""
    if name.startswith(":"):
        message = f"{name} is no header field but a part of the request itself"
        report.error_at_key(path, "header-name", message, "write path:, method: or the app's hosts instead")
    elif not _TOKEN.fullmatch(name):
        message = f"{name!r} is not the name of a header field"
        report.error_at_key(path, "header-name", message, "use letters, digits and hyphens, such as x-beta")
    elif name.lower() in seen:
        message = f"{name} stands here already; upper and lower case mean the same header"
        report.error_at_key(path, "duplicate-header", message, "keep one of the two")
    seen.add(name.lower())


def warn_of_underscore(report: Report, path: Path, name: str) -> None:
    """`name`, the key at `path`, is looked for in requests."""
    if "_" in name:
        message = f"no request has the header {name}: edges refuse names with an underscore (400)"
        report.warn(path, "header-underscore", message, f"write {name.replace('_', '-')}, as clients must send it")


def check_header_value(report: Report, path: Path, value: str) -> None:
    """The value at `path`."""
    if not _VALUE.fullmatch(value):
        message = f"no header can have the value {value!r:.80}"
        report.error(path, "header-value", message, "write printable ASCII without spaces at its ends")
