"""What all tests have in common."""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

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


@pytest.hookimpl(tryfirst=True)  # xdist looks for the marks in the same hook
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The long rows begin first, so that the others fill the time beside them."""
    root = Path(__file__).parent
    for item in items:
        row = ROWS.get(item.path.relative_to(root).parts[0])
        if row is not None:
            item.add_marker(pytest.mark.xdist_group(row))
    items.sort(key=lambda item: item.get_closest_marker("xdist_group") is None)
