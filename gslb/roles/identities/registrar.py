"""Control's desk for identities: join tokens, certificates for the processes of machines, and who is believed no more.

Thin: the store's documents, files, clock and randomness. What a token allows stands in `trust.join`, what a certificate
says in `trust.authority`, who may renew one in `trust.renewal`.
"""

from __future__ import annotations

import asyncio
import base64
import math
import secrets
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from gslb import clock
from gslb.control.bodies.join_messages import CertificateRequest, JoinRequest, JoinTokenRequest
from gslb.control.http.access import ForbiddenError
from gslb.control.installation.enrolment import hosts_of, joined, parts_of, processes_in, record_of
from gslb.control.installation.identity_seen import identity_seen
from gslb.control.installation.registry import FOLDER, Machine, Registry, document_name, registry_of
from gslb.control.registrar import Asker
from gslb.errors import HostError, RefusedError
from gslb.model.words import iso
from gslb.roles.identities.trust_home import ROOT_KEY, TrustHome, new_issuer, new_serial
from gslb.snapshot.intent import Provenance
from gslb.store import Document, Store
from gslb.trust.authority import (
    Authority,
    Subject,
    key_from_pem,
    key_of_request,
    lifetime_s,
    make_leaf,
    pem_of,
    root_hash,
)
from gslb.trust.identity_files import Control, MachineFile
from gslb.trust.join import (
    ID_BYTES,
    KEPT_S,
    SECRET_BYTES,
    JoinToken,
    Ticket,
    parse_secret,
    processes_of,
    require_processes,
    spend,
)
from gslb.trust.private_files import read_private
from gslb.trust.renewal import who_proves
from gslb.trust.spiffe import SpiffeId, process_id, require_machine_name
from gslb.trust.state import Operator, TrustState

__all__ = ["JoinFiles", "StoreRegistrar"]

LOOK_S = 2.0
TICKETS = 1000
"""Join tokens that may be kept; those that ended a week ago are forgotten."""


JoinFiles = Mapping[str, Mapping[str, Path]]
"""What a machine gets that joins: by role the files, by their names in its data folder."""

_log = structlog.get_logger(__name__)


