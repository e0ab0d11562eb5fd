"""What must fit together in a policy whose single values are good. Pure; one module per part of the policy."""

from __future__ import annotations

from gslb.errors import Problem
from gslb.model.checks.backends import check_backends
from gslb.model.checks.listening import check_listening
from gslb.model.checks.named import check_named
from gslb.model.checks.names import check_names
from gslb.model.checks.peers import check_peers
from gslb.model.checks.report import Report
from gslb.model.checks.routes import check_routes
from gslb.model.checks.sites import check_sites
from gslb.model.checks.steering import check_steering
from gslb.model.policy import Policy
from gslb.model.tree import Places

__all__ = ["check_policy"]


def check_policy(policy: Policy, places: Places) -> list[Problem]:
    """Every problem of `policy` as a whole; `places`: where it was written."""
    report = Report(policy, places)
    for check in (
        check_names,
        check_sites,
        check_listening,
        check_steering,
        check_backends,
        check_peers,
        check_named,
        check_routes,
    ):
        check(report)
    return report.problems
