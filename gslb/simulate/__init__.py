"""The virtual world: the pure parts of health and steering under a clock, a network and observers that misbehave as a
seed says. `play(seed)` says what went against the invariants."""

from gslb.simulate.play import Report, play

__all__ = ["Report", "play"]
