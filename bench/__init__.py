"""Measurements, side by side with a peer in the same run. `make bench` runs them; figures go to docs/performance.md."""
