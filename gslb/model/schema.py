"""The JSON Schema of a policy, for editors. What it cannot say (what must fit together) `check` says."""

from __future__ import annotations

from typing import Any

from gslb.model.policy import Policy

__all__ = ["policy_schema"]


def policy_schema() -> dict[str, Any]:
    """Draft 2020-12. It describes a policy in one file; of a policy in several, no single file has all that it asks."""
    schema = Policy.model_json_schema(mode="validation")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema, "title": "gslb policy"}
