"""What must fit together in a policy whose single values are good. Pure; one module per part of the policy."""

from __future__ import annotations

from gslb.errors import Problem
from gslb.model.policy import Policy
from gslb.model.tree import Node

__all__ = ["check_policy"]


def check_policy(policy: Policy, root: Node) -> list[Problem]:
    return []
