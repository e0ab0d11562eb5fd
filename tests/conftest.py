"""What all tests have in common."""

from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from xdist.scheduler import LoadScopeScheduling

from tests.support.examples import EFFORT, examples

ROWS = {
    "chaos": "installation",
    "e2e": "installation",
    "e2e_edge": "edges",
    "fleet": "installation",
    "interop": "edges",
    "reliability": "installation",
}
"""Folders whose tests share addresses, ports or namespaces of this machine: those of a row run one after the other."""

settings.register_profile(
    "no-clock",
    max_examples=examples(100),
    deadline=None,  # a busy machine makes an example slow, not wrong
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=EFFORT < 1,
)
settings.load_profile("no-clock")


class RowScheduling(LoadScopeScheduling):
    """A row is one piece of work, every other test is one of its own; the long ones begin first."""

    def _split_scope(self, nodeid: str) -> str:
        return ROWS.get(nodeid.split("/")[1], nodeid)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> RowScheduling:
    return RowScheduling(config, log)
