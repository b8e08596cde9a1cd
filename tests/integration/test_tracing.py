"""Traces: what is in them, and what never is."""

from __future__ import annotations

import io
import json
from collections.abc import Iterator

import pytest
import structlog
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from starlette.testclient import TestClient

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport import logs, tracing

TRACE_ID = "4bf92f3577b34da6a3ce929d0e0e4736"
CALLER_SPAN = "00f067aa0ba902b7"
MARKER = "Nguyen-Thi-Marker"


@pytest.fixture
def spans() -> Iterator[InMemorySpanExporter]:
    exporter = InMemorySpanExporter()
    provider = TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    tracing.install(provider)
    yield exporter
    tracing.shut_down()


@pytest.fixture
def traced(spans: InMemorySpanExporter, service_settings: Settings) -> Iterator[TestClient]:
    with TestClient(create_app(service_settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        spans.clear()
        yield client


def _by_name(spans: InMemorySpanExporter) -> dict[str, ReadableSpan]:
    return {span.name: span for span in spans.get_finished_spans()}


def test_a_request_is_one_trace_that_continues_the_callers(
    traced: TestClient, spans: InMemorySpanExporter, field_jpeg: bytes
) -> None:
    answer = traced.post(
        "/api/v1/inference",
        files={"image": (f"{MARKER}.jpg", field_jpeg)},
        data={"objective": "40"},
        headers={"traceparent": f"00-{TRACE_ID}-{CALLER_SPAN}-01", "x-request-id": "request-0001"},
    )
    assert answer.status_code == 200
    found = spans.get_finished_spans()
    assert {format(span.context.trace_id, "032x") for span in found} == {TRACE_ID}
    names = {span.name for span in found}
    assert {"POST /api/v1/inference", "decode", "engine", "database INSERT", "database SELECT"} <= names
    root = _by_name(spans)["POST /api/v1/inference"]
    assert root.parent is not None
    assert format(root.parent.span_id, "016x") == CALLER_SPAN
    assert dict(root.attributes or {}) == {
        "http.request.method": "POST",
        "http.route": "/api/v1/inference",
        "http.response.status_code": 200,
        "tamsoat.request_id": "request-0001",
    }


def test_spans_hold_templates_and_never_what_was_sent(traced: TestClient, spans: InMemorySpanExporter) -> None:
    traced.get(f"/api/v1/analyses/{MARKER}?name={MARKER}")
    traced.get(f"/{MARKER}")
    traced.post("/api/v1/inference", files={"image": (f"{MARKER}.jpg", MARKER.encode())}, data={"objective": "40"})
    found = spans.get_finished_spans()
    assert "GET /api/v1/analyses/{analysis_id}" in {span.name for span in found}
    assert MARKER not in "".join(span.to_json() for span in found)


def test_an_error_is_marked_by_its_kind_alone(spans: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match=MARKER), tracing.span("decode"):
        raise ValueError(MARKER)
    (span,) = spans.get_finished_spans()
    assert not span.status.is_ok
    assert (span.attributes or {})["error.type"] == "ValueError"
    assert MARKER not in span.to_json()


def test_log_lines_carry_the_trace(spans: InMemorySpanExporter, monkeypatch: pytest.MonkeyPatch) -> None:
    stream = io.StringIO()
    monkeypatch.setattr("sys.stderr", stream)
    logs.configure("info", "json")
    with tracing.span("engine"):
        structlog.get_logger("tamsoat.test").info("inside")
    structlog.get_logger("tamsoat.test").info("outside")
    inside, outside = (json.loads(line) for line in stream.getvalue().splitlines())
    (span,) = spans.get_finished_spans()
    assert inside["trace_id"] == format(span.context.trace_id, "032x")
    assert "trace_id" not in outside


def test_without_an_endpoint_nothing_is_recorded(service_settings: Settings) -> None:
    tracing.configure("")
    assert not tracing.enabled()
    with TestClient(create_app(service_settings), base_url="http://127.0.0.1") as client:
        assert client.get("/healthz").status_code == 200
    with tracing.span("engine", tiles=3):
        assert not tracing.enabled()
