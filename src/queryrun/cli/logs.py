"""Logs: JSON lines (or text) on stderr. SQL, secrets, tokens and keys are never logged."""

from __future__ import annotations

import logging
import sys
import traceback
from collections.abc import Callable, MutableMapping
from pathlib import Path
from typing import Any, TextIO, cast

import structlog
from prometheus_client import CollectorRegistry, Gauge

from queryrun.cli.log_writer import LogWriter
from queryrun.settings import LogSettings

_STDERR = 2


def configure_logs(settings: LogSettings) -> LogWriter:
    """Set up structlog for this process, and silence the libraries below warnings.

    Returns what writes the log to standard error; close it at the end.
    """
    level = logging.getLevelNamesMapping()[settings.level.upper()]
    writer = LogWriter(_STDERR)
    stream = cast("TextIO", writer)
    logging.basicConfig(stream=stream, level=max(level, logging.WARNING), format="%(message)s")
    json = settings.format == "json"
    renderer = (
        structlog.processors.JSONRenderer() if json else structlog.dev.ConsoleRenderer(colors=False)
    )
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            _without_exception_text,
            renderer,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(stream),
        cache_logger_on_first_use=True,
    )
    return writer


def _without_exception_text(
    _: Any, __: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Log an exception by type and traceback only: its message may quote a statement or secret."""
    if event.pop("exc_info", None):
        kind, _value, trace = sys.exc_info()
        event["exception"] = kind.__name__ if kind else None
        event["at"] = [
            f"{Path(frame.filename).name}:{frame.lineno} {frame.name}"
            for frame in traceback.extract_tb(trace)
        ]
    return event


def register_log_gauge(registry: CollectorRegistry, dropped: Callable[[], int]) -> None:
    """Count the lines that were dropped."""
    gauge = Gauge(
        "queryrun_log_lines_dropped",
        "Lines of the log that were dropped because nobody read it: alert on growth",
        registry=registry,
    )
    gauge.set_function(dropped)
