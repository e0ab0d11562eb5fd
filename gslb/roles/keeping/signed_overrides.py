"""Signed overrides at a node: which ones it has taken already, over its restarts. What one means is `node`'s to say."""

from __future__ import annotations

import json
from pathlib import Path

from gslb.errors import HostError, RefusedError
from gslb.trust.emergency import Emergency, SignedOverride, opened
from gslb.trust.private_files import write_private
from gslb.trust.signer_files import TrustFolder

__all__ = ["SignedOverrides"]

_KEPT = 10_000
"""Of ids; each is kept for as long as its override is good. More, and somebody's key signs for a machine."""


class SignedOverrides:
    """`folder` is the role's own, `trust` says whose keys are believed."""

    def __init__(self, folder: Path, trust: TrustFolder) -> None:
        self._file = folder / "overrides-taken.json"
        self._trust = trust

    def take(self, body: bytes, environment: str, wall_s: float) -> tuple[Emergency, str]:
        """What is asked for, and whose key signed it. From then on it is known as taken, whatever becomes of it: an
        attempt that failed is signed anew.

        Raises RefusedError as `emergency.opened` does, and rule `replayed`; ValidationError; HostError where the disk
        cannot keep that it was taken.
        """
        wanted, signer = opened(SignedOverride.model_validate_json(body), self._trust.signers(), environment, wall_s)
        known = {name: until_s for name, until_s in self._known().items() if until_s >= wall_s}
        if wanted.id in known:
            raise RefusedError(
                "replayed", "this override was taken here before", "if it is wanted again, sign a new one"
            )
        if len(known) >= _KEPT:
            raise RefusedError("too-many", f"{_KEPT:,} signed overrides were taken here", "is a key in wrong hands?")
        write_private(self._file, json.dumps({**known, wanted.id: wanted.good_until_s}).encode())
        return wanted, signer

    def _known(self) -> dict[str, float]:
        """Raises HostError where it does not read: then nothing can be told from what was taken before."""
        try:
            return {str(name): float(until_s) for name, until_s in json.loads(self._file.read_bytes()).items()}
        except FileNotFoundError:
            return {}
        except (OSError, ValueError, AttributeError, TypeError) as error:
            raise HostError(
                f"{self._file} does not read: {error}",
                "drain at its socket (gslb node drain), or delete the file",
            ) from None
