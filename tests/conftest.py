"""What all tests have in common."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

from tests.support.examples import EFFORT, examples

ALONE = {"chaos", "e2e", "e2e_edge", "fleet", "interop", "reliability"}
"""Folders whose tests share addresses, ports or namespaces of this machine: they run one after the other."""

settings.register_profile(
    "no-clock",
    max_examples=examples(100),
    deadline=None,  # a busy machine makes an example slow, not wrong
    suppress_health_check=[HealthCheck.too_slow],
    derandomize=EFFORT < 1,
)
settings.load_profile("no-clock")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long row of those that run alone begins first, so that the others fill the time beside it."""
    root = Path(__file__).parent
    for item in items:
        if item.path.relative_to(root).parts[0] in ALONE:
            item.add_marker(pytest.mark.xdist_group("alone"))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
