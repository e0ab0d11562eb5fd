"""Overrides that a person's key has signed beforehand or far away, for nodes whose control and store are dead: drains,
stops of mirrors, and the end of either. Pure.

The very text that was signed travels. It is bound to one environment, is good for a while, and is taken once: nodes
remember its id. Whether one may be made is not decided here.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from gslb.errors import RefusedError
from gslb.model.words import Name, iso
from gslb.trust.signing import OVERRIDE, Kind, PrivateKey, Signers, key_id, public_of, sign

__all__ = [
    "EARLY_S",
    "KEY_MARK",
    "LIMIT_BYTES",
    "LONGEST_S",
    "Emergency",
    "MirrorEmergency",
    "SignedOverride",
    "SiteEmergency",
    "opened",
    "signed_override",
]

KEY_MARK = b"gslbKEY\n"
"""Of the file in which a private key of this kind lies under a passphrase."""
LIMIT_BYTES = 64 * 1024
EARLY_S = 300.0
"""So far the clocks of who signs and of a node may be apart."""
LONGEST_S = 30 * 86_400.0
"""An override may be signed before it is needed, and must not lie about for ever."""
_KINDS: tuple[Kind, ...] = ("emergency",)
_LINE = r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$"
_MODEL = ConfigDict(frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64")


class _Signed(BaseModel):
    """What is signed, of every kind. Times are Unix seconds: it is taken from `signed_s` until `good_until_s`, and what
    it does ends at `expires_s` (None: until somebody undoes it). `id` is random: an override is taken once."""

    model_config = _MODEL

    id: Annotated[str, Field(pattern=r"^[0-9a-f]{32}$")]
    environment: Annotated[str, Field(min_length=1, max_length=64)]
    author: Annotated[str, Field(max_length=64, pattern=_LINE)] = ""
    reason: Annotated[str, Field(max_length=500, pattern=_LINE)] = ""
    signed_s: float
    good_until_s: float
    expires_s: float | None = None


class SiteEmergency(_Signed):
    """A site taken out, or put back; for one app or for all."""

    action: Literal["drain", "undrain"]
    site: Name
    app: Name | None = None
    entry_only: bool = False
    allow: Annotated[tuple[Literal["last-site"], ...], Field(max_length=4)] = ()


class MirrorEmergency(_Signed):
    """Mirrors that copy nothing, or copy again: those of one route, of an app (`route` None), or all of them."""

    action: Literal["mirror-stop", "mirror-start"]
    app: Name | None = None
    route: Name | None = None


Emergency = SiteEmergency | MirrorEmergency
_EMERGENCY: TypeAdapter[Emergency] = TypeAdapter(Annotated[Emergency, Field(discriminator="action")])


class SignedOverride(BaseModel):
    """The file, and the body of `POST /v1/override` at a node. `override` is the JSON text of an Emergency."""

    model_config = _MODEL

    format: Literal["gslb-override-1"] = "gslb-override-1"
    override: Annotated[str, Field(max_length=LIMIT_BYTES)]
    signer: Annotated[str, Field(max_length=64)]
    signature: Annotated[bytes, Field(max_length=64)]


def signed_override(private: PrivateKey, wanted: Emergency) -> SignedOverride:
    """Raises RefusedError, rule `too-long`."""
    if wanted.good_until_s - wanted.signed_s > LONGEST_S:
        days = LONGEST_S / 86_400
        raise RefusedError("too-long", f"it would be good for more than {days:g} days", "say less: --good-for 7d")
    text = wanted.model_dump_json()
    return SignedOverride(
        override=text, signer=key_id(public_of(private)), signature=sign(private, OVERRIDE, text.encode())
    )


def opened(given: SignedOverride, signers: Signers, environment: str, wall_s: float) -> tuple[Emergency, str]:
    """What is asked for, and the name of the key that signed it.

    Raises RefusedError: rule `unsigned`, `unknown-signer` or `bad-signature`, before anything in it is looked at;
    `other-environment`; `over`, `early` or `too-long` by the node's clock.
    """
    signer = signers.verify(given.signer, OVERRIDE, given.override.encode(), given.signature, _KINDS)
    try:
        wanted = _EMERGENCY.validate_json(given.override)
    except ValidationError as error:
        why = str(error.errors()[0]["msg"])
        raise RefusedError("override", f"this gslb does not understand it: {why}", "sign it anew") from None
    if wanted.environment != environment:
        raise RefusedError(
            "other-environment",
            f"it was signed for the environment {wanted.environment}, and this is {environment}",
            f"sign one for this: gslb override sign --environment {environment}",
        )
    if wanted.good_until_s < wall_s or (wanted.expires_s is not None and wanted.expires_s <= wall_s):
        until_s = min(wanted.good_until_s, wanted.expires_s or wanted.good_until_s)
        raise RefusedError("over", f"it was good until {iso(until_s)}; here it is {iso(wall_s)}", "sign a new one")
    if wanted.signed_s > wall_s + EARLY_S:
        raise RefusedError(
            "early",
            f"it was signed at {iso(wanted.signed_s)}; here it is {iso(wall_s)}",
            "set this machine's clock",
        )
    if wanted.good_until_s - wanted.signed_s > LONGEST_S:
        raise RefusedError("too-long", "it is good for longer than any override may be", "sign a new one")
    return wanted, signer.name or signer.id
