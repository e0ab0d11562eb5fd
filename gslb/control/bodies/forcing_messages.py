"""The bodies of the API about forced states and approvals. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gslb.control.bodies.messages import Author, Body, Change, Lasting, Line, Undoing
from gslb.model.words import Name

__all__ = ["ApprovalChange", "ApprovalRequest", "ForceChange", "ForceKey", "ForceRequest"]


class ForceRequest(Body):
    """What is to be believed of a site, whatever is seen of it. `app` None: for every app."""

    site: Name
    state: Literal["up", "down"]
    app: Name | None = None
    expires_in_s: Lasting | None = None
    reason: Annotated[Line, Field(min_length=1)]
    author: Author = ""


class ForceKey(Undoing):
    """The query of unforce: which forced state of the site."""

    app: Name | None = None


class ForceChange(Change):
    """By app: `forced up`, `forced down` or `as it is seen`."""

    before: Mapping[str, str]
    after: Mapping[str, str]


class ApprovalRequest(Body):
    """That a dead site may leave an app's answers (`failover`), or that one may come back as soon as it is well
    (`resume`)."""

    app: Name
    site: Name
    what: Literal["failover", "resume"]
    reason: Line = ""
    author: Author = ""


class ApprovalChange(Change):
    """The reason of the verdict before, and what was approved, by app."""

    before: Mapping[str, str]
    after: Mapping[str, str]
