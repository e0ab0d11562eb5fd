from __future__ import annotations

import shutil

import pytest

from gslb.store import AuditEntry
from tests.support.etcd import Etcd
from tests.unit.control.world import NOW_S


@pytest.fixture(scope="session")
def etcd(tmp_path_factory):
    """One real member, for everything that needs no majority. Tests keep apart by their prefixes."""
    if shutil.which("etcd") is None:
        pytest.skip("needs etcd: sh .ci/debian-packages")
    cluster = Etcd(tmp_path_factory.mktemp("etcd"))
    yield cluster
    cluster.close()


@pytest.fixture
def prefix(request):
    return f"installations/{abs(hash(request.node.nodeid)):x}"


@pytest.fixture
def entry():
    return lambda detail="first", reason="because": AuditEntry(NOW_S, "ann", "policy", detail, reason)
