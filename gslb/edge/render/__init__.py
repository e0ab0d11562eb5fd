"""`render(Snapshot, site) -> EdgeConfig`: a back end of the snapshot whose output is Envoy v3 resources.

Pure: equal snapshots give equal resources. Live health never enters (Envoy checks its own endpoints), or every flap
would republish. Envoy semantics named here were tried on Envoy 1.40.
"""

from gslb.edge.render.bootstrap import Paths, bootstrap, discovery, runtime_layer, secrets, static_bootstrap
from gslb.edge.render.config import RUNTIME_MARK, EdgeConfig, Peering, Resource, Skip, StatsIndex, Stores
from gslb.edge.render.edge import Renderer, changed_part, render
from gslb.edge.render.peers import needs_peers, removed

__all__ = [
    "RUNTIME_MARK",
    "EdgeConfig",
    "Paths",
    "Peering",
    "Renderer",
    "Resource",
    "Skip",
    "StatsIndex",
    "Stores",
    "bootstrap",
    "changed_part",
    "discovery",
    "needs_peers",
    "removed",
    "render",
    "runtime_layer",
    "secrets",
    "static_bootstrap",
]
