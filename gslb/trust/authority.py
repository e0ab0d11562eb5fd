"""The certificate authority: root -> issuer -> leaves (RFC 5280, SPIFFE X.509-SVID), and who a chain says that one is.

The root's key signs issuers and nothing else, so that it may be kept offline; an issuer signs leaves that live for
hours. Of a request (CSR) the public key is taken and nothing else: names are the caller's to give, from its own
records. Pure: times (Unix seconds) and serial numbers come in; where keys rest is not known here.
"""

from __future__ import annotations

import datetime as dt
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gslb.errors import RefusedError
from gslb.trust.spiffe import SpiffeId, parse_spiffe

__all__ = [
    "BACKDATED_S", "IDENTITY_LIFE_S", "ISSUER_LIFE_S", "ROOT_LIFE_S", "SERIAL_BYTES", "Authority", "Subject",
    "certificates_of", "half_life_s", "identity_of", "key_from_pem", "key_of_request", "key_to_pem", "lifetime_s",
    "make_issuer", "make_leaf", "make_request", "make_root", "pem_of", "require_chain", "root_hash",
]  # fmt: skip

DAY_S = 86400.0
ROOT_LIFE_S = 3650 * DAY_S
ISSUER_LIFE_S = 90 * DAY_S
IDENTITY_LIFE_S = DAY_S
BACKDATED_S = 300.0
"""A certificate is good from so long before it was made: clocks of machines differ."""
SERIAL_BYTES = 16
"""Random octets of a serial number; RFC 5280 section 4.1.2.2 allows 20, the CA/Browser Forum asks for 8."""
REQUEST_LIMIT_BYTES = 16 * 1024
CHAIN_LIMIT = 4

_SHA256 = hashes.SHA256()


@dataclass(frozen=True, slots=True)
class Subject:
    """Whose certificate it is, and where it is reached: names and addresses for clients that know no SPIFFE."""

    id: SpiffeId
    dns: tuple[str, ...] = ()
    ips: tuple[IPv4Address | IPv6Address, ...] = ()

    @classmethod
    def of(cls, identity: SpiffeId, hosts: Iterable[str] = ()) -> Subject:
        """Each of `hosts` as what it looks like: an address, or a name."""
        dns: list[str] = []
        ips: list[IPv4Address | IPv6Address] = []
        for host in dict.fromkeys(hosts):
            try:
                ips.append(ip_address(host.strip("[]")))
            except ValueError:
                dns.append(host)
        return cls(identity, tuple(dns), tuple(ips))


