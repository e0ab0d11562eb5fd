"""Looks at what addresses show on the web for a name: the certificate on the https port, the answer to GET /.

What it means is decided elsewhere. Nothing of the requests identifies anybody, and nothing is followed or stored.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import ssl
from collections.abc import Mapping
from typing import NamedTuple

import aiohttp
from cryptography import x509
from cryptography.x509.oid import ExtensionOID, NameOID

from gslb.model.words import format_endpoint
from gslb.outside.asking import UNROUTABLE
from gslb.outside.cutover_seen import AnswerSeen, CertificateSeen
from gslb.outside.delegation_seen import Failure
from gslb.outside.findings import printable

__all__ = ["HTTPS_PORT", "look_at_answer", "look_at_certificate"]

HTTPS_PORT = 443
LIMIT_S = 4.0
BODY_BYTES = 65_536
NOBODY = "nobody.invalid"
"""A host that no policy can have (RFC 2606 section 2)."""


async def look_at_certificate(address: str, name: str, port: int = HTTPS_PORT) -> CertificateSeen:
    """The certificate that `address` shows to whom asks for `name` (SNI)."""
    try:
        try:
            data, distrust = await _handshake(address, port, name, ssl.create_default_context()), ""
        except ssl.SSLCertVerificationError as error:
            distrust = error.verify_message
            data = await _handshake(address, port, name, _trusting())
        certificate = x509.load_der_x509_certificate(data)
    except (OSError, TimeoutError, EOFError, ValueError) as error:
        return CertificateSeen(address, _failure(error, f"port {port}"))
    return CertificateSeen(
        address,
        names=_names(certificate),
        issuer=_organisation(certificate),
        until_s=certificate.not_valid_after_utc.timestamp(),
        distrust=distrust,
    )


async def look_at_answer(address: str, port: int, name: str) -> AnswerSeen:
    """`GET /` for `name`, beside the same for a host that nobody has."""
    url = f"http://{format_endpoint(address, port)}/"
    timeout = aiohttp.ClientTimeout(total=LIMIT_S)
    try:
        async with aiohttp.ClientSession(timeout=timeout, auto_decompress=False) as session:
            given, other = await asyncio.gather(_get(session, url, name), _get(session, url, NOBODY))
    except (OSError, TimeoutError, aiohttp.ClientError) as error:
        return AnswerSeen(address, port, _failure(error, f"port {port}"))
    return AnswerSeen(address, port, status=given.status, nobodys=given == other)


class _Reply(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: bytes


async def _get(session: aiohttp.ClientSession, url: str, host: str) -> _Reply:
    """What does not change from one request to the next."""
    async with session.get(url, headers={"Host": host}, allow_redirects=False) as response:
        headers = {key.lower(): value for key, value in response.headers.items() if key.lower() != "date"}
        return _Reply(response.status, headers, await response.content.read(BODY_BYTES))


def _trusting() -> ssl.SSLContext:
    """Takes every certificate: it is looked at, nothing is sent."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


async def _handshake(address: str, port: int, name: str, context: ssl.SSLContext) -> bytes:
    """The certificate in DER. Its names are judged later, with everything else."""
    context.check_hostname = False
    async with asyncio.timeout(LIMIT_S):
        _, writer = await asyncio.open_connection(address, port, ssl=context, server_hostname=name)
    try:
        data = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        assert isinstance(data, bytes)
        return data
    finally:
        writer.close()
        with contextlib.suppress(OSError, TimeoutError):
            async with asyncio.timeout(LIMIT_S):
                await writer.wait_closed()


def _names(certificate: x509.Certificate) -> tuple[str, ...]:
    """The names that count (RFC 9110 section 4.3.4): those of the subject alternative name."""
    try:
        found = certificate.extensions.get_extension_for_oid(ExtensionOID.SUBJECT_ALTERNATIVE_NAME).value
    except x509.ExtensionNotFound:
        return ()
    assert isinstance(found, x509.SubjectAlternativeName)
    return tuple(printable(name.lower()) for name in found.get_values_for_type(x509.DNSName))


def _organisation(certificate: x509.Certificate) -> str:
    for oid in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.issuer.get_attributes_for_oid(oid):
            return printable(str(attribute.value))
    return "nobody"


def _failure(error: Exception, where: str) -> Failure:
    number = error.errno if isinstance(error, OSError) else None
    if number in UNROUTABLE:
        return Failure("unasked", "this machine has no route to it")
    if isinstance(error, TimeoutError):
        return Failure("silent", f"no answer on {where}")
    if isinstance(error, ConnectionRefusedError) or number == errno.ECONNREFUSED:
        return Failure("silent", f"nobody listens on {where}")
    if isinstance(error, ssl.SSLError):
        return Failure("lame", f"it speaks no TLS for this name on {where}: {error.reason}")
    return Failure("lame", f"its answer on {where} cannot be read: {type(error).__name__}")
