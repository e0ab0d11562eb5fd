"""Root, issuer, leaf and requests: what stands in them, and who is believed. OpenSSL has the second opinion."""

from __future__ import annotations

import subprocess
from ipaddress import ip_address

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from gslb.errors import RefusedError
from gslb.trust import authority
from gslb.trust.authority import (
    BACKDATED_S,
    IDENTITY_LIFE_S,
    ISSUER_LIFE_S,
    Authority,
    Subject,
    certificates_of,
    half_life_s,
    identity_of,
    key_from_pem,
    key_of_request,
    key_to_pem,
    lifetime_s,
    make_request,
    pem_of,
    require_chain,
    root_hash,
)
from tests.unit.trust.certificates import DAY_S, NOW_S, issuer, key, leaf, root

SHA256 = hashes.SHA256()


def extension(certificate, kind):
    return certificate.extensions.get_extension_for_class(kind)


def openssl(tmp_path, certificate, middle, top, wall_s, *options):
    files = []
    for name, one in (("top", top), ("middle", middle), ("leaf", certificate)):
        path = tmp_path / f"{name}.pem"
        path.write_text(pem_of(one))
        files.append(str(path))
    done = subprocess.run(
        ["openssl", "verify", "-x509_strict", "-attime", str(int(wall_s)), *options, "-CAfile", files[0],
         "-untrusted", files[1], files[2]],
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    return done.returncode == 0, done.stdout + done.stderr


def test_openssl_believes_the_chain_for_both_ends_while_it_lives(tmp_path):
    top, middle = root(), issuer()
    certificate = leaf(hosts=["ns1.example.com", "192.0.2.1", "[2001:db8::1]"])
    for purpose in ("sslserver", "sslclient"):
        good, said = openssl(tmp_path, certificate, middle.certificate, top.certificate, NOW_S, "-purpose", purpose)
        assert good, said
    for option in (("-verify_hostname", "ns1.example.com"), ("-verify_ip", "192.0.2.1"), ("-verify_ip", "2001:db8::1")):
        assert openssl(tmp_path, certificate, middle.certificate, top.certificate, NOW_S, *option)[0]
    assert not openssl(tmp_path, certificate, middle.certificate, top.certificate, NOW_S, "-verify_ip", "192.0.2.2")[0]
    for wall_s in (NOW_S - BACKDATED_S - 1, NOW_S + IDENTITY_LIFE_S + 1):
        assert not openssl(tmp_path, certificate, middle.certificate, top.certificate, wall_s)[0]
    assert not openssl(tmp_path, certificate, middle.certificate, root(number=5).certificate, NOW_S)[0]


def test_openssl_lets_no_leaf_and_no_second_issuer_sign(tmp_path):
    top, middle = root(), issuer()
    false = Authority(leaf(), key(2))
    assert not openssl(
        tmp_path, leaf(of=false, number=3), false.certificate, middle.certificate, NOW_S, "-partial_chain"
    )[0]
    deeper = issuer(of=middle, number=6)
    low = leaf(of=deeper)
    path = tmp_path / "chain.pem"
    path.write_text(pem_of(middle.certificate, deeper.certificate))
    assert not openssl(tmp_path, low, middle.certificate, top.certificate, NOW_S, "-untrusted", str(path))[0]
    with pytest.raises(RefusedError, match="nobody who is believed"):
        require_chain([low, deeper.certificate, middle.certificate], [top.certificate], NOW_S)


def test_what_stands_in_a_leaf():
    certificate = leaf(hosts=["ns1.example.com", "ns1.example.com", "192.0.2.1"])
    names = extension(certificate, x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.UniformResourceIdentifier) == ["spiffe://gslb.example.com/m1/dns"]
    assert names.get_values_for_type(x509.DNSName) == ["ns1.example.com"]
    assert names.get_values_for_type(x509.IPAddress) == [ip_address("192.0.2.1")]
    constraints = extension(certificate, x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca) == (True, False)
    usage = extension(certificate, x509.KeyUsage)
    assert (usage.critical, usage.value.digital_signature, usage.value.key_cert_sign) == (True, True, False)
    assert set(extension(certificate, x509.ExtendedKeyUsage).value) == {
        ExtendedKeyUsageOID.SERVER_AUTH,
        ExtendedKeyUsageOID.CLIENT_AUTH,
    }
    above = extension(issuer().certificate, x509.SubjectKeyIdentifier).value
    assert extension(certificate, x509.AuthorityKeyIdentifier).value.key_identifier == above.key_identifier
    assert extension(certificate, x509.SubjectKeyIdentifier).value.digest
    assert lifetime_s(certificate) == (NOW_S - BACKDATED_S, NOW_S + IDENTITY_LIFE_S)
    assert half_life_s(certificate) == NOW_S + IDENTITY_LIFE_S / 2


@pytest.mark.parametrize(("made", "path_length"), [(root, 1), (issuer, 0)])
def test_what_stands_in_an_authority(made, path_length):
    certificate = made().certificate
    constraints = extension(certificate, x509.BasicConstraints)
    assert (constraints.critical, constraints.value.ca, constraints.value.path_length) == (True, True, path_length)
    usage = extension(certificate, x509.KeyUsage)
    assert (usage.critical, usage.value.key_cert_sign, usage.value.digital_signature) == (True, True, False)
    with pytest.raises(x509.ExtensionNotFound):
        extension(certificate, x509.ExtendedKeyUsage)


def test_nobody_outlives_who_signed_it():
    assert lifetime_s(leaf(wall_s=NOW_S + ISSUER_LIFE_S - 60, of=issuer()))[1] == NOW_S + ISSUER_LIFE_S
    short = root(life_s=DAY_S)
    assert lifetime_s(issuer(of=short).certificate)[1] == NOW_S + DAY_S
    with pytest.raises(RefusedError, match=r"renew-issuer --root-key"):
        leaf(wall_s=NOW_S + ISSUER_LIFE_S, of=issuer())
    with pytest.raises(RefusedError, match="expired"):
        issuer(NOW_S + DAY_S, of=short)


def test_a_certificate_that_lives_shorter_than_clocks_may_differ_is_renewed_at_once():
    certificate = leaf(life_s=10)
    assert NOW_S <= half_life_s(certificate) <= NOW_S + 10


# Requests -------------------------------------------------------------------------------------------------------------


def test_a_request_proves_the_key_and_names_nobody():
    pem = make_request(key(4))
    assert key_of_request(pem) == key(4).public_key()
    assert not list(x509.load_pem_x509_csr(pem.encode()).subject)


def request(private, name="x", algorithm=SHA256):
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    names = x509.SubjectAlternativeName([x509.UniformResourceIdentifier("spiffe://gslb.example.com/m1/control")])
    made = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    return made.sign(private, algorithm)


def pem(made):
    return made.public_bytes(serialization.Encoding.PEM).decode()


def test_names_in_a_request_go_nowhere():
    public = key_of_request(pem(request(key(4), "root")))
    made = authority.make_leaf(issuer(), public, Subject(identity_of(leaf())), bytes(16), NOW_S, DAY_S)
    assert identity_of(made).uri.endswith("/m1/dns")
    assert "control" not in str(made.extensions)


def test_a_request_that_proves_nothing():
    good = request(key(4)).public_bytes(serialization.Encoding.DER)
    other = request(key(5)).public_bytes(serialization.Encoding.DER)
    at = good.index(key(4).public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint))  # fmt: skip
    point = key(5).public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint)  # fmt: skip
    assert other
    forged = x509.load_der_x509_csr(good[:at] + point + good[at + len(point) :])
    with pytest.raises(RefusedError, match="signature does not belong"):
        key_of_request(pem(forged))


