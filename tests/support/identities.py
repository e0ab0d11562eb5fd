"""Certificates as an installation would give to its edges, made by the test: one authority, leaves with a SPIFFE id."""

from __future__ import annotations

import datetime as dt
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gslb.trust.identity_files import IdentityFolder

NOW = dt.datetime.now(dt.UTC)


class Authority:
    """`give` puts a certificate and key where the edge role looks for them; a later one replaces it whole."""

    def __init__(self, folder: Path, domain: str = "gslb.test") -> None:
        self.trust, self.domain = folder, domain
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "test root")])
        constraints = x509.BasicConstraints(ca=True, path_length=None)
        root = self._builder(self._name, self._key).add_extension(constraints, critical=True)
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "ca.pem").write_bytes(_pem(root.sign(self._key, hashes.SHA256())))

    def give(self, process: str, spiffe: str) -> Path:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, process)])
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.CLIENT_AUTH, ExtendedKeyUsageOID.SERVER_AUTH])
        uri = x509.SubjectAlternativeName([x509.UniformResourceIdentifier(f"spiffe://{self.domain}/{spiffe}")])
        leaf = self._builder(name, key).add_extension(usage, critical=False).add_extension(uri, critical=False)
        given = IdentityFolder(self.trust, process)
        given.write(key, _pem(leaf.sign(self._key, hashes.SHA256())).decode())
        return given.folder

    def _builder(self, name: x509.Name, key: ec.EllipticCurvePrivateKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(NOW - dt.timedelta(hours=1))
            .not_valid_after(NOW + dt.timedelta(days=1))
        )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(Encoding.PEM)
