"""Where an edge's certificate lies, and which trust domain it names. Nothing is issued or renewed here."""

from __future__ import annotations

from pathlib import Path

from gslb.edge import Credentials
from gslb.errors import HostError
from gslb.trust.identity_files import IdentityFolder

__all__ = ["edge_credentials"]


def edge_credentials(trust: Path, name: str) -> Credentials | None:
    """Those of the role process `name` in the installation's folder `trust`, or None where it has none yet. Raises
    HostError where they cannot be used."""
    given = IdentityFolder(trust.absolute(), name)
    pair = given.read()
    if pair is None:
        return None
    if not given.ca.exists():
        raise HostError(f"{given.ca} is missing: this edge knows nobody whom it could believe", "see gslb identity")
    return Credentials(pair.identity.domain, given.folder, given.ca)
