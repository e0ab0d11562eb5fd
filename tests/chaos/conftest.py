"""Real processes in network namespaces. They want root; CHAOS_ROUNDS (default 1) says how often each fault comes."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

import pytest

from tests.chaos.places import placed
from tests.chaos.world import built

ROUNDS = int(os.environ.get("CHAOS_ROUNDS", "1"))
APPS = 10


def pytest_collection_modifyitems(items):
    """One round runs with all tests; more only where somebody asks for them (`make chaos`)."""
    for item in items:
        if item.path in (Path(__file__).with_name("test_failover.py"), Path(__file__).with_name("test_places.py")):
            item.add_marker(pytest.mark.e2e)
            item.add_marker(pytest.mark.timeout(240 + 240 * ROUNDS))
            if ROUNDS > 1:
                item.add_marker(pytest.mark.chaos)


@pytest.fixture(scope="session")
def namespaces():
    """Skips where namespaces cannot be made: that takes root and two Debian packages."""
    if not all(map(shutil.which, ("ip", "nft", "curl"))):
        pytest.skip("ip, nft and curl are needed: sh .ci/debian-packages")
    made = subprocess.run(["ip", "netns", "add", "gslb-may-i"], check=False, capture_output=True)
    if made.returncode:
        pytest.skip("this user may make no network namespaces")
    subprocess.run(["ip", "netns", "delete", "gslb-may-i"], check=True)


@pytest.fixture
def build(namespaces):
    """`built` with a folder of its own."""

    def made(**options):
        return built(Path(tempfile.mkdtemp(prefix="gslb", dir="/tmp")), **options)

    return made


@pytest.fixture
def places(namespaces):
    """`placed` with a folder of its own."""

    def made(**options):
        return placed(Path(tempfile.mkdtemp(prefix="gslb", dir="/tmp")), **options)

    return made
