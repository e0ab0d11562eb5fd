"""The certificate and key of a role process on disk, and what its machine was told when it joined.

`TRUST/identities/PROCESS/` holds `cert.pem` and `key.pem`, which lead through the link `current` to a folder with one
key and the chain that belongs to it. A renewal turns that link, so that both change at once, and whoever watches the
folder for moves (as Envoy does) sees it. `TRUST` is `trust` in the data folder.
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
from gslb.trust.join import processes_of
from gslb.trust.private_files import make_folder, read_private, write_private
from gslb.trust.spiffe import SpiffeId
from gslb.whole_file import sync_folder

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
CERTIFICATE, KEY, CURRENT = "cert.pem", "key.pem", "current"
MACHINE = "machine.json"


class Control(BaseModel):
    """One control, as other machines reach it: `url` is `https://HOST:PORT`, `spiffe` what it must show there."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    url: str
    spiffe: str


class MachineFile(BaseModel):
    """What a machine knows of itself since it joined. `processes` are its role processes, `address` (host, first port)
    is where their node endpoints are; None: nowhere but on this machine. Of a control: `api` is its URL for the others,
    `store` the store that it was last run with; `every_site`: `sites` are those of the policy that it was last run
    with, and no choice."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    machine: str
    domain: str
    roles: tuple[str, ...]
    sites: tuple[str, ...] = ()
    every_site: bool = False
    address: tuple[str, int] | None = None
    api: str | None = None
    store: str | None = None
    controls: tuple[Control, ...] = ()

    @property
    def processes(self) -> tuple[str, ...]:
        """Its role processes, in the order in which they take ports; no edge before the sites are known."""
        return processes_of([role for role in self.roles if role != "edge" or self.sites], self.sites)


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
        self.folder = trust / "identities" / process
        self.certificate, self.key = self.folder / CERTIFICATE, self.folder / KEY
        self.ca = trust / CA

    def read(self) -> Pair | None:
        """None: there is none yet. Raises HostError where what is there cannot be used."""
        if not self.certificate.exists():
            return None
        try:
            chain, key = certificates_of(self.certificate.read_text()), key_from_pem(read_private(self.key))
            pair = Pair(key, tuple(chain))
            _ = pair.identity
        except (OSError, UnicodeDecodeError, RefusedError) as error:
            why = " ".join(str(error).split())
            raise HostError(f"the certificate in {self.folder} cannot be used: {why}", _REMEDY) from None
        if key.public_key() != pair.chain[0].public_key():
            raise HostError(f"the key in {self.folder} belongs to another certificate", _REMEDY)
        return pair

    def write(self, key: ec.EllipticCurvePrivateKey, chain: str) -> None:
        """Both at once, by turning the link. What was before stays for who has just followed it. Raises HostError."""
        make_folder(self.folder)
        link = self.folder / CURRENT
        before = link.resolve() if link.is_symlink() else None
        new = make_folder(self.folder / f".{secrets.token_hex(8)}")
        write_private(new / KEY, key_to_pem(key))
        write_private(new / CERTIFICATE, chain.encode("ascii"))
        try:
            _turn(link, new.name)
            for file in (KEY, CERTIFICATE):
                if not (self.folder / file).is_symlink():
                    _turn(self.folder / file, f"{CURRENT}/{file}")
        except OSError as error:
            raise HostError(f"cannot write {link}: {error.strerror}", "let its folder be writable") from None
        sync_folder(self.folder)
        self._forget({new.resolve(), before})

    def _forget(self, kept: set[Path | None]) -> None:
        for folder in self.folder.glob(".*"):
            if folder.resolve() not in kept and folder.is_dir() and not folder.is_symlink():
                with contextlib.suppress(OSError):
                    shutil.rmtree(folder)


_REMEDY = "delete the folder; the role gets another from control, or join again: gslb node token --rejoin NAME"


def _turn(link: Path, target: str) -> None:
    """Raises OSError."""
    aside = link.with_name(f".{link.name}.link")
    aside.unlink(missing_ok=True)
    aside.symlink_to(target)
    aside.rename(link)


def write_files(folder: Path, files: Mapping[str, bytes]) -> None:
    """Each under its name in `folder`, for its owner only. Raises HostError."""
    for name, octets in files.items():
        make_folder((folder / name).parent)
        write_private(folder / name, octets)
