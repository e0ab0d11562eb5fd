"""TLS contexts between the processes of an installation: 1.3 alone, both ends with certificates of its own roots.

Names of hosts are not compared: who is asked must show a SPIFFE id, which the caller looks at. Nothing is resumed, so
that every connection is checked anew.
"""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import TYPE_CHECKING

from gslb.errors import HostError

if TYPE_CHECKING:
    from gslb.trust.identity_files import IdentityFolder  # a process that asks nobody yet starts without it

__all__ = ["IDENTITY_NAME", "client_context", "load", "only_trusting", "peer_uri", "server_context"]

IDENTITY_NAME = "control.gslb.internal"
"""The server name (SNI) by which processes of an installation ask a control for the certificate with the SPIFFE id,
where people are shown another one."""


def server_context(identity: IdentityFolder, *, required: bool) -> ssl.SSLContext:
    """Shows the identity; `required`: whoever shows no certificate of our roots is turned away. Raises HostError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.num_tickets = 0
    context.verify_mode = ssl.CERT_REQUIRED if required else ssl.CERT_OPTIONAL
    load(context, identity)
    return context


def client_context(identity: IdentityFolder) -> ssl.SSLContext:
    """Shows the identity to servers that it believes. Raises HostError."""
    context = _client()
    load(context, identity)
    return context


def only_trusting(ca: Path | str) -> ssl.SSLContext:
    """Believes the roots in a file, or in PEM, and shows nothing. Raises HostError."""
    context = _client()
    try:
        if isinstance(ca, Path):
            context.load_verify_locations(cafile=ca)
        else:
            context.load_verify_locations(cadata=ca)
    except (OSError, ValueError) as error:
        raise HostError(
            f"the roots {ca if isinstance(ca, Path) else ''} cannot be used: {error}", "join again"
        ) from None
    return context


def load(context: ssl.SSLContext, identity: IdentityFolder) -> None:
    """What is in the files now, for connections from now on. Raises HostError; then nothing is changed for those."""
    try:
        probe = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        for one in (probe, context):
            one.load_cert_chain(identity.certificate, identity.key, password=_no_password)
            one.load_verify_locations(cafile=identity.ca)
    except (OSError, ValueError) as error:
        raise HostError(
            f"the certificate {identity.certificate} cannot be used: {getattr(error, 'strerror', None) or error}",
            "delete what is there; the role gets another from control",
        ) from None


def peer_uri(certificate: object) -> str | None:
    """The one URI in what `getpeercert` tells; None where there is not exactly one."""
    names = certificate.get("subjectAltName", ()) if isinstance(certificate, dict) else ()
    found = [value for kind, value in names if kind == "URI"]
    return found[0] if len(found) == 1 else None


def _client() -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    return context


def _no_password() -> str:
    raise ValueError("the key is encrypted")
