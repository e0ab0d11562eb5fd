"""Prometheus metrics, made at each scrape."""
