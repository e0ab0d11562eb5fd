"""Where a role process gets its next certificate: from the control beside it, or from one elsewhere.

Elsewhere it is asked for over mTLS while the own certificate is good, and by the proof in the request where it has
ended. What is asked and what is believed of the answer is `identity`'s.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Collection, Mapping
from http import HTTPStatus
from typing import Any

from gslb.errors import GslbError, HostError, RefusedError
from gslb.roles.endpoint.node_client import Address, NodeClient, Remote
from gslb.roles.identities.identity import Identity
from gslb.roles.settings import Settings
from gslb.trust.identity_files import Control
from gslb.trust.spiffe import parse_spiffe
from gslb.trust.tls import only_trusting

__all__ = ["CertificateSource"]

TIMEOUT_S = 10.0


class CertificateSource:
    """For the process of `identity`. Controls of machines that were `removed` are not asked."""

    def __init__(self, settings: Settings, identity: Identity, removed: Callable[[], Collection[str]] = tuple) -> None:
        self._settings = settings
        self._identity = identity
        self._removed = removed

    async def ask(self, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        """The first answer of a control. Raises what the last one said, or HostError where none can be reached."""
        if "control" in self._settings.roles:
            return await self._at(self._settings.socket("control"), wanted)
        last: GslbError = HostError(
            "no control has an address that this machine knows", "join again: gslb node token --rejoin NAME"
        )
        elsewhere = {name: value for name, value in wanted.items() if name != "process"}
        for control in self._identity.machine.controls:
            if parse_spiffe(control.spiffe).name in self._removed():
                continue
            try:
                return await self._at(self._remote(control), elsewhere)
            except (HostError, RefusedError) as error:
                last = error
        raise last

    def _remote(self, control: Control) -> Remote:
        identity = self._identity
        if identity.is_good:
            return Remote(control.url, control.spiffe, identity.tls)
        context = only_trusting(identity.files.ca)
        return Remote(control.url, control.spiffe, lambda: context)

    async def _at(self, address: Address, wanted: Mapping[str, Any]) -> Mapping[str, Any]:
        client = NodeClient("control", address, self._identity.process)
        where = address.url if isinstance(address, Remote) else str(address)
        try:
            status, body = await client.call("POST", "/v1/certificates", json.dumps(dict(wanted)), TIMEOUT_S)
            answer = json.loads(body)
        except (OSError, ValueError) as error:
            said = str(error) or type(error).__name__
            raise HostError(f"control at {where} cannot be asked: {said}", "is it running, and reachable?") from None
        finally:
            await client.close()
        if status == HTTPStatus.OK and isinstance(answer, dict):
            return answer
        told = answer if isinstance(answer, dict) else {}
        said, remedy = str(told.get("detail", f"HTTP status {status}")), str(told.get("remedy", "see control's log"))
        raise RefusedError(str(told.get("rule", f"http-{status}")), f"control at {where} says: {said}", remedy)
