"""Where the Intent rests between runs, and who changed it when."""

from gslb.store.embedded import EmbeddedStore
from gslb.store.interface import AuditEntry, AuditRecord, Store, version_of

__all__ = ["AuditEntry", "AuditRecord", "EmbeddedStore", "Store", "version_of"]
