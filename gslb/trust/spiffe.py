"""SPIFFE ids: what the processes of an installation, its people and the servers beside it are called in certificates.

`spiffe://DOMAIN/MACHINE/control`, `/MACHINE/dns`, `/MACHINE/observer`, `/MACHINE/edge/SITE`; `/operator/NAME` for
people and `/server/NAME` for what gslb only talks to, such as a member of etcd. Names alone: what they may do is
`permits`'.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, get_args

from gslb.errors import RefusedError

__all__ = ["RESERVED", "Kind", "SpiffeId", "parse_spiffe", "process_id", "require_machine_name"]

Kind = Literal["control", "dns", "edge", "observer", "operator", "server"]
"""What a certificate is for: a role process, a person, a server that is not ours."""

RESERVED = ("operator", "server")
"""No machine is called so: their ids begin with it."""

_NAME = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")
_PERSON = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,62}")
_DOMAIN = re.compile(r"[a-z0-9._-]{1,255}")  # SPIFFE-ID section 2.1
_PROCESSES = ("control", "dns", "observer")


@dataclass(frozen=True, slots=True)
class SpiffeId:
    """`name` is the machine's, the person's, or the server's; `site` an edge's, and of an edge alone."""

    domain: str
    kind: Kind
    name: str
    site: str | None = None

    @property
    def uri(self) -> str:
        if self.kind in RESERVED:
            return f"spiffe://{self.domain}/{self.kind}/{self.name}"
        return f"spiffe://{self.domain}/{self.name}/{self.kind}{f'/{self.site}' if self.site else ''}"

    @property
    def process(self) -> str | None:
        """The role process as its machine calls it, `dns` or `edge-SITE`; None: it is none."""
        if self.kind in RESERVED:
            return None
        return f"edge-{self.site}" if self.site else self.kind

    def __str__(self) -> str:
        return self.uri


def parse_spiffe(uri: str) -> SpiffeId:
    """Raises RefusedError, rule `spiffe-id`, for whatever is none of the forms above, octet for octet."""
    scheme, _, rest = uri.partition("://")
    domain, *path = rest.split("/")
    kind: Kind | None = None
    site: str | None = None
    match path:
        case ["operator", name] if _PERSON.fullmatch(name):
            kind = "operator"
        case ["server", name] if _PERSON.fullmatch(name):
            kind = "server"
        case [name, "edge", where] if _is_machine(name) and _NAME.fullmatch(where):
            kind, site = "edge", where
        case [name, process] if _is_machine(name) and process in _PROCESSES:
            kind = next(one for one in get_args(Kind) if one == process)
    if scheme != "spiffe" or not _DOMAIN.fullmatch(domain) or kind is None:
        raise RefusedError(
            "spiffe-id", f"{uri[:200]!r} is no id of this product", "see docs/operations.md for the forms"
        )
    return SpiffeId(domain, kind, path[1] if kind in RESERVED else path[0], site)


def process_id(domain: str, machine: str, process: str) -> SpiffeId:
    """The id of the role process that its machine calls `dns`, `control`, `observer` or `edge-SITE`. Raises
    RefusedError, rule `spiffe-id`, where there can be no such process."""
    role, _, site = process.partition("-")
    return parse_spiffe(f"spiffe://{domain}/{machine}/{role}{f'/{site}' if site else ''}")


def require_machine_name(name: str) -> None:
    """Raises RefusedError, rule `machine-name`."""
    if not _is_machine(name):
        raise RefusedError(
            "machine-name",
            f"a machine cannot be called {name[:100]!r}",
            f"use lower-case letters, digits and hyphens, 63 at most, and none of {', '.join(RESERVED)}: --name NAME",
        )


def _is_machine(name: str) -> bool:
    return name not in RESERVED and _NAME.fullmatch(name) is not None
