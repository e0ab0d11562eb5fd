"""The folder `trust` below the data folder, as far as signatures go: whom this machine believes, and a control's own
key.

    signers.json   the public keys that are believed (signing.Signers)
    signing.key    the private key of this machine's control: 64 hex digits

What is signed, and what follows where a signature is wrong, is the callers'.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import secrets
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

from pydantic import ValidationError

from gslb.errors import HostError, RefusedError
from gslb.snapshot.bundle import Bundle
from gslb.trust.bundles import signed, verified_by
from gslb.trust.private_files import FORBIDDEN_TO_WRITE, make_folder, read_private, write_private
from gslb.trust.signer_list import signed_list
from gslb.trust.signing import KEY_BYTES, PrivateKey, Signer, Signers, key_id, make_key, octets_of, public_of

__all__ = ["FOLDER", "TrustFolder"]

FOLDER = "trust"
"""Its name below the data folder."""


class TrustFolder:
    """Safe to use from several threads. `folder` need not exist: then nobody is believed yet. What is in a file is
    looked at again whenever the file was replaced."""

    def __init__(self, folder: Path) -> None:
        self._signers_file = folder / "signers.json"
        self._key_file = folder / "signing.key"
        self._lock = threading.Lock()
        self._seen: tuple[int, int, int] | None = None
        self._signers = Signers()

    def make(self, name: str) -> None:
        """A key for this machine's control, and belief in it under `name`, where they are missing. Raises HostError."""
        if self._key_file.exists():
            private = self._private()
        else:
            private = make_key(secrets.token_bytes(KEY_BYTES))
            make_folder(self._key_file.parent)
            write_private(self._key_file, octets_of(private).hex().encode() + b"\n")
        signer = Signer.of(public_of(private), name)
        self.change(lambda known: known if known.knows(signer.id) else known.with_signer(signer))

    def signers(self) -> Signers:
        """Who is believed. Raises HostError where the file does not read; the last ones that did are kept."""
        with self._lock:
            try:
                found = self._signers_file.stat()
                seen = found.st_mtime_ns, found.st_ino, found.st_size
                if seen != self._seen:
                    self._signers = Signers.model_validate_json(read_private(self._signers_file, FORBIDDEN_TO_WRITE))
                    self._seen = seen
            except FileNotFoundError:
                self._signers, self._seen = Signers(), None
            except (OSError, ValidationError) as error:
                why = error.strerror if isinstance(error, OSError) else str(error).splitlines()[0]
                raise HostError(
                    f"{self._signers_file} does not read: {why}", "put it back from a backup, or from another machine"
                ) from None
            return self._signers

    def change(self, make: Callable[[Signers], Signers]) -> Signers:
        """Believe what `make` turns the list into; every other process of the machine waits meanwhile. Raises
        HostError, and whatever `make` does."""
        with self._alone():
            before = self.signers()
            after = make(before)
            if after != before:
                self._write(after)
            return after

    def take(self, signers: Signers) -> Signers:
        """Believe what a control tells. Raises HostError, and RefusedError, rule `older`, where the number is not
        higher than that of another list that is believed here."""

        with self._alone():
            try:
                known = self.signers()
            except HostError:
                known = Signers()  # a file that is damaged, this mends
            if signers == known:
                return known
            if signers.number <= known.number:
                raise RefusedError(
                    "older",
                    f"list {signers.number} of believed keys is not newer than {known.number}, which this machine has",
                    "read the state again",
                )
            self._write(signers)
            return signers

    def _write(self, signers: Signers) -> None:
        write_private(self._signers_file, signers.model_dump_json(indent=1).encode() + b"\n")

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Of all processes of this machine. Raises HostError."""
        folder = make_folder(self._signers_file.parent)
        try:
            handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise HostError(f"cannot read {folder}: {error.strerror}", "let the user that runs gslb read it") from None
        try:
            fcntl.flock(handle, fcntl.LOCK_EX)
            yield
        finally:
            os.close(handle)

    def verify(self, bundle: Bundle) -> Signer:
        """Who signed `bundle`. Raises RefusedError: rule `unsigned`, `unknown-signer` or `bad-signature`. While the
        file of signers does not read, the last ones that it named are believed."""
        try:
            signers = self.signers()
        except HostError as error:
            if not self._signers.knows(bundle.signer):
                raise RefusedError("unknown-signer", error.message, error.remedy) from error
            signers = self._signers
        return verified_by(bundle, signers)

    def signed(self, bundle: Bundle) -> Bundle:
        """`bundle` with the signature of this machine's control. Raises HostError where it has no key."""
        return signed(bundle, self._private())

    @property
    def has_key(self) -> bool:
        """Whether a control belongs to this machine."""
        return self._key_file.exists()

    def own_id(self) -> str:
        """Of the key of this machine's control. Raises HostError where it has none."""
        return key_id(public_of(self._private()))

    def sign_list(self, signers: Signers) -> bytes:
        """As the store keeps it, signed like a bundle. Raises HostError where this machine has no key."""
        return signed_list(signers, self._private())

    def _private(self) -> PrivateKey:
        if not self._key_file.exists():
            raise HostError(
                f"{self._key_file} is missing: this machine cannot sign what it publishes",
                "put it back from a backup; or restart gslb here, which makes a new one, and let the other machines"
                " believe it",
            )
        text = read_private(self._key_file)
        try:
            octets = bytes.fromhex(text.decode("ascii"))
        except ValueError:
            octets = b""
        if len(octets) != KEY_BYTES:
            raise HostError(f"{self._key_file} is not {2 * KEY_BYTES} hex digits", "put it back from a backup")
        return make_key(octets)
