"""Which certificate authorities CAA records let issue (RFC 8659 section 4). Pure; the records come from elsewhere."""

from __future__ import annotations

from collections.abc import Mapping

from gslb.outside.cutover_seen import CaaSeen

__all__ = ["allowed_issuers", "identifiers_of"]

_CRITICAL = 128
_KNOWN = ("issue", "issuewild", "iodef", "issuemail", "contactemail", "contactphone")

_IDENTIFIERS: Mapping[str, tuple[str, ...]] = {
    "let's encrypt": ("letsencrypt.org",),
    "google trust services": ("pki.goog",),
    "digicert": ("digicert.com",),
    "sectigo": ("sectigo.com", "comodoca.com"),
    "zerossl": ("sectigo.com",),
    "amazon": ("amazon.com", "amazontrust.com", "awstrust.com", "amazonaws.com"),
    "globalsign": ("globalsign.com",),
    "godaddy": ("godaddy.com", "starfieldtech.com"),
    "ssl corp": ("ssl.com",),
    "microsoft": ("microsoft.com",),
}
"""How the organisation in a certificate begins, and by what names its authority goes in CAA records."""


def identifiers_of(issuer: str) -> tuple[str, ...]:
    """The CAA names of the authority with this organisation; empty: it is not known here."""
    wanted = issuer.lower()
    return next((names for start, names in _IDENTIFIERS.items() if wanted.startswith(start)), ())


def allowed_issuers(caa: CaaSeen | None, *, wildcard: bool) -> frozenset[str] | None:
    """The authorities that may issue, by their CAA names; None: every one may. For a `wildcard` certificate issuewild
    counts where there is one. A critical property that nobody understands forbids all (section 4.5)."""
    if caa is None:
        return None
    if any(flags & _CRITICAL and tag.lower() not in _KNOWN for flags, tag, _ in caa.properties):
        return frozenset()
    by_tag: dict[str, list[str]] = {}
    for _, tag, value in caa.properties:
        by_tag.setdefault(tag.lower(), []).append(value.partition(";")[0].strip().lower())
    values = by_tag.get("issuewild") if wildcard else None
    values = values or by_tag.get("issue")
    return None if values is None else frozenset(filter(None, values))
