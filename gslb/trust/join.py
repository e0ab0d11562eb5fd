"""One-time join tokens: how they look, what the installation keeps of them, and whether one may be spent. Pure.

A token holds the hash of the root that it came from, so that who joins knows the installation before it tells it
anything; and a secret, of which the SHA-256 is kept: there is nothing to guess about 256 random bits.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from gslb.errors import RefusedError
from gslb.model.words import Name
from gslb.snapshot.intent import Provenance

__all__ = [
    "ID_BYTES",
    "KEPT_S",
    "SECRET_BYTES",
    "JoinToken",
    "Ticket",
    "parse_secret",
    "parse_token",
    "processes_of",
    "require_processes",
    "spend",
]

ID_BYTES = 8
SECRET_BYTES = 32
KEPT_S = 7 * 86400.0
"""So long after its end a ticket still tells whether it was used, and by whom."""

_PREFIX = "gslbjoin"
"""By which scanners find a token in a place where none should be."""
_FORM = re.compile(
    _PREFIX + rf"\.(?P<id>[0-9a-f]{{{2 * ID_BYTES}}})\.(?P<secret>[A-Za-z0-9_-]{{43}})\.(?P<root>[A-Za-z0-9_-]{{43}})"
    r"\.(?P<roles>[a-z]+(?:\+[a-z]+)*)(?::(?P<sites>[a-z0-9-]+(?:\+[a-z0-9-]+)*))?"
)
"""43 digits of base64 are 32 octets."""
_LIMIT = 4096
_NODE_ROLES = ("dns", "edge", "observer", "control")


@dataclass(frozen=True, slots=True)
class JoinToken:
    """What the one who joins holds. `root_hash` is the SHA-256 of the root's certificate. `roles` and `sites` tell
    which keys to make; what the token allows is the ticket's to say."""

    id: str
    secret: bytes = field(repr=False)
    root_hash: bytes
    roles: tuple[str, ...] = ("dns",)
    sites: tuple[str, ...] = ()

    @property
    def processes(self) -> tuple[str, ...]:
        return processes_of(self.roles, self.sites)

    @property
    def text(self) -> str:
        what = "+".join(self.roles) + (f":{'+'.join(self.sites)}" if self.sites else "")
        return ".".join((_PREFIX, self.id, _coded(self.secret), _coded(self.root_hash), what))

    @property
    def secret_text(self) -> str:
        """As `parse_secret` reads it."""
        return _coded(self.secret)

    @property
    def hash(self) -> str:
        """What the installation keeps of the secret."""
        return hashlib.sha256(self.secret).hexdigest()


class Ticket(BaseModel):
    """The installation's side of a token: the document `joins/ID`. `by.expires_s` is its end. `rejoins`: the machine,
    known already, that it gives new certificates to; empty: it is for a new one. `used_by` is the machine that spent
    it."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    hash: Annotated[str, Field(repr=False, pattern=r"^[0-9a-f]{64}$")]
    roles: tuple[str, ...]
    sites: tuple[Name, ...] = ()
    rejoins: str = ""
    by: Provenance
    used_by: str = ""
    used_at_s: float | None = None


def parse_token(text: str) -> JoinToken:
    """Raises RefusedError, rules `join-token` and `join-roles`. Nothing of what was given is in their texts."""
    found = _FORM.fullmatch(text.strip())
    try:
        if found is None or len(text) > _LIMIT:
            raise _no_token()
        secret, root_hash = _decoded(found["secret"]), _decoded(found["root"])
    except ValueError:
        raise _no_token() from None
    sites = tuple(found["sites"].split("+")) if found["sites"] else ()
    token = JoinToken(found["id"], secret, root_hash, tuple(found["roles"].split("+")), sites)
    processes_of(token.roles, token.sites)
    return token


def parse_secret(text: str) -> bytes:
    """The secret as a message has it. Raises RefusedError, rule `join-token`."""
    try:
        return _decoded(text)
    except ValueError:
        raise _no_token() from None


def spend(ticket: Ticket | None, secret: bytes, machine: str, wall_s: float) -> Ticket:
    """The ticket once `machine` has used it. Raises RefusedError: rule `join-token` where there is none, or the secret
    is another one, `join-token-used`, `join-token-expired`, `join-token-machine` where it is for another machine."""
    given = hashlib.sha256(secret).hexdigest()
    if ticket is None or not hmac.compare_digest(ticket.hash, given):
        raise RefusedError("join-token", "this installation knows no such token", "make a new one: gslb node token")
    if ticket.used_by:
        raise RefusedError(
            "join-token-used",
            f"the token was used by the machine {ticket.used_by}",
            "if that was not you, remove that machine (gslb node remove NAME); then make a new one: gslb node token",
        )
    if ticket.by.expires_s is not None and ticket.by.expires_s <= wall_s:
        raise RefusedError("join-token-expired", "the time of the token is over", "make a new one: gslb node token")
    if ticket.rejoins and ticket.rejoins != machine:
        raise RefusedError(
            "join-token-machine", f"the token is for the machine {ticket.rejoins}", f"join with --name {ticket.rejoins}"
        )
    return ticket.model_copy(update={"used_by": machine, "used_at_s": wall_s})


def require_processes(ticket: Ticket, processes: Collection[str]) -> None:
    """The token allows certificates for these role processes, and all that it allows are asked for. Raises
    RefusedError, rule `join-roles`."""
    allowed = set(processes_of(ticket.roles, ticket.sites))
    if set(processes) != allowed:
        raise RefusedError(
            "join-roles",
            f"the token is for {', '.join(sorted(allowed))}, not for {', '.join(sorted(processes)) or 'nothing'}",
            "join with the roles of the token, or make another one: gslb node token --roles ... --site ...",
        )


def processes_of(roles: Collection[str], sites: Collection[str]) -> tuple[str, ...]:
    """The role processes of a machine, in the order in which they take ports. Raises RefusedError, `join-roles`."""
    unknown = sorted(set(roles) - set(_NODE_ROLES))
    if unknown or not roles:
        raise RefusedError(
            "join-roles", f"{', '.join(unknown) or 'nothing'} is no role", f"write some of {','.join(_NODE_ROLES)}"
        )
    if ("edge" in roles) != bool(sites):
        raise RefusedError(
            "join-roles", "an edge needs a site, and nothing else does", "write --roles edge --site NAME"
        )
    edges = [f"edge-{site}" for site in sites]
    dns, observer, control = ([role] if role in roles else [] for role in ("dns", "observer", "control"))
    return (*dns, *edges, *observer, *control)


def _coded(octets: bytes) -> str:
    return base64.urlsafe_b64encode(octets).decode("ascii").rstrip("=")


def _decoded(text: str) -> bytes:
    octets = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    if _coded(octets) != text:
        raise ValueError("it is written in another way than we write it")
    return octets


def _no_token() -> RefusedError:
    return RefusedError("join-token", "this is no join token", "give what gslb node token has printed, on one line")
