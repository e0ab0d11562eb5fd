"""One app out of somebody's policy, with everything else as it is in force: how teams change what is theirs. Pure.

Who may do that for which app is `access`' to say; whether the outcome is a good policy is the model's.
"""

from __future__ import annotations

from itertools import islice

from gslb.control.changes import require_known
from gslb.model.policy import Policy
from gslb.plan import Plan, policy_changes

__all__ = ["only_app", "telling_aside"]

_LISTED = 1000


def only_app(in_force: Policy, given: Policy, app: str) -> Policy:
    """`in_force` with the app as `given` has it, in its place; a new one comes last, one that `given` lacks goes.

    Raises PolicyError, rule `unknown-app`, where neither has it.
    """
    require_known("app", app, given.apps.keys() | in_force.apps.keys())
    apps = dict(in_force.apps)
    if app in given.apps:
        apps[app] = given.apps[app]
    else:
        del apps[app]
    return in_force.model_copy(update={"apps": apps})


def telling_aside(plan: Plan, app: str, taken: Policy, given: Policy | None) -> Plan:
    """`plan`, which is of `app` alone, with the differences of `given` (None: not to be told) that were not taken."""
    differing = policy_changes(taken, given) if given is not None else iter(())
    listed = tuple(islice(differing, _LISTED))
    return plan.model_copy(update={"app": app, "aside": listed, "left_out": plan.left_out + sum(1 for _ in differing)})
