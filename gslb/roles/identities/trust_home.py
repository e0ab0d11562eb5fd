"""Where the installation's trust rests: the document `trust` of the store, and a copy on each control's machine.

The store's is the truth. The copy serves while the store is silent, so that a control whose own certificate has ended
can give itself another before it can reach an etcd that wants one; and it is the beginning: `gslb identity init` makes
it before there is a store, and a control puts it where there is none.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric import ec

from gslb import clock
from gslb.errors import HostError, RefusedError
from gslb.roles.identities.secret_file import SecretFile, installation_secret
from gslb.store import SQLITE, AuditEntry, Store, open_store
from gslb.trust.authority import SERIAL_BYTES, Authority, key_from_pem, key_to_pem, make_issuer
from gslb.trust.envelope import open_sealed, seal
from gslb.trust.identity_files import read_machine, trust_folder
from gslb.trust.private_files import make_folder, read_private, write_private
from gslb.trust.state import DOCUMENT, PURPOSE, Issuer, TrustState, read_state

__all__ = ["ROOT_KEY", "TrustHome", "home_at", "new_issuer", "new_key", "new_serial", "store_of"]

COPY = "authority.json"
ROOT_KEY = "root.key"
TRIES = 5

Make = Callable[[TrustState], TrustState]


class TrustHome:
    """`store` None: there is none yet, only the copy. Synchronous. Everything raises HostError and RefusedError."""

    def __init__(self, data: Path, store: Store | None) -> None:
        self.folder = trust_folder(data)
        self._copy = self.folder / COPY
        self._store = store
        self._secret: SecretFile = installation_secret(self.folder)

    def copy(self) -> TrustState | None:
        """What this machine had at last; None: this machine has no part in it."""
        return read_state(read_private(self._copy)) if self._copy.exists() else None

    def keep(self, state: TrustState) -> None:
        """As the copy."""
        make_folder(self.folder)
        if self.copy() != state:
            write_private(self._copy, _octets(state))

    def read(self) -> TrustState:
        """As it is now, or as it was at last where the store does not answer. Where the store has none, it gets the
        copy. Rule `other-trust`: the store belongs to another installation."""
        try:
            return self._held()[0]
        except HostError:
            copy = self.copy()
            if copy is None:
                raise
            return copy

    def _held(self) -> tuple[TrustState, int]:
        """With the number of its document; 0: there is no store."""
        copy = self.copy()
        if self._store is None:
            return _required(copy), 0
        document = self._store.document(DOCUMENT)
        if document.value is None:
            state = _required(copy)
            return state, self._store.put(DOCUMENT, document.number, _octets(state)).number
        state = read_state(document.value)
        if copy is not None and not set(copy.roots) & set(state.roots):
            raise RefusedError(
                "other-trust",
                f"the store holds the trust of another installation ({state.domain}) than this machine's copy",
                f"name the right store, or, if this machine belongs there, delete {self._copy} and join again",
            )
        self.keep(state)
        return state, document.number

    def change(self, make: Make) -> TrustState:
        """`make` turns what is there into what shall be; it may be called again. Rule `stale` after TRIES races."""
        for left in reversed(range(TRIES)):
            try:
                before, number = self._held()
                state = make(before)
                if state != before and self._store is not None:
                    self._store.put(DOCUMENT, number, _octets(state))
            except RefusedError as error:
                if error.rule != "stale" or not left:
                    raise
            else:
                break
        self.keep(state)
        return state

    def record(self, author: str, action: str, detail: str, reason: str = "") -> bool:
        """In the history, for good. False: there is no store yet that could have one."""
        if self._store is None:
            return False
        self._store.append(AuditEntry(clock.wall_s(), author, action, detail, reason))
        return True

    def replace(self, state: TrustState) -> None:
        """Begin anew, whatever there was: what it vouched for is believed no more. Rule `stale` where another control
        does the same."""
        if self._store is not None:
            self._store.put(DOCUMENT, self._store.document(DOCUMENT).number, _octets(state))
        self.keep(state)

    def signing(self, state: TrustState) -> Authority:
        """The issuer, opened."""
        issuer = state.issuers[0]
        return Authority(issuer.read, key_from_pem(open_sealed(self._secret.read(), PURPOSE, issuer.sealed)))

    def sealed(self, authority: Authority, chain: str) -> Issuer:
        """An issuer as it rests."""
        octets = seal(self._secret.read()[0], PURPOSE, key_to_pem(authority.key))
        return Issuer(certificate=chain, sealed=octets)


def home_at(data: Path, store: str | None = None) -> TrustHome:
    """For commands on a control's machine. `store` None: where its control keeps it, as far as that ever ran. Raises
    HostError."""
    url = store or store_of(data)
    return TrustHome(data, open_store(url, data) if url else None)


def store_of(data: Path) -> str | None:
    """Where this machine's control keeps things; None: it never ran. Raises HostError."""
    known = read_machine(trust_folder(data))
    if known is not None and known.store is not None:
        return known.store
    return SQLITE if (data / "gslb.db").exists() else None


def new_issuer(root: Authority, domain: str, wall_s: float) -> Authority:
    """With a key of its own."""
    return make_issuer(root, new_key(), domain, new_serial(), wall_s)


def new_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def new_serial() -> bytes:
    return os.urandom(SERIAL_BYTES)


def _required(state: TrustState | None) -> TrustState:
    if state is None:
        raise RefusedError("no-identity", "this installation has no authority yet", "make one: gslb identity init")
    return state


def _octets(state: TrustState) -> bytes:
    return state.model_dump_json(indent=1).encode()
