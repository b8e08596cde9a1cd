"""OpenTelemetry traces: what a request or a job spent its time on.

Off unless an exporter is configured; then :func:`span` costs one comparison. Spans hold route templates, codes and
counts: never a path, a query string, a SQL statement, the text of an error or an identifier of a patient.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator, MutableMapping
from contextlib import AbstractContextManager, contextmanager, nullcontext
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.trace import Span, SpanKind, Tracer
    from sqlalchemy import Engine

Value = str | int | float | bool
_installed: list[tuple[TracerProvider, Tracer]] = []


def configure(endpoint: str) -> None:
    """Send traces to the collector at ``endpoint`` (``http://host:port``); "" leaves tracing off."""
    if not endpoint or _installed:
        return
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
    from opentelemetry.sdk.resources import Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    names = {"service.name": "tamsoat", "service.version": version("tamsoat")}
    names["service.instance.id"] = f"{socket.gethostname()}:{os.getpid()}"
    provider = TracerProvider(resource=Resource.create(names))
    provider.add_span_processor(BatchSpanProcessor(OTLPSpanExporter(endpoint=f"{endpoint}/v1/traces")))
    install(provider)


def install(provider: TracerProvider) -> None:
    """Use ``provider`` for every span of this process."""
    _installed[:] = [(provider, provider.get_tracer("tamsoat", version("tamsoat")))]


def shut_down() -> None:
    """Export what is left and turn tracing off."""
    while _installed:
        provider, _ = _installed.pop()
        provider.shutdown()


def enabled() -> bool:
    """Whether spans are recorded."""
    return bool(_installed)


def span(name: str, **attributes: Value) -> AbstractContextManager[object]:
    """A span around a block; ``attributes`` are codes and counts, written as ``tamsoat.<name>``."""
    if not _installed:
        return nullcontext()
    return open_span(name, {f"tamsoat.{key}": value for key, value in attributes.items()})


@contextmanager
def open_span(
    name: str, attributes: dict[str, Value], *, kind: SpanKind | None = None, parent: Any = None
) -> Iterator[Span]:
    """A span whose attributes are named as given; only while :func:`enabled`."""
    from opentelemetry.trace import SpanKind, Status, StatusCode

    _, tracer = _installed[0]
    with tracer.start_as_current_span(
        name,
        context=parent,
        kind=kind or SpanKind.INTERNAL,
        attributes=attributes,
        # The text of an error may name a person; the name of its kind does not.
        record_exception=False,
        set_status_on_exception=False,
    ) as current:
        try:
            yield current
        except BaseException as error:
            current.set_status(Status(StatusCode.ERROR))
            current.set_attribute("error.type", type(error).__name__)
            raise


def observe(engine: Engine) -> None:
    """Record every statement of ``engine`` as a span with its verb; its text and values stay out."""
    if not _installed:
        return
    from sqlalchemy import event

    system = engine.dialect.name

    def before(_connection: Any, _cursor: Any, statement: str, _values: Any, context: Any, _many: bool) -> None:
        if not _installed or context is None:
            return
        verb = statement.lstrip().partition(" ")[0].upper()[:12]
        context.tamsoat_span = open_span(f"database {verb}", {"db.system.name": system, "db.operation.name": verb})
        context.tamsoat_span.__enter__()

    def after(_connection: Any, _cursor: Any, _statement: str, _values: Any, context: Any, _many: bool) -> None:
        _leave(context, None)

    def failed(exception: Any) -> None:
        _leave(exception.execution_context, exception.original_exception)

    event.listen(engine, "before_cursor_execute", before)
    event.listen(engine, "after_cursor_execute", after)
    event.listen(engine, "handle_error", failed)


def _leave(context: Any, error: BaseException | None) -> None:
    running = getattr(context, "tamsoat_span", None)
    if running is None:
        return
    context.tamsoat_span = None
    if error is None:
        running.__exit__(None, None, None)
        return
    try:
        running.__exit__(type(error), error, None)
    except BaseException as same:
        if same is not error:
            raise


def add_trace_id(_logger: object, _method: str, fields: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Processor of the logs: ``trace_id`` of the running span, 32 hex digits; nothing where there is none."""
    if _installed:
        from opentelemetry.trace import get_current_span

        context = get_current_span().get_span_context()
        if context.is_valid:
            fields["trace_id"] = f"{context.trace_id:032x}"
    return fields
