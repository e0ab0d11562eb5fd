"""What a role process shows to others, and how it stays good: its certificate, the TLS contexts, the renewal.

A certificate is renewed when half of its life is over, again and again until it works; until then the old one is shown,
and connections that are open stay. What is asked of control, and how, comes from outside.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any

import structlog
from pydantic import ValidationError

from gslb import clock
from gslb.control.bodies.join_messages import CertificateAnswer
from gslb.errors import GslbError, HostError, RefusedError
from gslb.model.words import iso
from gslb.roles.identities.trust_home import new_key
from gslb.roles.settings import Settings
from gslb.roles.tasks import back_off_s
from gslb.trust import tls
from gslb.trust.authority import certificates_of, make_request, pem_of, require_chain
from gslb.trust.identity_files import (
    Control,
    IdentityFolder,
    MachineFile,
    Pair,
    read_machine,
    trust_folder,
    write_machine,
)
from gslb.trust.private_files import write_private
from gslb.trust.renewal import proof_of
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signing import Signers
from gslb.trust.spiffe import SpiffeId, process_id

__all__ = ["Ask", "Identity"]

LOOK_S = 5.0
"""How often the wall clock is asked whether it is time: it may jump."""
PAUSE_S = 60.0
"""The longest pause between two tries."""

Ask = Callable[[Mapping[str, Any]], Awaitable[Mapping[str, Any]]]
"""Hands join_messages.CertificateRequest to a control, and returns its CertificateAnswer. Raises GslbError, OSError."""

_log = structlog.get_logger(__name__)


class Identity:
    """Of the role process `process` of the machine that `machine` describes."""

    def __init__(self, data: Path, process: str, machine: MachineFile) -> None:
        self.trust = trust_folder(data)
        self.machine = machine
        self.process = process
        self.spiffe: SpiffeId = process_id(machine.domain, machine.machine, process)
        self.files = IdentityFolder(self.trust, process)
        self.ready = asyncio.Event()
        self._pair: Pair | None = None
        self._client: ssl.SSLContext | None = None
        self._servers: list[ssl.SSLContext] = []
        self._load()

    @classmethod
    def of(cls, settings: Settings, process: str) -> Identity | None:
        """None: this machine has joined nothing. Raises HostError where its files do not read."""
        machine = read_machine(trust_folder(settings.data))
        return cls(settings.data, process, machine) if machine is not None else None

    @property
    def ends_s(self) -> float | None:
        """When the certificate ends; None: there is none yet."""
        return self._pair.ends_s if self._pair else None

    @property
    def is_good(self) -> bool:
        return self._pair is not None and clock.wall_s() < self._pair.ends_s

    def tls(self) -> ssl.SSLContext:
        """To ask others with; another object once the certificate was renewed. Raises ConnectionError before there is
        one."""
        if self._client is None:
            raise ConnectionError(f"{self.spiffe} has no certificate yet")
        return self._client

    def server(self) -> ssl.SSLContext:
        """To be asked with; it keeps up with renewals. Certificates of others are looked at where they show one. Raises
        HostError before there is one."""
        context = tls.server_context(self.files, required=False)
        self._servers.append(context)
        return context

    def believe_people(self, context: ssl.SSLContext) -> None:
        """Who asks by `context`, which shows another certificate, may show one of ours. Raises HostError."""
        context.verify_mode = ssl.CERT_OPTIONAL
        context.load_verify_locations(cafile=self.files.ca)

    # Renewal ----------------------------------------------------------------------------------------------------------

    def due_s(self) -> float:
        """When it is time for another certificate."""
        return self._pair.due_s if self._pair else 0.0

    async def keep(self, ask: Ask) -> None:
        """For ever: have a certificate."""
        failures, told = 0, ""
        while True:
            if clock.wall_s() < self.due_s():
                await asyncio.sleep(LOOK_S)
                continue
            try:
                await self.renew(ask)
            except (GslbError, OSError, ValidationError) as error:
                if str(error) != told:
                    ends = iso(self._pair.ends_s) if self._pair else "never was one"
                    _log.error("no new certificate yet; it is tried again", why=str(error), ends=ends)
                failures, told = failures + 1, str(error)
                await asyncio.sleep(min(10 * back_off_s(failures), PAUSE_S))
            else:
                failures, told = 0, ""

    async def renew(self, ask: Ask) -> None:
        """Ask once, with a new key. Raises GslbError, OSError and ValidationError; then everything is as it was."""
        key, wanted = new_key(), {}
        csr = make_request(key)
        if self._pair is not None:
            wanted = {"certificate": pem_of(*self._pair.chain), "proof": proof_of(self._pair.key, csr)}
        answer = CertificateAnswer.model_validate(await ask({"csr": csr, "process": self.process, **wanted}))
        roots, chain = certificates_of(answer.roots), certificates_of(answer.certificate)
        if chain[0].public_key() != key.public_key() or require_chain(chain, roots, clock.wall_s()) != self.spiffe:
            raise RefusedError("certificate", f"control sent no certificate of {self.spiffe}", "see control's log")
        await asyncio.to_thread(self._write, key, answer)
        self._load()
        _log.info("another certificate is shown", identity=str(self.spiffe), until=iso(self.ends_s or 0.0))

    def _write(self, key: Any, answer: CertificateAnswer) -> None:
        if not self.files.ca.exists() or self.files.ca.read_text() != answer.roots:
            write_private(self.files.ca, answer.roots.encode())
        if answer.signers:
            self._believe(Signers.model_validate_json(answer.signers))
        controls = tuple(Control.model_validate(control.model_dump()) for control in answer.controls)
        if controls and controls != self.machine.controls:
            self.machine = self.machine.model_copy(update={"controls": controls})
            write_machine(self.trust, self.machine)
        self.files.write(key, answer.certificate)

    def _believe(self, signers: Signers) -> None:
        """A control of gslb 0.1 numbers no lists: what it says holds where nobody says more."""
        folder = TrustFolder(self.trust)
        try:
            if signers.number:
                folder.take(signers)
            else:
                folder.change(lambda known: known if known.number else signers)
        except RefusedError:
            return  # what is believed here is newer

    def _load(self) -> None:
        """What is on disk. What cannot be used is complained of, and as good as nothing: another one is asked for."""
        try:
            pair = self.files.read()
            if pair is None:
                return
            for context in self._servers:
                tls.load(context, self.files)
            self._client = tls.client_context(self.files)
        except HostError as error:
            _log.error("the certificate of this role cannot be used", why=error.message, remedy=error.remedy)
            return
        self._pair = pair
        self.ready.set()
