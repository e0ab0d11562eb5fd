"""A certificate that has ended and is to be followed by another: who may still ask, and how the key is proven. Pure.

Who was off for longer than certificates live must come back alone. It cannot use its certificate in a handshake any
more, so it sends the chain, and signs the new request with the old key. Whether its machine still belongs to the
installation is the registry's to say.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Sequence

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from gslb.errors import RefusedError
from gslb.trust.authority import BACKDATED_S, certificates_of, lifetime_s, require_chain
from gslb.trust.spiffe import SpiffeId
from gslb.trust.state import GRACE_S

__all__ = ["proof_of", "who_proves"]

_PURPOSE = b"gslb certificate renewal v1\0"
_ECDSA = ec.ECDSA(hashes.SHA256())


def proof_of(key: ec.EllipticCurvePrivateKey, csr: str) -> str:
    """A signature over the request, in base64. Taken by somebody else it is good for nothing: the certificate is for
    the key of the request."""
    return base64.b64encode(key.sign(_PURPOSE + csr.encode(), _ECDSA)).decode("ascii")


def who_proves(
    chain: str, csr: str, proof: str, roots: Sequence[x509.Certificate], wall_s: float
) -> tuple[SpiffeId, float]:
    """Whose certificate `chain` was, and when it was made, if it ended less than GRACE_S ago and its key has signed
    `csr`.

    Raises RefusedError, rules `certificate`, `chain`, `certificate-proof`, `certificate-too-old`.
    """
    certificates = certificates_of(chain)
    from_s, until_s = lifetime_s(certificates[0])
    identity = require_chain(certificates, roots, from_s + BACKDATED_S)
    public = certificates[0].public_key()
    try:
        assert isinstance(public, ec.EllipticCurvePublicKey)
        public.verify(base64.b64decode(proof, validate=True), _PURPOSE + csr.encode(), _ECDSA)
    except (AssertionError, InvalidSignature, ValueError, binascii.Error):
        raise RefusedError(
            "certificate-proof", f"nothing proves that the asker has the key of {identity}", "let gslb ask"
        ) from None
    if wall_s > until_s + GRACE_S:
        raise RefusedError(
            "certificate-too-old",
            f"the certificate of {identity} ended more than {GRACE_S / 86400:.0f} days ago",
            f"on a control machine: gslb node token --rejoin {identity.name}; then here: gslb node join TOKEN",
        )
    return identity, from_s + BACKDATED_S
