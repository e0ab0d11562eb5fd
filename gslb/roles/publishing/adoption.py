"""Signing what is in the store and is not believed: of an older gslb, of a control that is gone, or of somebody who may
write there and should not. A person has looked at it before: nothing here asks.
"""

from __future__ import annotations

from dataclasses import dataclass

from gslb.errors import RefusedError
from gslb.roles.publishing.signing import understood
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Intent
from gslb.store import AuditEntry, Store
from gslb.trust.signer_files import TrustFolder

__all__ = ["Unbelieved", "adopt", "look"]


@dataclass(frozen=True, slots=True)
class Unbelieved:
    """What the store holds, what it means, and why it is not believed."""

    bundle: Bundle
    intent: Intent
    why: RefusedError


def look(store: Store, trust: TrustFolder) -> Unbelieved:
    """Raises RefusedError, rule `no-policy` or `believed`, where there is nothing to sign; HostError where it cannot be
    read."""
    stored = store.read()
    if stored is None:
        raise RefusedError("no-policy", "the store holds no policy yet", "gslb apply, or gslb run with a folder")
    try:
        signer = trust.verify(stored)
    except RefusedError as error:
        return Unbelieved(stored, understood(stored), error)
    raise RefusedError(
        "believed", f"version {stored.version} is signed by {signer.name or signer.id}", "nothing has to be done"
    )


def adopt(store: Store, trust: TrustFolder, found: Unbelieved, by: str, at_s: float) -> Bundle:
    """Write `found` again as a newer version, signed by this machine's control. Every running control takes it over.

    Raises RefusedError, rule `stale`, where something else is in the store by now, and HostError.
    """
    overrides = found.intent.overrides.model_copy(update={"version": found.intent.overrides.version + 1})
    intent = found.intent.model_copy(update={"overrides": overrides})
    bundle = trust.signed(Bundle.of(intent, found.bundle))
    detail = f"{found.bundle.version} signed by this control: {found.why.rule}"
    store.write(found.bundle.version, bundle, AuditEntry(at_s=at_s, author=by, action="adopt", detail=detail))
    return bundle
