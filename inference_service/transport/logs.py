"""Structured logs on stderr: one JSON object a line, with the request id; never a file name or a patient's data."""

from __future__ import annotations

import logging
import sys
import traceback

import structlog
from structlog.typing import EventDict, Processor

from tamsoat.inference_service.errors import TamsoatError
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
        )
    )
    rendering: list[Processor] = [structlog.stdlib.ProcessorFormatter.remove_processors_meta, hide_messages]
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
    for name in ("authlib", "httpx", "httpcore"):
        # Below a warning they write addresses that are called, and what proves a sign-in.
        logging.getLogger(name).setLevel(logging.WARNING)


def hide_messages(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Write an exception as its kinds and the places in the program, without messages and variables.

    What an unexpected exception says often repeats the value that it stumbled over, and that may be a name. Only
    our own errors are quoted: they never hold personal data.
    """
    given = event.pop("exc_info", None)
    error = given if isinstance(given, BaseException) else given[1] if isinstance(given, tuple) else sys.exc_info()[1]
    if given and error is not None:
        event["exception"] = "".join(_lines(error))
    return event


def _lines(error: BaseException) -> list[str]:
    """Like a traceback, the innermost cause first."""
    before = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    said = f": {error}" if isinstance(error, TamsoatError) else ""
    frames = traceback.StackSummary.extract(traceback.walk_tb(error.__traceback__)).format()
    kind = f"{type(error).__module__}.{type(error).__qualname__}{said}\n"
    return [*(_lines(before) if before is not None else []), *frames, kind]
