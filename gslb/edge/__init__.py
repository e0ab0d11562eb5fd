"""The edge of one site: Envoy resources from a snapshot, and looking after the Envoy that serves them."""

from gslb.edge.files import Credentials
from gslb.edge.keeper import EnvoyState
from gslb.edge.process import find_envoy
from gslb.edge.render import EdgeConfig, render
from gslb.edge.runner import EdgeRunner, RouteState

__all__ = ["Credentials", "EdgeConfig", "EdgeRunner", "EnvoyState", "RouteState", "find_envoy", "render"]
