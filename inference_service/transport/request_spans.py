"""One span per HTTP request."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tamsoat.inference_service.transport import tracing

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")
"""Others are a caller's own words and are not written down."""


class TraceRequests:
    """Outermost middleware: one span per request, child of the caller's ``traceparent`` (W3C Trace Context)."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not tracing.enabled():
            await self.app(scope, receive, send)
            return
        from opentelemetry.trace import SpanKind, Status, StatusCode
        from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

        headers = Headers(scope=scope)
        # Not ``tracestate``: a caller may have written anything into it, and spans carry it on to the collector.
        carrier = {"traceparent": headers["traceparent"]} if "traceparent" in headers else {}
        parent = TraceContextTextMapPropagator().extract(carrier)
        status = 0

        async def send_seen(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        method = scope["method"] if scope["method"] in METHODS else "other"
        with tracing.open_span(method, {"http.request.method": method}, kind=SpanKind.SERVER, parent=parent) as current:
            try:
                await self.app(scope, receive, send_seen)
            finally:
                route = str(getattr(scope.get("route"), "path", "other"))
                current.update_name(f"{method} {route}")
                current.set_attribute("http.route", route)
                current.set_attribute("http.response.status_code", status)
                current.set_attribute("tamsoat.request_id", scope.get("tamsoat.request_id", ""))
                if status >= 500:
                    current.set_status(Status(StatusCode.ERROR))