@dataclass(frozen=True, slots=True)
class Authority:
    """A certificate that signs others, and its key."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey = field(repr=False)

    def __post_init__(self) -> None:
        assert _spki(self.key.public_key()) == _spki(self.certificate.public_key()), "the key belongs to another"


# Making ---------------------------------------------------------------------------------------------------------------


def make_root(
    key: ec.EllipticCurvePrivateKey, domain: str, serial: bytes, wall_s: float, life_s: float = ROOT_LIFE_S
) -> Authority:
    """A root that signs itself. It may have one CA below it."""
    name = _name(f"gslb root of {domain}")
    builder = _builder(name, name, key.public_key(), serial, (wall_s, wall_s + life_s))
    return Authority(_as_ca(builder, 1).sign(key, _SHA256), key)


def make_issuer(
    root: Authority, key: ec.EllipticCurvePrivateKey, domain: str, serial: bytes, wall_s: float
) -> Authority:
    """A CA below `root` for leaves alone, no longer alive than the root. Raises RefusedError, rule `expired`."""
    until_s = _within(root.certificate, wall_s, ISSUER_LIFE_S)
    called = x509.SubjectKeyIdentifier.from_public_key(key.public_key()).digest.hex()[:8]  # no two are called alike
    name = _name(f"gslb issuer {called} of {domain}")
    builder = _builder(name, root.certificate.subject, key.public_key(), serial, (wall_s, until_s))
    return Authority(_known_by(_as_ca(builder, 0), root).sign(root.key, _SHA256), key)


def make_leaf(
    issuer: Authority, public: ec.EllipticCurvePublicKey, subject: Subject, serial: bytes, wall_s: float, life_s: float
) -> x509.Certificate:
    """A certificate for both ends of TLS, with exactly one URI among its names, no longer alive than the issuer.

    Raises RefusedError, rule `expired`.
    """
    until_s = _within(issuer.certificate, wall_s, life_s)
    builder = _builder(_name(subject.id.uri), issuer.certificate.subject, public, serial, (wall_s, until_s))
    alternatives = [
        x509.UniformResourceIdentifier(subject.id.uri),
        *map(x509.DNSName, subject.dns),
        *map(x509.IPAddress, subject.ips),
    ]
    uses = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
    builder = (
        builder.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage(uses), critical=False)
        .add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    )
    return _known_by(builder, issuer).sign(issuer.key, _SHA256)


def make_request(key: ec.EllipticCurvePrivateKey) -> str:
    """A CSR that names nobody, as PEM: it proves that who asks has the key (RFC 2986)."""
    return _pem(x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).sign(key, _SHA256))


def key_of_request(pem: str) -> ec.EllipticCurvePublicKey:
    """The public key of a CSR, proven to be the asker's. Raises RefusedError, rule `csr`: no CSR, another kind of key
    than P-256, or a signature that does not fit."""
    try:
        request = x509.load_pem_x509_csr(pem[:REQUEST_LIMIT_BYTES].encode("ascii"))
        public, proven = request.public_key(), request.is_signature_valid
    except Exception:  # noqa: BLE001 - whatever a parser meets in what a stranger sent
        raise _bad_request("it does not read as a CSR in PEM") from None
    if not isinstance(public, ec.EllipticCurvePublicKey) or not isinstance(public.curve, ec.SECP256R1):
        raise _bad_request("its key is not of the curve P-256")
    if not proven:
        raise _bad_request("its signature does not belong to its key")
    return public


# Reading --------------------------------------------------------------------------------------------------------------


def pem_of(*certificates: x509.Certificate) -> str:
    return "".join(_pem(certificate) for certificate in certificates)


def certificates_of(pem: str) -> Sequence[x509.Certificate]:
    """Raises RefusedError, rule `certificate`, where these are not certificates in PEM."""
    try:
        return x509.load_pem_x509_certificates(pem.encode("ascii"))
    except ValueError:
        what = "it does not read as certificates in PEM"
        raise RefusedError("certificate", what, "give the file that gslb wrote") from None


def key_to_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    """Not encrypted: the caller sees to who may read it."""
    form = serialization.PrivateFormat.PKCS8
    return key.private_bytes(serialization.Encoding.PEM, form, serialization.NoEncryption())


def key_from_pem(pem: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises RefusedError, rule `key`, where it is no private key of P-256, or an encrypted one."""
    try:
        key = serialization.load_pem_private_key(pem, None)
    except (ValueError, TypeError):
        key = None
    if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(key.curve, ec.SECP256R1):
        raise RefusedError("key", "this is no private key of the curve P-256 in PEM", "give the file that gslb wrote")
    return key


def root_hash(root: x509.Certificate) -> bytes:
    """SHA-256 of the whole certificate: by it a join token names the root that it believes."""
    return root.fingerprint(_SHA256)


def lifetime_s(certificate: x509.Certificate) -> tuple[float, float]:
    """From when until when it is good."""
    return certificate.not_valid_before_utc.timestamp(), certificate.not_valid_after_utc.timestamp()


def half_life_s(certificate: x509.Certificate) -> float:
    """When to renew it: once half of what it had to live, from when it was made, is over."""
    from_s, until_s = lifetime_s(certificate)
    return (min(from_s + BACKDATED_S, until_s) + until_s) / 2


def identity_of(certificate: x509.Certificate) -> SpiffeId:
    """Whose it is. Raises RefusedError, rule `spiffe-id`, unless it has exactly one URI that is one of our ids (SPIFFE
    X.509-SVID section 2)."""
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except (x509.ExtensionNotFound, ValueError):
        uris = []
    if len(uris) != 1:
        raise RefusedError("spiffe-id", "the certificate has not exactly one SPIFFE id", "use one that gslb issued")
    return parse_spiffe(uris[0])


