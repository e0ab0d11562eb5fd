"""What all bodies of the HTTP API have in common. No body of its own."""

from __future__ import annotations

from typing import Annotated, ClassVar

from pydantic import BaseModel, ConfigDict, Field

__all__ = ["Author", "Body", "Line"]

Line = Annotated[str, Field(max_length=500, pattern=r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029]*$")]
"""One line of text for people. Control characters would reach the terminals of others."""
Author = Annotated[Line, Field(max_length=64)]


class Body(BaseModel):
    """Frozen, strict about keys, and free of values that JSON does not have."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)
    STRICT: ClassVar[bool] = True
    """Read from JSON as its schema says: `true` is no number, nor is `"1"`."""
