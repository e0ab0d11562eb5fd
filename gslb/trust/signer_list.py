"""The list of believed keys as the store keeps it: signed, because who can write to the store must not come to be
believed by that. Pure.

A control takes it where one of the publishers signed it that are believed already. Nodes have it from controls, whose
certificates they check.
"""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from gslb.errors import RefusedError
from gslb.trust.signing import SIGNATURE_BYTES, SIGNERS, PrivateKey, Signers, key_id, public_of, sign

__all__ = ["merged", "opened_list", "signed_list", "told_number"]


class _Signed(BaseModel):
    """`text` is the JSON of Signers."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_bytes="base64", val_json_bytes="base64")

    text: str
    signer: Annotated[str, Field(max_length=64)]
    signature: Annotated[bytes, Field(max_length=SIGNATURE_BYTES)]


def signed_list(signers: Signers, private: PrivateKey) -> bytes:
    text = signers.model_dump_json()
    made = _Signed(text=text, signer=key_id(public_of(private)), signature=sign(private, SIGNERS, text.encode()))
    return made.model_dump_json(indent=1).encode()


def opened_list(octets: bytes, believed: Signers) -> Signers:
    """What stands in the store. Raises RefusedError: rule `bad-signers` where it does not read, and as Signers.verify
    does where none of the `believed` has signed it."""
    try:
        signed = _Signed.model_validate_json(octets)
        believed.verify(signed.signer, SIGNERS, signed.text.encode(), signed.signature)
        return Signers.model_validate_json(signed.text)
    except ValidationError:
        raise RefusedError(
            "bad-signers", "the list of believed keys does not read", "write that of this machine: gslb trust tell"
        ) from None


def told_number(octets: bytes) -> int:
    """The number of a list that nobody vouches for; 0 where it does not read."""
    try:
        return Signers.model_validate_json(_Signed.model_validate_json(octets).text).number
    except ValidationError:
        return 0


def merged(newer: Signers, edited: Signers, base: Signers) -> Signers:
    """`newer` with what `edited` adds to `base` and takes from it; the very one where that is nothing."""
    before = {signer.id: signer for signer in base.signers}
    after = {signer.id: signer for signer in edited.signers}
    made = newer
    for name in before.keys() - after.keys():
        made = made.without(name)
    for name, signer in after.items():
        if before.get(name) != signer and (name in before or not newer.knows(name)):
            made = made.with_signer(signer)
    return newer if set(made.signers) == set(newer.signers) else made
