"""The bodies of the API about mirrors. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping

from gslb.control.bodies.messages import Author, Body, Change, Lasting, Line, Undoing
from gslb.model.words import Name

__all__ = ["MirrorChange", "MirrorStopKey", "MirrorStopRequest"]


class MirrorStopRequest(Body):
    """Which mirrors are to copy nothing. `route` None: those of the whole app; `app` None, too: all of them."""

    app: Name | None = None
    route: Name | None = None
    expires_in_s: Lasting | None = None
    reason: Line = ""
    author: Author = ""


class MirrorStopKey(Undoing):
    """The query of start: which stop."""

    app: Name | None = None
    route: Name | None = None


class MirrorChange(Change):
    """By route: what is copied to whom, in words."""

    before: Mapping[str, str]
    after: Mapping[str, str]