@pytest.mark.parametrize(
    ("made", "why"),
    [
        (lambda: "", "does not read"),
        (lambda: "x" * 100_000, "does not read"),
        (lambda: "ü", "does not read"),
        (lambda: pem_of(leaf()), "does not read"),
        (lambda: make_request(key(4))[:-60], "does not read"),
        (lambda: pem(request(ec.generate_private_key(ec.SECP384R1()))), "P-256"),
        (lambda: pem(request(rsa.generate_private_key(65537, 2048))), "P-256"),
        (lambda: pem(request(ed25519.Ed25519PrivateKey.generate(), algorithm=None)), "P-256"),
    ],
)
def test_requests_that_are_refused(made, why):
    with pytest.raises(RefusedError, match=why) as told:
        key_of_request(made())
    assert told.value.rule == "csr"


# Reading --------------------------------------------------------------------------------------------------------------


def test_keys_and_certificates_as_text():
    assert key_to_pem(key_from_pem(key_to_pem(key()))) == key_to_pem(key())
    chain = [leaf(), issuer().certificate]
    assert certificates_of(pem_of(*chain)) == chain
    for text in ("", "x", "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"):
        with pytest.raises(RefusedError, match="certificate"):
            certificates_of(text)
    encrypted = key().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x"))  # fmt: skip
    other = ed25519.Ed25519PrivateKey.generate().private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())  # fmt: skip
    wide = key_to_pem(ec.generate_private_key(ec.SECP384R1()))
    for octets in (b"", b"x", encrypted, other, wide):
        with pytest.raises(RefusedError, match="P-256"):
            key_from_pem(octets)


