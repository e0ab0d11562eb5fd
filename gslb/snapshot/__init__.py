"""What the system runs on. `compile_snapshot` turns what operators want into what DNS, edges and simulation obey.

The types that pass between rooms stand in `types`, what operators want in `intent`.
"""

from gslb.snapshot.compile import Compiler, compile_app, compile_snapshot, next_expiry_s
from gslb.snapshot.targets import probe_targets

__all__ = ["Compiler", "compile_app", "compile_snapshot", "next_expiry_s", "probe_targets"]
