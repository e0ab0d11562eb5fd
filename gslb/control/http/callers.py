"""Who asks over the API: by the door, a token, or a client certificate. What they may do is `access`' to say."""

from __future__ import annotations

import re
import ssl
from typing import Literal

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from gslb import clock
from gslb.control import tokens
from gslb.control.http import access
from gslb.control.http.access import Caller, Need
from gslb.control.http.problems import MisdirectedError
from gslb.control.publishing import Publisher
from gslb.control.registrar import Asker
from gslb.errors import RefusedError
from gslb.trust.authority import BACKDATED_S
from gslb.trust.spiffe import parse_spiffe
from gslb.trust.state import key_hash
from gslb.trust.tls import peer_uri

__all__ = ["Door", "caller_of", "peer_of"]

Door = Literal["local", "loopback", "guarded"]
"""How callers come in. `local`: over the unix socket, whose mode says who they are. `loopback`: over TCP on this
machine; reading is free, and every change needs a token. `guarded`: over TLS, where everything needs a token or a
certificate."""

_LITERAL_HOST = re.compile(r"(localhost|\d{1,3}(\.\d{1,3}){3}|\[[0-9a-f:.]+\])(:\d{1,5})?", re.IGNORECASE)


def caller_of(request: web.Request, door: Door, publisher: Publisher) -> Caller:
    """Raises UnknownCallerError and MisdirectedError.

    Without a token no name may be used: a page from elsewhere that points its own name at this machine (DNS rebinding)
    must not read what this installation does.
    """
    if door == "local":
        return access.LOCAL
    given = request.headers.getall("Authorization", [])
    if given:
        return _holder(given, publisher)
    peer = peer_of(request)
    if peer is not None:
        return _certified(request, peer, publisher)
    if _need_of(request).open:
        return access.STRANGER
    if door == "guarded":
        raise access.no_token("viewer")
    if not _LITERAL_HOST.fullmatch(request.headers.get("Host", "")):
        raise MisdirectedError(
            "host", "the Host of the request is a name", "ask by address, such as http://127.0.0.1:8053"
        )
    return access.READER


def peer_of(request: web.Request) -> Asker | None:
    """Whose certificate the other end of the connection has shown; None: it has shown none.

    Raises UnknownCallerError, rule `certificate`: it is nobody's whom we know, or it has ended since the connection was
    made.
    """
    shown = request.transport.get_extra_info("peercert") if request.transport is not None else None
    if not shown:
        return None
    if ssl.cert_time_to_seconds(shown["notAfter"]) < clock.wall_s():
        raise access.UnknownCallerError("certificate", "the certificate has ended", "connect with the next one")
    try:
        made_s = ssl.cert_time_to_seconds(shown["notBefore"]) + BACKDATED_S
        return Asker(parse_spiffe(peer_uri(shown) or ""), made_s)
    except RefusedError as error:
        raise access.UnknownCallerError("certificate", error.message, error.remedy) from None


def _certified(request: web.Request, asker: Asker, publisher: Publisher) -> Caller:
    """A role process of ours may ask what is open alone; a person what was said when their certificate was issued."""
    peer = asker.spiffe
    if peer.process is not None:
        name = f"{peer.name}/{peer.process}"
        return Caller(name, "viewer", kind="process", spiffe=peer, made_s=asker.made_s)
    registrar = publisher.registrar
    known = registrar.operator(peer, _key_of(request)) if registrar is not None else None
    if known is None:
        raise access.UnknownCallerError(
            "certificate",
            f"the certificate of {peer} is not believed",
            "ask for one: gslb identity issue operator NAME",
        )
    return Caller(peer.name, known.role, frozenset(known.apps), kind="operator", spiffe=peer)


def _key_of(request: web.Request) -> str:
    """The hash of the key at the other end."""
    assert request.transport is not None
    octets = request.transport.get_extra_info("ssl_object").getpeercert(binary_form=True)
    public = x509.load_der_x509_certificate(octets).public_key()
    return key_hash(public) if isinstance(public, ec.EllipticCurvePublicKey) else ""


def _holder(given: list[str], publisher: Publisher) -> Caller:
    """Whose token it is. One that is wrong is never taken for none."""
    scheme, _, secret = given[0].partition(" ")
    current = publisher.current()
    token = tokens.find(current[0] if current else None, secret.strip(), clock.wall_s())
    if len(given) > 1 or scheme.lower() != "bearer" or token is None:
        raise access.UnknownCallerError(
            "token", "the token is unknown, revoked, or over", "ask an admin for one: gslb token create NAME --for 30d"
        )
    return Caller(token.name, token.role, frozenset(token.apps))


def _need_of(request: web.Request) -> Need:
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return access.NEEDS.get(f"{method} {resource.canonical}" if resource else "", Need("admin"))
