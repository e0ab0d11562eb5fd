"""The API on a real TCP port of 127.0.7.x, with tokens of every kind in force."""

from __future__ import annotations

import datetime as dt
import ipaddress
import ssl

import aiohttp
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gslb.control.http.api import build_app
from gslb.control.tokens import create, hash_of, secret_of
from gslb.roles.api_listener import serve_tcp
from gslb.snapshot.intent import Token
from tests.unit.control.world import MemoryPublisher, by, intent

SECRETS = {
    name: secret_of(bytes([number]) * 32) for number, name in enumerate(("viewer", "operator", "admin", "shop", "acme"))
}


def with_tokens():
    made = intent()
    for name, secret in SECRETS.items():
        role, apps = ("operator", ("shop",)) if name == "shop" else (name, ())
        made = create(made, Token(name=name, hash=hash_of(secret), role=role, apps=apps, by=by()), by().at_s)
    return made


def bearer(name):
    return {"Authorization": f"Bearer {SECRETS[name]}"}


@pytest.fixture
def publisher():
    return MemoryPublisher(with_tokens())


@pytest.fixture
async def address(publisher):
    """(host, port) of the API as on loopback."""
    listener = await serve_tcp(build_app(publisher, "loopback"), "127.0.7.1", 0)
    yield listener.address
    await listener.cleanup()


@pytest.fixture
async def api(address):
    async with aiohttp.ClientSession(f"http://{address[0]}:{address[1]}") as session:
        yield session


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    return make_certificate(tmp_path_factory.mktemp("certificate"))


def make_certificate(folder):
    """(certificate file, key file), of 127.0.7.2, trusted by whoever trusts the file."""
    folder.mkdir(exist_ok=True)
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "gslb test")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.7.2")), x509.DNSName("localhost")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name).issuer_name(name).public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(hours=1)).not_valid_after(now + dt.timedelta(hours=1))
        .add_extension(names, critical=False).add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    (folder / "api.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "api.key").write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "api.pem", folder / "api.key"


@pytest.fixture
def trusting(certificate):
    return ssl.create_default_context(cafile=certificate[0])
