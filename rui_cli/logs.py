"""Logs of a running process: one event a line, JSON unless it goes to a terminal."""

import logging
import sys
from typing import TextIO

import structlog


def configure(*, verbose: bool = False, quiet: bool = False, stream: TextIO | None = None) -> None:
    """Send events of level info (`verbose`: debug, `quiet`: warning) and above to `stream` or stderr."""
    level = logging.DEBUG if verbose else logging.WARNING if quiet else logging.INFO
    stream = sys.stderr if stream is None else stream
    terminal = stream.isatty()
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if terminal else structlog.processors.JSONRenderer(default=str),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.PrintLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    # Libraries that use the standard logging speak only when something is wrong.
    logging.basicConfig(level=logging.WARNING, stream=stream, format="%(levelname)s %(name)s: %(message)s")
