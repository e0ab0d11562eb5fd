"""The bodies of the API about tokens. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field, model_validator

from gslb.control.bodies.messages import Author, Body, Change, Lasting, Line
from gslb.model.words import Name
from gslb.snapshot.intent import AccessRole

__all__ = ["TokenChange", "TokenMade", "TokenRequest", "TokenSeen", "TokensSeen"]


class TokenRequest(Body):
    """`apps`, of an operator: the only ones that the token may change; empty: every app."""

    name: Name
    role: AccessRole
    apps: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    expires_in_s: Lasting | None = None
    reason: Line = ""
    author: Author = ""

    @model_validator(mode="after")
    def _apps_of_an_operator(self) -> TokenRequest:
        if self.apps and self.role != "operator":
            raise ValueError("apps are for the role operator: the others are for all of them")
        return self


class TokenSeen(Body):
    """Times are ISO 8601; `expires` None: never."""

    name: str
    role: AccessRole
    apps: list[str]
    created: str
    author: str
    reason: str
    expires: str | None
    expired: bool


class TokensSeen(Body):
    environment: str
    tokens: list[TokenSeen]


class TokenChange(Change):
    """The role by name of the token; a name that is missing is no token."""

    before: Mapping[str, str]
    after: Mapping[str, str]


class TokenMade(TokenChange):
    """`token` is the secret. It is told here and never again."""

    token: str
