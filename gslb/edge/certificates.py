"""Certificates for clients: from the files that operators put on this machine to the secrets that Envoy reads.

A pair is handed over only when certificate and key fit together; else Envoy keeps what it has, or, where it has
nothing, gets one that no client takes, so that the other hosts of the listener are served all the same. What is wrong
is told; whether clients are sent here is decided by who looks from outside.
"""

from __future__ import annotations

import base64
import datetime as dt
import json
import shutil
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gslb import clock
from gslb.errors import HostError
from gslb.snapshot.certificates import Facts, of_pem, trouble, unnamed
from gslb.whole_file import write_whole

__all__ = ["CertificateState", "Certificates"]

_TYPE = "type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret"
_LIMIT_BYTES = 256 * 1024
_PLACEHOLDER_DAYS = 3650


@dataclass(frozen=True, slots=True)
class CertificateState:
    """One pair: the hosts that it serves, from when to when it is good (Unix seconds; None: nobody can tell), and what
    is wrong; `unnamed` are the hosts that it does not name, while it is in force."""

    secret: str
    hosts: tuple[str, ...]
    begins_s: float | None
    ends_s: float | None
    problem: str | None
    unnamed: tuple[str, ...] = ()


class Certificates:
    """`source` is where operators put files, `secrets` where Envoy reads, a folder a pair."""

    def __init__(self, source: Path, secrets: Path) -> None:
        self._source, self._secrets = source, secrets
        self._states: tuple[CertificateState, ...] = ()

    @property
    def states(self) -> tuple[CertificateState, ...]:
        """As of the last `hand_over`."""
        return self._states

    def hand_over(self, wanted: Mapping[str, tuple[str, ...]]) -> None:
        """Let Envoy have each pair of `wanted` (`CERT+KEY` to the hosts that it serves), and no others. Files that did
        not change are left alone. Raises HostError where the secrets cannot be written."""
        self._states = tuple(self._one(name, hosts) for name, hosts in sorted(wanted.items()))

    def forget(self, wanted: Mapping[str, tuple[str, ...]]) -> None:
        """Remove private keys that nobody serves with any more."""
        for folder in self._secrets.iterdir() if self._secrets.is_dir() else ():
            if folder.name not in wanted:
                shutil.rmtree(folder, ignore_errors=True)

    def _one(self, name: str, hosts: tuple[str, ...]) -> CertificateState:
        cert_name, _, key_name = name.partition("+")
        pair = self._read(cert_name), self._read(key_name)
        found: Facts | str
        if isinstance(pair[0], bytes) and isinstance(pair[1], bytes):
            found = of_pem(pair[0], pair[1])
            if isinstance(found, Facts):
                self._write(name, pair[0], pair[1])
                now_s = clock.wall_s()
                missing = () if trouble(found, (), now_s) else unnamed(found, hosts)
                problem = trouble(found, hosts, now_s)
                return CertificateState(name, hosts, found.begins_s, found.ends_s, problem, missing)
        else:
            found = next(part for part in pair if isinstance(part, str))
        if not self._file(name).exists():
            self._write(name, *_placeholder())
        return CertificateState(name, hosts, None, None, found)

    def _read(self, name: str) -> bytes | str:
        path = self._source / name
        try:
            with path.open("rb") as file:
                content = file.read(_LIMIT_BYTES + 1)
        except OSError as error:
            return f"{path} cannot be read: {(error.strerror or 'unknown error').lower()}"
        return content if len(content) <= _LIMIT_BYTES else f"{path} is larger than {_LIMIT_BYTES >> 10} KiB"

    def _file(self, name: str) -> Path:
        return self._secrets / name / "secret.json"

    def _write(self, name: str, chain: bytes, key: bytes) -> None:
        secret = {
            "@type": _TYPE,
            "name": name,
            "tls_certificate": {
                "certificate_chain": {"inline_bytes": _base64(chain)},
                "private_key": {"inline_bytes": _base64(key)},
            },
        }
        content = json.dumps({"resources": [secret]}).encode()
        file = self._file(name)
        try:
            file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            if file.exists() and file.read_bytes() == content:
                return
        except OSError as error:
            raise HostError(f"{file} cannot be written: {error.strerror}", "free space, or fix its owner") from error
        write_whole(file, content, mode=0o600)


def _base64(octets: bytes) -> str:
    return base64.b64encode(octets).decode()


def _placeholder() -> tuple[bytes, bytes]:
    """Self-signed, for a name that nobody has."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "gslb: no certificate yet")])
    now = dt.datetime.fromtimestamp(clock.wall_s(), dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=_PLACEHOLDER_DAYS))
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return certificate.public_bytes(pem), private
