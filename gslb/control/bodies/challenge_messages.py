"""The bodies of the API about ACME challenges. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import Field

from gslb.control.bodies.messages import Author, Body, Change, Line, Undoing
from gslb.model.words import DnsName

__all__ = ["ChallengeChange", "ChallengeKey", "ChallengeRequest"]

ChallengeValue = Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,255}$")]
"""What ACME asks for: base64url (RFC 8555 section 8.4)."""


class ChallengeRequest(Body):
    """A TXT record `name` (`_acme-challenge.HOST`) with `value`, for `expires_in_s` seconds."""

    name: DnsName
    value: ChallengeValue
    expires_in_s: Annotated[float, Field(ge=1, le=86_400)] = 3600.0
    reason: Line = ""
    author: Author = ""


class ChallengeKey(Undoing):
    """The query of a cleanup: which value of the name; none: all of them."""

    value: ChallengeValue | None = None


class ChallengeChange(Change):
    """The values of the name before and after, with a space between. The name is where they are answered, which for a
    host outside the zones is another. `nameservers`: the dns roles, and whether each has it in force."""

    before: Mapping[str, str]
    after: Mapping[str, str]
    nameservers: Mapping[str, bool]
