"""DBOS's log lines go where ours go: one object a line, warnings and worse."""

from __future__ import annotations

import logging

import structlog

_MOST = 300


class _ToStructlog(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        # The first line only, and no traceback: database errors repeat their statement below it.
        message = record.getMessage().splitlines()[0][:_MOST] if record.getMessage() else ""
        error = type(record.exc_info[1]).__name__ if record.exc_info and record.exc_info[1] else None
        structlog.get_logger("tamsoat.dbos").log(record.levelno, "dbos", message=message, error=error)


def to_structlog() -> None:
    """Replace DBOS's own console output."""
    logger = logging.getLogger("dbos")
    logger.handlers = [_ToStructlog(level=logging.WARNING)]
    logger.propagate = False
    logger.setLevel(logging.WARNING)
