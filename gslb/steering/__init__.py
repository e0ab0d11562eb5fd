"""(Snapshot, LiveState, client) -> Decision with its reasons, and which route takes a request. Pure."""

from gslb.steering.chain import client_networks, decide
from gslb.steering.routes import RouteStep, normal_path, take_route

__all__ = ["RouteStep", "client_networks", "decide", "normal_path", "take_route"]
