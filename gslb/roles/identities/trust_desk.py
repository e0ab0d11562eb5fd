"""Control's part in the installation's trust: its own identity, and the registrar that others ask. A composition.

What happens there stands in `identity` and `registrar`. Without `machine.json` a machine has no part in it.
"""

from __future__ import annotations

from collections.abc import Coroutine, Mapping
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from gslb import clock
from gslb.control.bodies.join_messages import CertificateRequest
from gslb.errors import GslbError
from gslb.roles.identities.identity import Identity
from gslb.roles.identities.registrar import JoinFiles, StoreRegistrar
from gslb.roles.identities.trust_home import COPY, TrustHome
from gslb.roles.publishing.publish import RolePublisher
from gslb.roles.settings import Settings
from gslb.roles.tasks import keep_running
from gslb.store import Store
from gslb.trust.identity_files import write_machine

__all__ = ["TrustDesk", "files_to_hand"]

NAME = "control"


class TrustDesk:
    """Of one control whose machine has joined, or began it all. Raises HostError and RefusedError where what it must
    have cannot be read."""

    def __init__(self, settings: Settings, store: Store, identity: Identity) -> None:
        self.identity = identity
        if identity.machine.store != settings.store:
            identity.machine = identity.machine.model_copy(update={"store": settings.store})
            write_machine(identity.trust, identity.machine)
        home = TrustHome(settings.data, store)
        self.registrar = StoreRegistrar(home, store, identity.machine, files_to_hand(settings))
        self.registrar.own_ends_s = lambda: identity.ends_s

    @classmethod
    def of(cls, settings: Settings, store: Store) -> TrustDesk | None:
        """None: this machine has no identity."""
        identity = Identity.of(settings, NAME)
        return cls(settings, store, identity) if identity is not None else None

    def serve(self, publisher: RolePublisher) -> None:
        """From now on `publisher` reaches machines that join, and the API answers those who want to."""
        machine = self.identity.machine
        publisher.registrar = self.registrar
        publisher.nodes.reach_by(machine.machine, machine.domain, self.identity.tls)

    async def begin(self) -> None:
        """Before the API opens: a certificate. One that cannot be had now is complained of, and tried for again."""
        if clock.wall_s() < self.identity.due_s():
            return
        try:
            await self.identity.renew(self.ask)
        except (GslbError, OSError, ValidationError) as error:
            structlog.get_logger().error("control has no new certificate yet", why=str(error))

    def tasks(self) -> list[Coroutine[Any, Any, None]]:
        """What must run for ever."""
        return [
            keep_running("identity", lambda: self.identity.keep(self.ask)),
            keep_running("trust", self.registrar.run),
        ]

    async def ask(self, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """Its own certificates, control gives to itself."""
        return await self.registrar.certify(CertificateRequest.model_validate(dict(wanted)), None, local=True)


def files_to_hand(settings: Settings) -> JoinFiles:
    """What machines get when they join. A nameserver must make cookies and open keys as the others do; another control
    must be able to do what this one does."""
    trust = settings.data / "trust"
    cookie = settings.dns_protocol.cookie_secret or settings.data / "dns" / "cookie.secret"
    dnssec = settings.dnssec_secret or settings.data / "dnssec.secret"
    served: dict[str, Path] = {"dns/cookie.secret": cookie, "dnssec.secret": dnssec}
    own = {f"trust/{name}": trust / name for name in ("installation.secret", "signing.key", COPY)}
    return {"all": {"trust/signers.json": trust / "signers.json"}, "dns": served, "control": {**served, **own}}
