"""The dashboard's files, read once from the package. What they show is the API's; nothing is rendered here."""

from __future__ import annotations

from functools import cache
from importlib import resources

__all__ = ["FILES", "static_file"]

FILES = {
    "index.html": "text/html",
    "style.css": "text/css",
    "dashboard.js": "text/javascript",
}
"""Every file that can be asked for, with its media type. There is no other way to a file."""


@cache
def static_file(name: str) -> bytes:
    """The content of one of FILES."""
    return resources.files("gslb.control.http").joinpath("static", name).read_bytes()
