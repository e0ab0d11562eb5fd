"""Who may do what over the API: the role that each route needs, and whether a caller has it. Pure.

A route without a line in `NEEDS` keeps the API from being built. How callers show who they are is not decided here:
see `tokens` for the secret, and `api` for the door they came through.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Literal

from gslb.errors import RefusedError
from gslb.snapshot.intent import AccessRole
from gslb.trust.spiffe import SpiffeId

__all__ = [
    "LOCAL", "NEEDS", "READER", "STRANGER", "Caller", "ForbiddenError", "Need", "UnknownCallerError", "is_loopback",
    "no_token", "require_app", "require_complete", "require_guarded", "require_role",
]  # fmt: skip

_RANKS: Mapping[AccessRole, int] = {"viewer": 0, "acme": 1, "operator": 2, "admin": 3}
"""Each role may do what those before it may: `acme` reads, and answers challenges."""


@dataclass(frozen=True, slots=True)
class Need:
    """`per_app`: what the route changes belongs to one app, so that a caller with apps of its own may use it for
    them. `open`: anybody may ask, because what is asked carries its own authority, or is no secret."""

    role: AccessRole
    per_app: bool = False
    open: bool = False


_OPEN, _ACME = Need("viewer", open=True), Need("acme")
_VIEW, _OPERATE, _ADMIN, _OWN_APP = Need("viewer"), Need("operator"), Need("admin"), Need("operator", per_app=True)

NEEDS: Mapping[str, Need] = {
    "GET /": _VIEW,
    "GET /apis/metrics.smi-spec.io/v1alpha1": _VIEW,
    "GET /apis/metrics.smi-spec.io/v1alpha1/namespaces/{app}/services": _VIEW,
    "GET /apis/metrics.smi-spec.io/v1alpha1/namespaces/{app}/services/{backend}": _VIEW,
    "GET /apis/metrics.smi-spec.io/v1alpha1/namespaces/{app}/trafficsplits": _VIEW,
    "GET /apis/metrics.smi-spec.io/v1alpha1/namespaces/{app}/trafficsplits/{route}": _VIEW,
    "GET /healthz": _VIEW,
    "GET /metrics": _VIEW,
    "GET /openapi.json": _VIEW,
    "GET /static/dashboard.js": _VIEW,
    "GET /static/style.css": _VIEW,
    "GET /v1/checks": _VIEW,
    "GET /v1/diff": _VIEW,
    "GET /v1/dnssec": _VIEW,
    "GET /v1/events": _VIEW,
    "GET /v1/explain": _VIEW,
    "GET /v1/history": _VIEW,
    "GET /v1/latency": _VIEW,
    "GET /v1/mirrors/{app}/{route}/report": _OWN_APP,
    "GET /v1/nodes": _VIEW,
    "GET /v1/policy": _VIEW,
    "GET /v1/status": _VIEW,
    "GET /v1/zone-file": _VIEW,
    "POST /v1/shifts": _OWN_APP,
    "DELETE /v1/shifts/{app}/{route}": _OWN_APP,
    "POST /v1/drains": _OWN_APP,
    "DELETE /v1/drains/{site}": _OWN_APP,
    "POST /v1/forced": _OWN_APP,
    "DELETE /v1/forced/{site}": _OWN_APP,
    "POST /v1/approvals": _OWN_APP,
    "POST /v1/mirror-stops": _OWN_APP,
    "DELETE /v1/mirror-stops": _OWN_APP,
    "PUT /v1/checks/{name}/state": _OPERATE,
    "PUT /v1/latency": _OPERATE,
    "POST /v1/acme": _ACME,
    "DELETE /v1/acme/{name}": _ACME,
    "DELETE /v1/latency": _OPERATE,
    "POST /v1/plan": _OWN_APP,
    "POST /v1/apply": _OWN_APP,
    "POST /v1/dnssec/rolls": _ADMIN,
    "POST /v1/dnssec/ds": _ADMIN,
    "GET /v1/tokens": _ADMIN,
    "POST /v1/tokens": _ADMIN,
    "DELETE /v1/tokens/{name}": _ADMIN,
    "GET /v1/trust": _OPEN,
    "GET /v1/identity": _VIEW,
    "POST /v1/join-tokens": _ADMIN,
    "POST /v1/join": _OPEN,
    "POST /v1/certificates": _OPEN,
    "DELETE /v1/machines/{name}": _ADMIN,
}
"""By method and path, as they stand in the table of routes."""


@dataclass(frozen=True, slots=True)
class Caller:
    """`name` is the token's, the person's or the process', empty where there was none. `apps` empty: every app.
    `spiffe`: what the certificate says that they have shown, made at `made_s` (Unix seconds)."""

    name: str
    role: AccessRole
    apps: frozenset[str] = frozenset()
    kind: Literal["token", "operator", "process"] = "token"
    spiffe: SpiffeId | None = None
    made_s: float = 0.0


LOCAL = Caller("", "admin")
"""Whoever may open the unix socket: its mode has said that they are the same user, or root."""
READER = Caller("", "viewer")
"""Whoever comes over loopback without a token."""
STRANGER = Caller("", "viewer")
"""Whoever shows nothing, and asks what is open to anybody."""


class UnknownCallerError(RefusedError):
    """Nobody has shown who they are, or in vain (RFC 9110 section 15.5.2)."""


class ForbiddenError(RefusedError):
    """The caller is known, and may not do this (RFC 9110 section 15.5.4)."""


def require_complete(routes: Iterable[str]) -> None:
    """Every route has its line, and every line its route."""
    wanted = set(routes)
    missing, stray = sorted(wanted - set(NEEDS)), sorted(set(NEEDS) - wanted)
    assert not missing, f"say in gslb/control/http/access.py who may do this: {', '.join(missing)}"
    assert not stray, f"gslb/control/http/access.py names what is no route: {', '.join(stray)}"


def require_role(caller: Caller, need: Need) -> None:
    """Raises UnknownCallerError, rule `no-token`, or ForbiddenError, rules `role` and `process`."""
    if caller.kind == "process" and not need.open:
        raise ForbiddenError(
            "process",
            f"{caller.name} is a process of this installation, which may do nothing here but renew its certificate",
            "use a token, or a certificate of a person: gslb identity issue operator NAME",
        )
    if _RANKS[caller.role] >= _RANKS[need.role]:
        return
    if not caller.name:
        raise no_token(need.role)
    raise ForbiddenError(
        "role",
        f"the {caller.kind} {caller.name} has the role {caller.role}, and this needs {need.role}",
        f"use another token: gslb token create NAME --role {need.role}",
    )


def no_token(role: AccessRole) -> UnknownCallerError:
    """What somebody is told who asks without a token for what `role` may."""
    return UnknownCallerError(
        "no-token",
        f"over TCP this needs a token with the role {role}",
        "set $GSLB_TOKEN or --token-file (gslb token create makes one); on gslb's own machine the command works over "
        "the unix socket, without --server",
    )


def require_app(caller: Caller, need: Need, app: str | None) -> None:
    """`app` is the one that the request names. Raises ForbiddenError, rule `app`.

    Reading is not limited to apps: who sees one sees the installation.
    """
    if not caller.apps or need.role == "viewer" or (need.per_app and app in caller.apps):
        return
    asked = "changes more than one app" if app is None or not need.per_app else f"is about {app}"
    raise ForbiddenError(
        "app",
        f"the {caller.kind} {caller.name} is for {', '.join(sorted(caller.apps))}, and this {asked}",
        "name an app of the token (--app), or use a token without apps",
    )


def require_guarded(host: str, *, tls: bool) -> None:
    """The API may be served at `host`, an address. Raises RefusedError, rule `api-open`: reachable from elsewhere, and
    without TLS tokens could be read on the way."""
    if not tls and not is_loopback(host):
        raise RefusedError(
            "api-open",
            f"the API at {host} could be reached from elsewhere, without TLS",
            "give a certificate (--api-cert FILE --api-key FILE; every request then needs a token), or an address such "
            "as --api 127.0.0.1:8053",
        )


def is_loopback(host: str) -> bool:
    """Is `host`, an address or a name, this machine alone?"""
    try:
        return ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return host.lower() == "localhost"
