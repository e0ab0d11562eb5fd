"""Plans in files: what `gslb plan -o` writes and `gslb apply` reads. They hold a whole policy: they are private."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from gslb.control.bodies.plan_messages import PlanFile
from gslb.errors import HostError, PolicyError, Problem
from gslb.plan.types import Plan
from gslb.whole_file import read_limited

__all__ = ["read_plan_file", "write_plan_file"]

_PRIVATE = 0o600
_LIMIT_BYTES = 64 * 1024 * 1024
"""A policy and a plan of the largest size that control takes and gives, twice over."""


def write_plan_file(path: Path, policy: Mapping[str, Any], plan: Plan) -> None:
    """In place of what was there, with mode 0600. Raises HostError."""
    app = plan.app or None
    file = PlanFile(base=plan.before, digest=plan.after.digest, policy=policy, app=app, plan=plan)
    try:
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, _PRIVATE), "w") as opened:
            os.fchmod(opened.fileno(), _PRIVATE)
            opened.truncate()
            opened.write(file.model_dump_json(indent=1))
    except OSError as error:
        raise HostError(
            f"{path} cannot be written: {error.strerror}", "name a file in a folder that you can write: -o FILE"
        ) from None


def read_plan_file(path: Path) -> PlanFile:
    """Raises PolicyError where it holds no plan of this version of gslb, HostError where it cannot be read."""
    data = read_limited(path, _LIMIT_BYTES)
    try:
        return PlanFile.model_validate_json(data)
    except ValidationError as error:
        why = "it is too large" if len(data) > _LIMIT_BYTES else str(error.errors()[0]["msg"])
    remedy = "write one with this version: gslb plan DIR -o FILE; or name a policy folder"
    raise PolicyError([Problem(str(path), 0, 0, "no-plan", f"this is no plan: {why}", remedy)])
