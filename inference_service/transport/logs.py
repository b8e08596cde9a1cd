"""Structured logs on stderr: one JSON object a line, with the request id; never a file name or a patient's data."""

from __future__ import annotations

import logging
import sys

import structlog
from structlog.typing import Processor

from tamsoat.inference_service.transport.tracing import add_trace_id


def configure(level: str, style: str) -> None:
    """Send structlog's and the standard library's lines through the same renderer.

    ``level``: debug, info, warning or error. ``style``: json or console.
    """
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace_id,
        structlog.stdlib.add_logger_name,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = (
        structlog.processors.JSONRenderer(ensure_ascii=False)
        if style == "json"
        else structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # The default shows the variables of every frame, and those may be personal.
            exception_formatter=structlog.dev.plain_traceback,
        )
    )
    rendering: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta]
    if style == "json":
        rendering.append(structlog.processors.format_exc_info)
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processors=[*rendering, renderer])
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=False,
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for name in ("uvicorn", "uvicorn.error", "uvicorn.access", "alembic", "sqlalchemy"):
        child = logging.getLogger(name)
        child.handlers.clear()
        child.propagate = True
        child.setLevel(logging.WARNING if level != "debug" else logging.INFO)
