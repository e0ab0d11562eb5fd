"""An Intent as it is signed, stored, offered and kept on disk: the very text that control wrote.

Text and not a model: who dumps a model anew writes what its own version of gslb knows, and a signature would be of
something else. Who signs, and whether a signature is good, is not known here.
"""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import ConfigDict, Field

from gslb.model.policy import Policy
from gslb.snapshot.intent import Intent, Model, Overrides
from gslb.snapshot.types import Version

__all__ = ["Bundle"]


class Bundle(Model):
    """`policy` and `overrides` are their JSON. `signer` names the key of `signature`; both empty: unsigned. What a
    newer gslb says beside is ignored: it is not what is signed."""

    model_config = ConfigDict(extra="ignore")

    revision: Annotated[int, Field(ge=1, le=0xFFFFFFFF)]
    overrides_version: Annotated[int, Field(ge=0, lt=2**63)]
    policy: str = Field(repr=False)
    overrides: str = Field(repr=False)
    signer: Annotated[str, Field(max_length=64)] = ""
    signature: Annotated[bytes, Field(max_length=64)] = b""

    @classmethod
    def of(cls, intent: Intent, before: Self | None = None) -> Self:
        """`intent` unsigned. A revision that `before` has already keeps its text, whichever gslb wrote that."""
        kept = before is not None and before.revision == intent.revision
        return cls(
            revision=intent.revision,
            overrides_version=intent.overrides.version,
            policy=before.policy if before is not None and kept else intent.policy.model_dump_json(),
            overrides=intent.overrides.model_dump_json(),
        )

    @property
    def version(self) -> Version:
        return Version(self.revision, self.overrides_version)

    @property
    def octets(self) -> bytes:
        """What a signature is over: both numbers, and both texts with the length of the first, so that nothing can
        move from one to the other."""
        policy = self.policy.encode()
        head = self.revision.to_bytes(8) + self.overrides_version.to_bytes(8) + len(policy).to_bytes(8)
        return head + policy + self.overrides.encode()

    def intent(self, known: Intent | None = None) -> Intent:
        """`known`: an Intent of the same `policy`, whose policy need not be read again, which takes long.

        Raises ValueError (pydantic's, too) where the texts are not what this gslb understands, or the overrides
        have another version than the bundle."""
        overrides = Overrides.model_validate_json(self.overrides)
        if overrides.version != self.overrides_version:
            raise ValueError(f"the overrides have version {overrides.version}, not {self.overrides_version}")
        policy = known.policy if known is not None else Policy.model_validate_json(self.policy)
        return Intent(revision=self.revision, policy=policy, overrides=overrides)
