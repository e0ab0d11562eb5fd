"""Reading offers: from control, and from a node's own disk. Nothing in one is used before its signature was verified.

Which offer is to be served is `generations`' and `holding`'s to say.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field

from gslb.control.protocol import Applied, Offer
from gslb.snapshot import Compiler
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Intent
from gslb.snapshot.types import Snapshot
from gslb.trust.signer_files import TrustFolder

__all__ = ["OfferReader", "Opened", "applied_of", "kept_offer"]


@dataclass(frozen=True, slots=True)
class Opened:
    """An offer that was verified, and what it means."""

    offer: Offer
    intent: Intent
    snapshot: Snapshot
    applied: Applied = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "applied", applied_of(self.snapshot))


class OfferReader:
    """Of one role process, which believes whom `trust` does."""

    def __init__(self, trust: TrustFolder) -> None:
        self._trust = trust
        self._last: tuple[str, Intent] | None = None
        self._opened: tuple[bytes, Opened] | None = None
        self._compiler = Compiler()

    def verify(self, offer: Offer) -> None:
        """Raises RefusedError: rule `unsigned`, `unknown-signer` or `bad-signature`."""
        self._trust.verify(offer.bundle)

    def open(self, offer: Offer) -> Opened:
        """What an offer means that was verified. A policy that is the last one's is not read again. Raises PolicyError,
        RefusedError and ValueError."""
        known = self._last[1] if self._last is not None and self._last[0] == offer.bundle.policy else None
        intent = offer.bundle.intent(known)
        self._last = offer.bundle.policy, intent
        return Opened(offer, intent, self._compiler.compile(intent, offer.wall_s))

    def preview(self, intent: Intent, wall_s: float) -> Snapshot:
        """What an Intent means that nobody offered: what it has in common with the last offer is not compiled again.
        Raises PolicyError."""
        return self._compiler.preview(intent, wall_s)

    def offered(self, body: bytes) -> Opened:
        """What control sent. Raises as `verify` and `open` do. What was prepared is not compiled again to be published,
        but verified again. Large ones take seconds: not for the event loop."""
        known = self._opened
        if known is not None and known[0] == body:
            self.verify(known[1].offer)
            return known[1]
        offer = Offer.model_validate_json(body)
        self.verify(offer)
        opened = self.open(offer)
        self._opened = body, opened
        return opened


def kept_offer(body: bytes) -> Offer:
    """What is on disk, from gslb 0.1 on, which kept an Intent without a signature. Raises ValueError."""
    content = json.loads(body)
    if isinstance(content, dict) and "intent" in content:
        intent = content["intent"]
        overrides = intent.get("overrides", {})
        content["bundle"] = Bundle(
            revision=intent["revision"],
            overrides_version=overrides.get("version", 0),
            policy=json.dumps(intent["policy"]),
            overrides=json.dumps(overrides),
        )
    return Offer.model_validate(content)


def applied_of(snapshot: Snapshot) -> Applied:
    return Applied(revision=snapshot.version.revision, overrides=snapshot.version.overrides, digest=snapshot.digest)
