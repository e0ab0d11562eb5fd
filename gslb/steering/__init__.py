"""(Snapshot, LiveState, client) -> Decision with its reasons. Pure."""

from gslb.steering.chain import client_networks, decide

__all__ = ["client_networks", "decide"]
