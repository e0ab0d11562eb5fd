"""The certificate and key of a role process on disk, and what its machine was told when it joined.

`TRUST/identities/PROCESS` is a link to a folder that holds one key and the chain that belongs to it: whoever opens the
two by that path gets a pair that fits, at any moment of a renewal. `TRUST` is `trust` in the data folder.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from pydantic import BaseModel, ConfigDict, ValidationError

from gslb.errors import HostError, RefusedError
from gslb.trust.authority import certificates_of, half_life_s, identity_of, key_from_pem, key_to_pem, lifetime_s
from gslb.trust.private_files import make_folder, read_private, sync_folder, write_private
from gslb.trust.spiffe import SpiffeId

__all__ = [
    "CA",
    "Control",
    "IdentityFolder",
    "MachineFile",
    "Pair",
    "read_machine",
    "trust_folder",
    "write_files",
    "write_machine",
]

CA = "ca.pem"
CERTIFICATE, KEY = "cert.pem", "key.pem"
MACHINE = "machine.json"


class Control(BaseModel):
    """One control, as other machines reach it: `url` is `https://HOST:PORT`, `spiffe` what it must show there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    spiffe: str


class MachineFile(BaseModel):
    """What a machine knows of itself since it joined. `processes` are its role processes, `address` (host, first port)
    is where their node endpoints are; None: nowhere but on this machine. Of a control: `api` is its URL for the others,
    `store` the store that it was last run with."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    machine: str
    domain: str
    roles: tuple[str, ...]
    sites: tuple[str, ...] = ()
    address: tuple[str, int] | None = None
    api: str | None = None
    store: str | None = None
    controls: tuple[Control, ...] = ()


def trust_folder(data: Path) -> Path:
    return data / "trust"


def read_machine(trust: Path) -> MachineFile | None:
    """None: this machine has not joined anything. Raises HostError where the file does not read."""
    path = trust / MACHINE
    try:
        return MachineFile.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError) as error:
        why = getattr(error, "strerror", None) or "it is damaged"
        raise HostError(f"{path} cannot be read: {why}", "join again: gslb node token --rejoin NAME") from None


def write_machine(trust: Path, machine: MachineFile) -> None:
    """Raises HostError."""
    write_private(trust / MACHINE, machine.model_dump_json(indent=1).encode() + b"\n")


@dataclass(frozen=True, slots=True)
class Pair:
    """A key and its chain, leaf first."""

    key: ec.EllipticCurvePrivateKey = field(repr=False)
    chain: tuple[x509.Certificate, ...] = field(repr=False)

    @property
    def identity(self) -> SpiffeId:
        return identity_of(self.chain[0])

    @property
    def ends_s(self) -> float:
        return lifetime_s(self.chain[0])[1]

    @property
    def due_s(self) -> float:
        """When to ask for the next one."""
        return half_life_s(self.chain[0])


class IdentityFolder:
    """Of one role process."""

    def __init__(self, trust: Path, process: str) -> None:
        self._identities = trust / "identities"
        self._link = self._identities / process
        self.certificate, self.key = self._link / CERTIFICATE, self._link / KEY
        self.ca = trust / CA

    def read(self) -> Pair | None:
        """None: there is none yet. Raises HostError where what is there cannot be used."""
        if not self._link.exists():
            return None
        try:
            chain, key = certificates_of(self.certificate.read_text()), key_from_pem(read_private(self.key))
            pair = Pair(key, tuple(chain))
            _ = pair.identity
        except (OSError, UnicodeDecodeError, RefusedError) as error:
            raise HostError(
                f"the certificate in {self._link} cannot be used: {' '.join(str(error).split())}",
                "delete the link; the role gets another from control, or join again: gslb node token --rejoin NAME",
            ) from None
        if key.public_key() != pair.chain[0].public_key():
            raise HostError(f"the key in {self._link} belongs to another certificate", "delete the link")
        return pair

    def write(self, key: ec.EllipticCurvePrivateKey, chain: str) -> None:
        """Both at once, by turning the link. The one before stays for who has just followed it. Raises HostError."""
        make_folder(self._identities)
        before = self._link.resolve() if self._link.is_symlink() else None
        new = self._identities / f".{self._link.name}.{secrets.token_hex(8)}"
        make_folder(new)
        write_private(new / KEY, key_to_pem(key))
        write_private(new / CERTIFICATE, chain.encode("ascii"))
        aside = self._identities / f".{self._link.name}.link"
        try:
            aside.unlink(missing_ok=True)
            aside.symlink_to(new.name)
            aside.rename(self._link)
            sync_folder(self._identities)
        except OSError as error:
            raise HostError(f"cannot write {self._link}: {error.strerror}", "let its folder be writable") from None
        self._forget({new, before})

    def _forget(self, kept: set[Path | None]) -> None:
        for folder in self._identities.glob(f".{self._link.name}.*"):
            if folder not in kept and folder.is_dir() and not folder.is_symlink():
                with contextlib.suppress(OSError):
                    shutil.rmtree(folder)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Each under its name in `folder`, for its owner only. Raises HostError."""
    for name, octets in files.items():
        make_folder((folder / name).parent)
        write_private(folder / name, octets)