def test_a_key_is_in_no_repr():
    assert "key" not in repr(root())
    assert len(root_hash(root().certificate)) == 32


def test_an_id_is_the_only_one():
    with pytest.raises(RefusedError, match="exactly one"):
        identity_of(root().certificate)
    builder = (
        x509.CertificateBuilder().subject_name(x509.Name([])).issuer_name(x509.Name([])).public_key(key().public_key())
        .serial_number(1).not_valid_before(authority._time(NOW_S)).not_valid_after(authority._time(NOW_S + 1))
    )  # fmt: skip
    uris = [x509.UniformResourceIdentifier(f"spiffe://gslb.example.com/m1/{role}") for role in ("dns", "control")]
    two = builder.add_extension(x509.SubjectAlternativeName(uris), critical=False).sign(key(), hashes.SHA256())
    with pytest.raises(RefusedError, match="exactly one"):
        identity_of(two)


# Chains that come in a message ----------------------------------------------------------------------------------------


def test_a_chain_is_believed_at_the_time_that_is_asked_about():
    top, middle = root(), issuer()
    chain, roots = [leaf(), middle.certificate], [root(number=5).certificate, top.certificate]
    assert require_chain(chain, roots, NOW_S).process == "dns"
    assert require_chain([*chain, top.certificate], roots, NOW_S + IDENTITY_LIFE_S).process == "dns"
    for wall_s in (NOW_S - BACKDATED_S - 1, NOW_S + IDENTITY_LIFE_S + 1):
        with pytest.raises(RefusedError, match="not good at that time"):
            require_chain(chain, roots, wall_s)


@pytest.mark.parametrize(
    ("chain", "roots", "why"),
    [
        (list, lambda: [root()], "empty"),
        (lambda: [leaf()] * 5, lambda: [root()], "too long"),
        (lambda: [leaf()], lambda: [root()], "nobody who is believed"),
        (lambda: [leaf(), issuer().certificate], lambda: [root(number=5)], "nobody who is believed"),
        (lambda: [leaf(), issuer().certificate], list, "nobody who is believed"),
        (lambda: [leaf(), issuer(number=6).certificate], lambda: [root()], "nobody who is believed"),
        (lambda: [issuer().certificate], lambda: [root()], "is an authority"),
        (lambda: [leaf(of=Authority(leaf(number=3), key(3)), number=4), leaf(number=3), issuer().certificate],
         lambda: [root()], "nobody who is believed"),
    ],
)  # fmt: skip
def test_chains_that_are_not_believed(chain, roots, why):
    with pytest.raises(RefusedError, match=why) as told:
        require_chain(chain(), [one.certificate for one in roots()], NOW_S)
    assert told.value.rule == "chain"


def test_who_is_no_authority_whatever_it_says():
    builder = (
        x509.CertificateBuilder().subject_name(issuer().certificate.subject).issuer_name(root().certificate.subject)
        .public_key(key(1).public_key()).serial_number(1)
        .not_valid_before(authority._time(NOW_S - 600)).not_valid_after(authority._time(NOW_S + 600))
    )  # fmt: skip
    plain = builder.sign(key(0), hashes.SHA256())
    with pytest.raises(RefusedError, match="nobody who is believed"):
        require_chain([leaf(), plain], [root().certificate], NOW_S)
