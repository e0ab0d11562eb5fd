"""Certificates for tests: an authority, and leaves of it for any names and times."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

NOW = dt.datetime.now(dt.UTC)
PEM = serialization.Encoding.PEM


class Authority:
    def __init__(self) -> None:
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "test authority")])
        self._serial = 100
        builder = self._builder(self._name, self._key, 30).add_extension(
            x509.BasicConstraints(ca=True, path_length=0), critical=True
        )
        self.certificate = builder.sign(self._key, hashes.SHA256())

    def pem(self) -> bytes:
        return self.certificate.public_bytes(PEM)

    def leaf(self, *names: str, days: float = 10, since_days: float = -1) -> tuple[bytes, bytes]:
        """Certificate and key, PEM."""
        key = ec.generate_private_key(ec.SECP256R1())
        builder = self._builder(x509.Name([]), key, days, since_days)
        alternative = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
        certificate = builder.add_extension(alternative, critical=True).sign(self._key, hashes.SHA256())
        private = key.private_bytes(PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
        return certificate.public_bytes(PEM), private

    def _builder(self, subject, key, days: float, since_days: float = -1):
        self._serial += 1
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(self._serial)
            .not_valid_before(NOW + dt.timedelta(days=since_days))
            .not_valid_after(NOW + dt.timedelta(days=days))
        )


def put(folder: Path, name: str, pair: tuple[bytes, bytes]) -> None:
    """`NAME.crt` and `NAME.key`, replaced one after the other, as people do it."""
    folder.mkdir(exist_ok=True)
    for suffix, content in zip(("crt", "key"), pair, strict=True):
        (folder / f"{name}.{suffix}").write_bytes(content)
