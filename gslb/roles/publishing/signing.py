"""Control's side of signatures: every bundle that it publishes is signed, and what it finds in the store is verified.

The file of one machine is its owner's alone: a bundle of an older gslb, which has no signature, or one from a backup
that another key signed, is taken from there and signed anew. An etcd may be written to by others: what nobody who is
believed signed is refused there.
"""

from __future__ import annotations

import structlog

from gslb.errors import HostError, RefusedError
from gslb.snapshot.bundle import Bundle
from gslb.snapshot.intent import Intent
from gslb.trust.signer_files import TrustFolder
from gslb.trust.signing import is_foreign

__all__ = ["Signing", "understood"]

_ADOPT = "to look at it and sign it, on the machine of a control: gslb trust adopt"


class Signing:
    """With the key in `trust`. `own_file`: the store is a file of this machine."""

    def __init__(self, trust: TrustFolder, *, own_file: bool) -> None:
        self._trust = trust
        self._own_file = own_file

    def signed(self, bundle: Bundle) -> Bundle:
        """Raises HostError where the key cannot be used."""
        return self._trust.signed(bundle)

    def is_believed(self, stored: Bundle) -> bool:
        """Whether nodes believe the signature of what the store holds; False: it is ours to be signed anew.

        Raises RefusedError: rule `unsigned`, `unknown-signer` or `bad-signature`.
        """
        try:
            self._trust.verify(stored)
        except RefusedError as error:
            if self._own_file and is_foreign(error):
                structlog.get_logger().warning(
                    "the store is signed anew", version=str(stored.version), why=error.message
                )
                return False
            raise _in_store(stored, error) from None
        return True

    def opened(self, stored: Bundle) -> tuple[Bundle, Intent]:
        """What the store holds, with a signature that nodes believe, and what it means. Raises as `is_believed`,
        `signed` and `understood` do."""
        bundle = stored if self.is_believed(stored) else self.signed(stored)
        return bundle, understood(bundle)


def understood(bundle: Bundle) -> Intent:
    """Raises HostError where this gslb does not understand it."""
    try:
        return bundle.intent()
    except ValueError as error:
        raise HostError(
            f"the store holds a policy that this gslb cannot read: {str(error).splitlines()[0]}",
            "run the version that wrote it, or restore a backup; what runs keeps its last good policy",
        ) from error


def _in_store(stored: Bundle, error: RefusedError) -> RefusedError:
    return RefusedError(
        error.rule, f"version {stored.version} in the store: {error.message}", f"{error.remedy}; {_ADOPT}"
    )