class StoreRegistrar:
    """Of the control of `machine`. `files` are read when somebody joins."""

    def __init__(self, home: TrustHome, store: Store, machine: MachineFile, files: JoinFiles) -> None:
        self._home = home
        self._store = store
        self._machine = machine
        self._files = files
        self.state: TrustState = home.read()
        self.own_ends_s: Callable[[], float | None] = lambda: None

    # Asked over the API -----------------------------------------------------------------------------------------------

    async def trust(self) -> dict[str, Any]:
        return {"domain": self.state.domain, "roots": self.state.bundle}

    async def seen(self, ends_wall_s: Mapping[str, float]) -> dict[str, Any]:
        return await asyncio.to_thread(self._seen, ends_wall_s)

    async def new_token(self, wanted: JoinTokenRequest) -> dict[str, Any]:
        """Raises RefusedError, rules `join-roles`, `unknown-machine`, `too-many-tokens`."""
        return await asyncio.to_thread(self._new_token, wanted)

    async def join(self, wanted: JoinRequest) -> dict[str, Any]:
        """Raises RefusedError as `trust.join` does, and rules `csr`, `machine-exists`, `join-address`."""
        return await asyncio.to_thread(self._join, wanted)

    async def certify(self, wanted: CertificateRequest, asker: Asker | None, *, local: bool) -> dict[str, Any]:
        """Raises RefusedError as `trust.renewal` does, and ForbiddenError, rules `certificate-kind`,
        `machine-removed`."""
        return await asyncio.to_thread(self._certify, wanted, asker, local)

    async def remove(self, machine: str, author: str, reason: str) -> dict[str, Any]:
        """Raises RefusedError, rules `unknown-machine`, `machine-own`."""
        return await asyncio.to_thread(self._remove, machine, author, reason)

    def operator(self, asker: SpiffeId, key: str) -> Operator | None:
        known = self.state.operators.get(asker.name) if asker.kind == "operator" else None
        return known if known is not None and known.key == key and asker.domain == self.state.domain else None

    def ends_wall_s(self) -> Mapping[str, float]:
        own_s, root_s = self.own_ends_s(), lifetime_s(self.state.root_certificates[0])[1]
        return {**({"control": own_s} if own_s else {}), "issuer": self.state.issuer_ends_s(), "root": root_s}

    # By itself --------------------------------------------------------------------------------------------------------

    def register(self) -> None:
        """So that the registry has this machine as it is."""
        machine, number = self._known(self._machine.machine)
        made = record_of(self._machine, clock.wall_s())
        kept = {"joined_at", "joined_by", "state"}
        if machine is None or machine.model_dump(exclude=kept) != made.model_dump(exclude=kept):
            update = {"joined_at": machine.joined_at, "joined_by": machine.joined_by} if machine else {}
            self._put(document_name(made.name), number, made.model_copy(update=update))

    async def run(self) -> None:
        """For ever: what other controls, or commands, have changed; and the issuer, where the root's key is here."""
        failed, registered = "", False
        while True:
            try:
                if not registered:
                    await asyncio.to_thread(self.register)
                registered = True
                await asyncio.to_thread(self.look)
            except (HostError, RefusedError) as error:
                if str(error) != failed:
                    _log.error("the trust of the installation cannot be looked after", why=str(error))
                failed = str(error)
            else:
                failed = ""
            await asyncio.sleep(LOOK_S)

    def look(self) -> None:
        """Once. Raises HostError and RefusedError."""
        self.state = self._home.read()
        key, wall_s = self._home.folder / ROOT_KEY, clock.wall_s()
        if wall_s < self.state.issuer_due_s() or not key.exists():
            return
        root = Authority(self.state.root_certificates[0], key_from_pem(read_private(key)))

        def make(state: TrustState) -> TrustState:
            if wall_s < state.issuer_due_s():
                return state
            issuer = new_issuer(root, state.domain, wall_s)
            return state.issued_by(self._home.sealed(issuer, pem_of(issuer.certificate)))

        self.state = self._home.change(make)
        _log.info("another issuer signs certificates", until=iso(self.state.issuer_ends_s()))

    # Tokens -----------------------------------------------------------------------------------------------------------

    def _new_token(self, wanted: JoinTokenRequest) -> dict[str, Any]:
        now_s = clock.wall_s()
        roles: tuple[str, ...] = wanted.roles
        sites: tuple[str, ...] = wanted.sites
        if wanted.rejoins is not None:
            roles, sites = parts_of(self._required(wanted.rejoins)[0])
        processes_of(roles, sites)
        self._forget_tickets(now_s)
        by = Provenance(author=wanted.author, reason=wanted.reason, at_s=now_s, expires_s=now_s + wanted.expires_in_s)
        name, secret = secrets.token_hex(ID_BYTES), secrets.token_bytes(SECRET_BYTES)
        token = JoinToken(name, secret, root_hash(self.state.root_certificates[0]), roles, sites)
        ticket = Ticket(hash=token.hash, roles=roles, sites=sites, rejoins=wanted.rejoins or "", by=by)
        self._store.put(_ticket_name(name), 0, ticket.model_dump_json().encode())
        self._home.record(wanted.author, "join-token", f"{name} for {' '.join((*roles, *sites))}", wanted.reason)
        _log.info("a join token was made", id=name, roles=roles, sites=sites, author=wanted.author)
        ends = iso(now_s + wanted.expires_in_s)
        return {"token": token.text, "id": name, "roles": list(roles), "sites": list(sites), "expires": ends}

    def _forget_tickets(self, now_s: float) -> None:
        kept = 0
        for document in self._store.documents("joins"):
            ticket = _ticket(document)
            if ticket is None or (ticket.by.expires_s or now_s) + KEPT_S < now_s:
                self._store.put(document.name, document.number, None)
            else:
                kept += 1
        if kept >= TICKETS:
            raise RefusedError("too-many-tokens", f"there are {kept} join tokens already", "wait until some have ended")

    # Joining ----------------------------------------------------------------------------------------------------------

    def _join(self, wanted: JoinRequest) -> dict[str, Any]:
        require_machine_name(wanted.machine)
        now_s, document = clock.wall_s(), self._store.document(_ticket_name(wanted.id))
        secret = parse_secret(wanted.secret)
        ticket = spend(_ticket(document), secret, wanted.machine, now_s)
        require_processes(ticket, wanted.requests)
        publics = {process: key_of_request(csr) for process, csr in wanted.requests.items()}
        known, number = self._known(wanted.machine)
        if known is not None and known.state == "active" and ticket.rejoins != wanted.machine:
            remedy = f"choose another name (--name), or make a token for it: gslb node token --rejoin {wanted.machine}"
            raise RefusedError("machine-exists", f"there is a machine {wanted.machine} already", remedy)
        machine = joined(wanted, ticket, now_s)
        state, files = self._home.read(), self._files_for(ticket.roles)
        self._home.signing(state)
        self._spend(document, ticket, secret)
        self._put(document_name(machine.name), number, machine)
        certificates = {
            process: self._issue(state, process_id(state.domain, machine.name, process), machine, public)
            for process, public in publics.items()
        }
        what = f"{machine.name} as {' '.join(sorted(certificates))}, by the token {wanted.id}"
        self._home.record(ticket.by.author, "join", what, ticket.by.reason)
        _log.info("a machine joined", machine=machine.name, processes=sorted(certificates), token=wanted.id)
        return {
            "domain": state.domain, "machine": machine.name, "roles": list(ticket.roles), "sites": list(ticket.sites),
            "roots": state.bundle, "certificates": certificates, "controls": self._controls(state),
            "files": {name: base64.b64encode(octets).decode() for name, octets in files.items()},
        }  # fmt: skip

    def _spend(self, document: Document, spent: Ticket, secret: bytes) -> None:
        """By compare-and-swap: of two who come at once with one token, one is told that it is used."""
        try:
            self._store.put(document.name, document.number, spent.model_dump_json().encode())
        except RefusedError:
            spend(_ticket(self._store.document(document.name)), secret, spent.used_by, clock.wall_s())
            raise

    def _files_for(self, roles: tuple[str, ...]) -> dict[str, bytes]:
        wanted = {name: path for role in ("all", *roles) for name, path in self._files.get(role, {}).items()}
        return {name: read_private(path) for name, path in wanted.items() if path.exists()}

    # Certificates -----------------------------------------------------------------------------------------------------

    def _certify(self, wanted: CertificateRequest, asker: Asker | None, local: bool) -> dict[str, Any]:
        public = key_of_request(wanted.csr)
        state = self._home.read()
        identity, made_s = self._renewing(wanted, asker, local, state)
        if identity.process is None:
            remedy = "make another: gslb identity issue"
            raise ForbiddenError("certificate-kind", f"{identity} is not renewed here", remedy)
        machine = record_of(self._machine, 0.0) if local else self._known(identity.name)[0]
        if machine is None or not _may_renew(machine, identity.process, made_s):
            raise ForbiddenError(
                "machine-removed",
                f"{identity} does not belong to this installation any more",
                "if it should: gslb node token, then gslb node join TOKEN there",
            )
        signers = self._files.get("all", {}).get("trust/signers.json")
        return {
            "certificate": self._issue(state, identity, machine, public),
            "roots": state.bundle,
            "controls": self._controls(state),
            "signers": read_private(signers).decode() if signers is not None and signers.exists() else "",
        }

    def _renewing(
        self, wanted: CertificateRequest, asker: Asker | None, local: bool, state: TrustState
    ) -> tuple[SpiffeId, float]:
        """Who it is for, and when the certificate was made by which they are known."""
        if local:
            return process_id(state.domain, self._machine.machine, wanted.process or ""), math.inf
        if asker is not None and asker.spiffe.domain == state.domain:
            return asker.spiffe, asker.made_s
        return who_proves(wanted.certificate, wanted.csr, wanted.proof, state.root_certificates, clock.wall_s())

    def _issue(self, state: TrustState, identity: SpiffeId, machine: Machine, public: Any) -> str:
        issuer = self._home.signing(state)
        subject = Subject.of(identity, hosts_of(machine, identity))
        leaf = make_leaf(issuer, public, subject, new_serial(), clock.wall_s(), state.life_s)
        return pem_of(leaf, issuer.certificate)

    # The registry -----------------------------------------------------------------------------------------------------

    def _remove(self, name: str, author: str, reason: str) -> dict[str, Any]:
        if name == self._machine.machine:
            raise RefusedError("machine-own", f"{name} is the machine of this control", "ask another control")
        machine, number = self._required(name)
        if machine.state == "active":
            self._home.record(author, "remove-machine", name, reason)
            self._put(document_name(name), number, machine.model_copy(update={"state": "removed"}))
            _log.warning("a machine was removed", machine=name, author=author, reason=reason)
        return {
            "machine": name,
            "state": "removed",
            "processes": sorted(processes_in(machine)),
            "certificates_end": iso(clock.wall_s() + self.state.life_s),
        }

    def _seen(self, ends_wall_s: Mapping[str, float]) -> dict[str, Any]:
        own_s, machines = self.own_ends_s(), self._registry().machines.values()
        ends = {**ends_wall_s, **({"control": own_s} if own_s else {})}
        return identity_seen(self.state, machines, ends, self._machine.machine, clock.wall_s())

    def _registry(self) -> Registry:
        return registry_of((one.name, one.number, one.value) for one in self._store.documents(FOLDER))

    def _controls(self, state: TrustState) -> list[dict[str, str]]:
        return [
            Control(url=machine.control, spiffe=process_id(state.domain, machine.name, "control").uri).model_dump()
            for machine in self._registry().active()
            if machine.control
        ]

    def _known(self, name: str) -> tuple[Machine | None, int]:
        document = self._store.document(document_name(name))
        if document.value is None:
            return None, document.number
        try:
            return Machine.model_validate_json(document.value), document.number
        except ValidationError:
            raise HostError(
                f"the document {document.name} in the store is damaged", f"remove it: gslb node remove {name}"
            ) from None

    def _required(self, name: str) -> tuple[Machine, int]:
        machine, number = self._known(name)
        if machine is None:
            raise RefusedError("unknown-machine", f"there is no machine {name}", "see which there are: gslb nodes")
        return machine, number

    def _put(self, name: str, number: int, machine: Machine) -> None:
        self._store.put(name, number, machine.model_dump_json().encode())


def _may_renew(machine: Machine, process: str, made_s: float) -> bool:
    """A certificate from before the machine joined (again) is of another machine of that name, or of a time when its
    keys were somebody else's."""
    return machine.state == "active" and process in processes_in(machine) and made_s >= int(machine.joined_at)


def _ticket_name(name: str) -> str:
    return f"joins/{name}"


def _ticket(document: Document) -> Ticket | None:
    """None where there is none, or none that reads."""
    try:
        return Ticket.model_validate_json(document.value) if document.value is not None else None
    except ValidationError:
        return None
