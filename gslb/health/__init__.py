"""Who can be reached: `Prober` looks at edges through their front door, `verdict` says what the results prove."""

from gslb.health.probes import Prober

__all__ = ["Prober"]
