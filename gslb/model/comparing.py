"""What an operator may write about the comparison of a mirror's answers. Frozen models; what the words do stands in
`gslb/compare`.
"""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import BeforeValidator, Discriminator, Field, StrictBool, Tag, model_validator

from gslb.model.base import Model, as_list, kind_of
from gslb.model.words import Percent

__all__ = ["Compare", "CompareOrSwitch", "Normalise", "comparing"]

_FieldPath = Annotated[
    str, Field(pattern=r"^(?:status|header(?:\.[!-~]+)?|body(?:[.\[][ -~]*)?|\*\*?(?:[.\[][ -~]*)?)$", max_length=256)
]
_PathList = Annotated[tuple[_FieldPath, ...], Field(max_length=256)]
FieldPaths = Annotated[_PathList, BeforeValidator(as_list, json_schema_input_type=_FieldPath | _PathList)]


class Normalise(Model):
    """What is made alike before it is compared. Just one of `regex` and `sorted`."""

    path: _FieldPath = Field("**", description="where; * is a part of one name, ** anything")
    regex: Annotated[str, Field(min_length=1, max_length=1024)] | None = Field(
        None, description="what matches counts as equal, RE2 syntax"
    )
    sorted: StrictBool = Field(False, description="the order of this list does not count")

    @model_validator(mode="after")
    def _one_way(self) -> Normalise:
        if (self.regex is not None) == self.sorted:
            raise ValueError("regex and sorted exclude each other; write one of them")
        return self


_Word = Literal["timestamps", "ids"]
_Rule = Annotated[Annotated[_Word, Tag("plain")] | Annotated[Normalise, Tag("parts")], Discriminator(kind_of)]


class Compare(Model):
    """How the answers of a mirror's target are compared with those of the old service."""

    sample: Percent = Field(10.0, description="of the mirrored requests")
    noise: StrictBool = Field(
        True, description="a second copy of each sampled safe request to the old side measures what differs anyway"
    )
    body: Annotated[int, Field(ge=0, le=65_536, strict=True)] = Field(
        65_536, description="octets of each body that are kept; beyond, a hash"
    )
    ignore: FieldPaths = Field((), description="fields that are not compared, such as body.meta.* or header.etag")
    normalise: Annotated[tuple[_Rule, ...], BeforeValidator(as_list), Field(max_length=64)] = Field(
        (), description="timestamps, ids, {path, sorted: true} or {path, regex}"
    )
    redact: FieldPaths = Field((), description="fields whose values are never kept, beside the well-known secrets")


CompareOrSwitch = Annotated[
    Annotated[StrictBool, Tag("plain")] | Annotated[Compare, Tag("parts")], Discriminator(kind_of)
]


def comparing(given: bool | Compare) -> Compare | None:
    """The long form; None: nothing is compared."""
    if isinstance(given, Compare):
        return given
    return Compare() if given else None
