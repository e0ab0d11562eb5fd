"""Where an edge's certificate lies, and which trust domain it names. Nothing is issued or renewed here."""

from __future__ import annotations

from pathlib import Path

from cryptography import x509
from cryptography.x509 import SubjectAlternativeName, UniformResourceIdentifier

from gslb.edge import Credentials
from gslb.errors import RefusedError

__all__ = ["edge_credentials"]

_SCHEME = "spiffe://"


def edge_credentials(trust: Path, name: str) -> Credentials | None:
    """Those of the role process `name` in the installation's folder `trust`, or None where it has none yet. Raises
    RefusedError (`bad-identity`) where its certificate is none that other edges would believe."""
    folder, authority = trust / "identities" / name, trust / "ca.pem"
    try:
        certificate = x509.load_pem_x509_certificate((folder / "cert.pem").read_bytes())
        names = certificate.extensions.get_extension_for_class(SubjectAlternativeName).value
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, ValueError, x509.ExtensionNotFound) as error:
        raise RefusedError(
            "bad-identity", f"{folder}/cert.pem cannot be used: {error}", "see `gslb identity`"
        ) from error
    ids = [name for name in names.get_values_for_type(UniformResourceIdentifier) if name.startswith(_SCHEME)]
    if not ids or not authority.exists():
        lacking = f"{authority} is missing" if ids else f"{folder}/cert.pem has no SPIFFE id"
        raise RefusedError("bad-identity", lacking, "see `gslb identity`")
    return Credentials(ids[0].removeprefix(_SCHEME).partition("/")[0], folder.absolute(), authority.absolute())
