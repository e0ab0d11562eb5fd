"""Keys of tests, and what they sign."""

from __future__ import annotations

from gslb.control.protocol import Offer
from gslb.roles.publishing.signing import Signing
from gslb.snapshot.bundle import Bundle
from gslb.trust.bundles import signed
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signing import make_key

KEY, STRANGER = make_key(bytes(range(32))), make_key(b"stranger" * 4)


def bundle(intent, key=KEY):
    return signed(Bundle.of(intent), key)


def offer(intent, wall_s=0.0, key=KEY):
    return Offer(bundle=bundle(intent, key), wall_s=wall_s)


def trust_in(folder, key=KEY):
    """A folder `trust` in `folder`, of a machine whose control signs with `key`."""
    path = folder / "trust"
    path.mkdir(exist_ok=True)
    (path / "signing.key").write_text(key.private_bytes_raw().hex())
    (path / "signing.key").chmod(0o600)
    trust = TrustFolder(path)
    trust.make("here")
    return trust


def signing_in(folder, *, own_file=True):
    return Signing(trust_in(folder), own_file=own_file)
