"""The seam between the API and what keeps the installation's trust. Types only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from gslb.control.bodies.join_messages import CertificateRequest, JoinRequest, JoinTokenRequest
from gslb.errors import RefusedError
from gslb.trust.spiffe import SpiffeId
from gslb.trust.state import Operator

__all__ = ["Asker", "Registrar", "no_identity"]


@dataclass(frozen=True, slots=True)
class Asker:
    """Who shows a certificate of ours that was made at `made_s` (Unix seconds)."""

    spiffe: SpiffeId
    made_s: float


class Registrar(Protocol):
    """What it answers are bodies of join_messages. All raise RefusedError and HostError."""

    async def trust(self) -> dict[str, Any]:
        """As TrustSeen."""
        ...

    async def seen(self, ends_wall_s: Mapping[str, float]) -> dict[str, Any]:
        """As IdentitySeen. `ends_wall_s`: by role process, as control names them, when its certificate ends."""
        ...

    def ends_wall_s(self) -> Mapping[str, float]:
        """When the certificates of this control itself and of the authorities end. At once, from memory."""
        ...

    async def new_token(self, wanted: JoinTokenRequest) -> dict[str, Any]:
        """As JoinTokenMade."""
        ...

    async def join(self, wanted: JoinRequest) -> dict[str, Any]:
        """As JoinAnswer. The token is spent by it, once."""
        ...

    async def certify(self, wanted: CertificateRequest, asker: Asker | None, *, local: bool) -> dict[str, Any]:
        """As CertificateAnswer. `asker` None: no certificate was shown. `local`: it came over control's unix socket."""
        ...

    async def remove(self, machine: str, author: str, reason: str) -> dict[str, Any]:
        """As MachineChange."""
        ...

    def operator(self, asker: SpiffeId, key: str) -> Operator | None:
        """The person whose certificate this is, by the hash of its key; None: believed no more. Answers at once."""
        ...


def no_identity() -> RefusedError:
    return RefusedError(
        "no-identity",
        "this installation has no authority yet, so that no other machine can join",
        "on this machine: gslb identity init, then start gslb run again",
    )
