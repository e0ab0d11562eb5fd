"""Where the Intent and the documents of an installation rest between runs, and who changed what when."""

from pathlib import Path

from gslb.store.interface import TERM, AuditEntry, AuditRecord, Document, Store

__all__ = [
    "SQLITE", "TERM", "AuditEntry", "AuditRecord", "Document", "Store", "open_store",
]  # fmt: skip

SQLITE = "sqlite"


def open_store(url: str, data: Path) -> Store:
    """The store that `url` names: `sqlite`, a file in the folder `data`, or an etcd (`etcd://`, `etcds://`).

    Raises HostError where it cannot be opened; whether an etcd is there shows at the first call.
    """
    if url == SQLITE:
        from gslb.store.embedded import EmbeddedStore

        return EmbeddedStore(data)
    from gslb.store.etcd import EtcdStore

    return EtcdStore(url)
