"""Structured logs on stderr: one line an event, with the role's name. Configured once per process, at its start."""

from __future__ import annotations

import logging
import sys

import structlog

__all__ = ["configure"]


def configure(log_format: str, role: str) -> None:
    """`log_format` is `json` (one object a line) or `text` (for people)."""
    renderer: structlog.typing.Processor = (
        structlog.processors.JSONRenderer() if log_format == "json" else structlog.dev.ConsoleRenderer(pad_event_to=0)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(role=role)
    logging.basicConfig(stream=sys.stderr, level=logging.WARNING, format=f"%(levelname)s {role} %(name)s %(message)s")
