"""What the models of a policy have in common: how strict they are, and how one value stands for a list of one.

No words of the policy here.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

__all__ = ["METHOD_PATTERN", "Methods", "Model", "OneOrMore", "UrlPath", "as_list", "kind_of", "says_alike"]

METHOD_PATTERN = r"^[A-Z]{1,20}$"


class Model(BaseModel):
    """Frozen, and a key that nobody defined is an error: a misspelt word must not be silently ignored."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


def as_list(value: Any) -> Any:
    """One value may be written without brackets."""
    return (value,) if isinstance(value, str) else value


def kind_of(value: Any) -> str:
    """For what may be written as one value or with its parts: `parts` for a mapping, `plain` for the rest."""
    return "parts" if isinstance(value, dict | BaseModel) else "plain"


def says_alike(one: BaseModel, other: BaseModel, beside: Collection[str] = ()) -> bool:
    """Do both say the same, in the same order, but for the fields `beside`? As text, because the order of what has
    names is content too, which mappings do not compare."""
    left_out = set(beside)
    return one is other or one.model_dump_json(exclude=left_out) == other.model_dump_json(exclude=left_out)


OneOrMore = Field(min_length=1)
_Method = Annotated[str, Field(pattern=METHOD_PATTERN)]
_MethodList = Annotated[tuple[_Method, ...], OneOrMore]
Methods = Annotated[_MethodList, BeforeValidator(as_list, json_schema_input_type=_Method | _MethodList)]
UrlPath = Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=1024)]
