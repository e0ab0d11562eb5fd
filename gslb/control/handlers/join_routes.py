"""What the HTTP API does for identities. The lines of the table stand in `routes`, the rules behind the registrar."""

from __future__ import annotations

from typing import Any

from gslb.control.bodies.join_messages import CertificateRequest, JoinRequest, JoinTokenRequest
from gslb.control.bodies.messages import Undoing
from gslb.control.http.access import LOCAL, Caller
from gslb.control.publishing import Publisher
from gslb.control.registrar import Asker, Registrar, no_identity

__all__ = ["certify", "join", "new_token", "remove", "seen", "trust"]


async def trust(publisher: Publisher) -> dict[str, Any]:
    """As join_messages.TrustSeen. All here raise as the registrar does, and RefusedError, rule `no-identity`."""
    return await _registrar(publisher).trust()


async def seen(publisher: Publisher) -> dict[str, Any]:
    """As join_messages.IdentitySeen: with when the certificates end, as the roles have told."""
    told = {name: state.identity_ends_wall_s for name, state in publisher.roles().items() if state is not None}
    return await _registrar(publisher).seen({name: ends_s for name, ends_s in told.items() if ends_s is not None})


async def new_token(publisher: Publisher, wanted: JoinTokenRequest) -> dict[str, Any]:
    """As join_messages.JoinTokenMade."""
    return await _registrar(publisher).new_token(wanted)


async def join(publisher: Publisher, wanted: JoinRequest) -> dict[str, Any]:
    """As join_messages.JoinAnswer."""
    return await _registrar(publisher).join(wanted)


async def certify(publisher: Publisher, wanted: CertificateRequest, caller: Caller) -> dict[str, Any]:
    """As join_messages.CertificateAnswer."""
    asker = Asker(caller.spiffe, caller.made_s) if caller.spiffe is not None else None
    return await _registrar(publisher).certify(wanted, asker, local=caller is LOCAL)


async def remove(publisher: Publisher, machine: str, query: Undoing) -> dict[str, Any]:
    """As join_messages.MachineChange."""
    return await _registrar(publisher).remove(machine, query.author, query.reason)


def _registrar(publisher: Publisher) -> Registrar:
    if publisher.registrar is None:
        raise no_identity()
    return publisher.registrar
