"""Stores for tests that mind what was meant rather than who signed it: Intents go in, and come out."""

from __future__ import annotations

from gslb.snapshot.types import Version
from gslb.store import embedded, etcd
from tests.support.trust import bundle

__all__ = ["EmbeddedStore", "EtcdStore", "version_of"]


class _Intents:
    def read(self):
        stored = super().read()
        return stored and stored.intent()

    def write(self, expected, intent, audit, fence=None):
        super().write(expected, bundle(intent), audit, fence)


class EmbeddedStore(_Intents, embedded.EmbeddedStore):
    pass


class EtcdStore(_Intents, etcd.EtcdStore):
    pass


def version_of(intent):
    return Version(intent.revision, intent.overrides.version)
