"""One demo per test, on the addresses that the README names."""

import pytest

from tests.support.running_demo import running_demo


@pytest.fixture
async def demo(tmp_path):
    async with running_demo(tmp_path) as running:
        yield running