def require_chain(chain: Sequence[x509.Certificate], roots: Sequence[x509.Certificate], wall_s: float) -> SpiffeId:
    """Whose chain it is, leaf first, if it was good at `wall_s` and leads to one of `roots`.

    TLS does this by itself; this is for chains that come in a message, and for a time that is not now. Raises
    RefusedError, rule `chain`.
    """
    if not chain or len(chain) > CHAIN_LIMIT:
        raise _bad_chain("it is empty, or too long")
    leaf = chain[0]
    certificate, path_length = leaf, 0
    while True:
        from_s, until_s = lifetime_s(certificate)
        if not from_s <= wall_s <= until_s:
            raise _bad_chain(f"{_common_name(certificate)} was not good at that time")
        if certificate in roots:
            break
        signer = next((one for one in (*chain[1:], *roots) if _signed(certificate, one, path_length)), None)
        if signer is None:
            raise _bad_chain(f"nobody who is believed has signed {_common_name(certificate)}")
        certificate, path_length = signer, path_length + 1
    if _is_ca(leaf, 0):
        raise _bad_chain("its first certificate is an authority's")
    return identity_of(leaf)


# Parts ----------------------------------------------------------------------------------------------------------------


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey, serial: bytes, life: tuple[float, float]
) -> x509.CertificateBuilder:
    assert len(serial) == SERIAL_BYTES
    from_s, until_s = life
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(int.from_bytes(serial) | 1)
        .not_valid_before(_time(from_s - BACKDATED_S))
        .not_valid_after(_time(until_s))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _as_ca(builder: x509.CertificateBuilder, path_length: int) -> x509.CertificateBuilder:
    return builder.add_extension(x509.BasicConstraints(ca=True, path_length=path_length), critical=True).add_extension(
        _usage(signs_certificates=True), critical=True
    )


def _known_by(builder: x509.CertificateBuilder, signer: Authority) -> x509.CertificateBuilder:
    known = signer.certificate.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
    named = x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(known)
    return builder.add_extension(named, critical=False)


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _within(signer: x509.Certificate, wall_s: float, life_s: float) -> float:
    """When what `signer` signs at `wall_s` ends."""
    _, until_s = lifetime_s(signer)
    if wall_s >= until_s:
        raise RefusedError(
            "expired",
            f"{_common_name(signer)} is good no more, and signs nothing",
            "on a control machine: gslb identity renew-issuer --root-key FILE",
        )
    return min(wall_s + life_s, until_s)


def _signed(certificate: x509.Certificate, signer: x509.Certificate, path_length: int) -> bool:
    """Whether `signer` may and did sign it. `path_length`: the CAs between it and the leaf."""
    if not _is_ca(signer, path_length) or certificate.issuer != signer.subject:
        return False
    try:
        certificate.verify_directly_issued_by(signer)
    except (InvalidSignature, ValueError, TypeError):
        return False
    return True


def _is_ca(certificate: x509.Certificate, path_length: int) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value
    except (x509.ExtensionNotFound, ValueError):
        return False
    allowed = constraints.path_length
    return constraints.ca and (allowed is None or path_length <= allowed)


def _name(common: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common[:64])])  # RFC 5280 appendix A.1, ub-common-name


def _common_name(certificate: x509.Certificate) -> str:
    return certificate.subject.rfc4514_string().removeprefix("CN=")


def _time(wall_s: float) -> dt.datetime:
    return dt.datetime.fromtimestamp(int(wall_s), dt.UTC)


def _pem(one: x509.Certificate | x509.CertificateSigningRequest) -> str:
    return one.public_bytes(serialization.Encoding.PEM).decode("ascii")


def _spki(public: object) -> bytes:
    assert isinstance(public, ec.EllipticCurvePublicKey)
    return public.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)


def _bad_request(why: str) -> RefusedError:
    return RefusedError("csr", f"this request for a certificate cannot be taken: {why}", "let gslb make it")


def _bad_chain(why: str) -> RefusedError:
    return RefusedError("chain", f"this chain of certificates is not believed: {why}", "join again: gslb node token")
