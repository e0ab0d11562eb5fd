from __future__ import annotations

import contextlib
import shutil

import pytest

from gslb.store import AuditEntry, etcd_client
from tests.support.etcd import Etcd
from tests.support.intents import EtcdStore
from tests.support.meddler import Meddler
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


@pytest.fixture
def member(etcd):
    return etcd.members[0]


@pytest.fixture
def between(member, prefix):
    """Makes (a meddler, a store that asks it)."""
    with contextlib.ExitStack() as stack:

        def make(meddle=None):
            meddler = stack.enter_context(contextlib.closing(Meddler(member, meddle)))
            return meddler, EtcdStore(f"etcd://{meddler.endpoint}/{prefix}")

        yield make


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(etcd_client, "PATIENCE_S", 0.0)
    monkeypatch.setattr(etcd_client, "TRY_S", 0.5)
