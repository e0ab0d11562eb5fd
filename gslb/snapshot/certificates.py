"""What a certificate says that matters here: from when to when, for which names, with which key. Pure.

Whether its issuer is trusted is the clients' business; who hands it to an Envoy is the edge's.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import serialization

__all__ = ["Facts", "covers", "of_der", "of_pem", "trouble", "unnamed"]

_FORM = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo


@dataclass(frozen=True, slots=True)
class Facts:
    """Times are Unix seconds; `names` are lower-case, `*.` in front of a wildcard; `public` is the key as DER."""

    begins_s: float
    ends_s: float
    names: tuple[str, ...]
    public: bytes


def of_der(octets: bytes) -> Facts | None:
    """None where it cannot be read."""
    try:
        return _facts(x509.load_der_x509_certificate(octets))
    except (ValueError, UnsupportedAlgorithm):
        return None


def of_pem(chain: bytes, key: bytes) -> Facts | str:
    """The first certificate of `chain`, whose private key must be `key` (both PEM), or why it is of no use."""
    try:
        facts = _facts(x509.load_pem_x509_certificates(chain)[0])
    except (ValueError, IndexError, UnsupportedAlgorithm):
        return "the certificate cannot be read; it must be PEM, followed by its chain"
    try:
        private = serialization.load_pem_private_key(key, None)
    except TypeError:
        return "the key has a passphrase, which nobody could type here"
    except (ValueError, UnsupportedAlgorithm):
        return "the key cannot be read; it must be PEM"
    public = private.public_key().public_bytes(*_FORM)
    return facts if public == facts.public else "the key is not that of the certificate"


def covers(facts: Facts, host: str) -> bool:
    """Whether a client that asked for `host` takes the certificate (RFC 6125 section 6.4): a wildcard is one label."""
    name = host.lower()
    return name in facts.names or f"*.{name.partition('.')[2]}" in facts.names


def trouble(facts: Facts, hosts: Iterable[str], wall_s: float) -> str | None:
    """Why clients would refuse it at `wall_s` for one of `hosts`; None: they would not for these reasons."""
    if wall_s < facts.begins_s:
        return "the certificate is not in force yet"
    if wall_s >= facts.ends_s:
        return "the certificate is over"
    missing = unnamed(facts, hosts)
    return f"the certificate does not name {missing[0]}" if missing else None


def unnamed(facts: Facts, hosts: Iterable[str]) -> tuple[str, ...]:
    """Those of `hosts` for which clients would not take it."""
    return tuple(host for host in hosts if not covers(facts, host))


def _facts(certificate: x509.Certificate) -> Facts:
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        dns = tuple(name.lower() for name in names.get_values_for_type(x509.DNSName))
    except (x509.ExtensionNotFound, ValueError):
        dns = ()
    return Facts(
        certificate.not_valid_before_utc.timestamp(),
        certificate.not_valid_after_utc.timestamp(),
        dns,
        certificate.public_key().public_bytes(*_FORM),
    )
