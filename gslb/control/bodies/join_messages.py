"""The bodies of the API about identity: joining, certificates, machines. No rule of the product here."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal

from pydantic import Field

from gslb.control.bodies.messages import Author, Body, Line
from gslb.model.words import EndpointText, Name

__all__ = [
    "CertificateAnswer", "CertificateRequest", "ControlSeen", "IdentitySeen", "JoinAnswer", "JoinRequest",
    "JoinTokenMade", "JoinTokenRequest", "MachineChange", "TrustSeen",
]  # fmt: skip

Pem = Annotated[str, Field(max_length=32 * 1024)]
Secret = Annotated[str, Field(max_length=64, repr=False, pattern=r"^[A-Za-z0-9_-]*$")]
Url = Annotated[str, Field(max_length=300, pattern=r"^https://[A-Za-z0-9.:\[\]-]+$")]
Process = Annotated[str, Field(max_length=80, pattern=r"^(dns|control|observer|edge-[a-z0-9-]{1,63})$")]
HOUR_S = 3600.0
DAY_S = 86400.0


class JoinTokenRequest(Body):
    """`rejoins`: the machine, known already, that the token gives new certificates to; its roles are then its own."""

    roles: Annotated[tuple[Literal["dns", "edge", "control", "observer"], ...], Field(max_length=4)] = ()
    sites: Annotated[tuple[Name, ...], Field(max_length=64)] = ()
    rejoins: Name | None = None
    expires_in_s: Annotated[float, Field(gt=0, le=7 * DAY_S)] = HOUR_S
    reason: Line = ""
    author: Author = ""


class JoinTokenMade(Body):
    """`token` is told here and never again."""

    token: str
    id: str
    roles: list[str]
    sites: list[str]
    expires: str


class TrustSeen(Body):
    """What anybody may know: `roots` in PEM."""

    domain: str
    roots: str


class ControlSeen(Body):
    url: str
    spiffe: str


class JoinRequest(Body):
    """`requests` are CSRs in PEM by role process. `address` is where the machine's node endpoints begin, `api` where
    its control is reached."""

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{16}$")]
    secret: Secret
    machine: Name
    requests: Annotated[Mapping[Process, Pem], Field(min_length=1, max_length=70)]
    address: EndpointText | None = None
    api: Url | None = None


class JoinAnswer(Body):
    """`certificates` in PEM, leaf first, by role process. `files` are octets in base64 by their names in the data
    folder; secrets are among them."""

    domain: str
    machine: str
    roles: list[str]
    sites: list[str]
    roots: str
    certificates: Mapping[str, str]
    controls: list[ControlSeen]
    files: Annotated[Mapping[str, str], Field(repr=False)]


class CertificateRequest(Body):
    """Over the unix socket: for the role `process` of control's machine. Over mTLS: for the process that asks. Else
    `certificate` is the chain that has ended, leaf first, and `proof` the signature over the CSR, in base64, by its
    key."""

    csr: Pem
    process: Process | None = None
    certificate: Pem = ""
    proof: Annotated[str, Field(max_length=256)] = ""


class CertificateAnswer(Body):
    """`certificate` in PEM, leaf first; `roots` and `controls` as they are now. `signers`: the keys that publish, as
    nodes keep them; empty where nobody signs."""

    certificate: str
    roots: str
    controls: list[ControlSeen]
    signers: str


class CertificateSeen(Body):
    """`ends` None: it has told nothing."""

    name: str
    ends: str | None


class MachineSeen(Body):
    name: str
    state: str
    joined: str
    joined_by: str
    certificates: list[CertificateSeen]


class OperatorSeen(Body):
    name: str
    role: str
    apps: list[str]
    ends: str


class Alarm(Body):
    what: str
    remedy: str


class IdentitySeen(Body):
    """Times are ISO 8601."""

    domain: str
    root_ends: str
    issuer_ends: str
    machines: list[MachineSeen]
    operators: list[OperatorSeen]
    alarms: list[Alarm]


class MachineChange(Body):
    """`processes` are believed no more, at the latest when their certificates end."""

    machine: str
    state: str
    processes: list[str]
    certificates_end: str
