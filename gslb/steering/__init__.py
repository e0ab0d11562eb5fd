"""(Snapshot, LiveState, client) -> Decision with its reasons, and which route takes a request. Pure."""

from gslb.steering.chain import decide
from gslb.steering.classes import client_classes, telling_filters
from gslb.steering.loads import loads_matter
from gslb.steering.routes import Request, RouteStep, normal_path, take_route
from gslb.steering.shed import kept_ratio

__all__ = [
    "Request",
    "RouteStep",
    "client_classes",
    "decide",
    "kept_ratio",
    "loads_matter",
    "normal_path",
    "take_route",
    "telling_filters",
]
