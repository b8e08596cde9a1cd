"""Plain ASGI middleware: request ids and access logs, host and origin checks, security headers."""

from __future__ import annotations

import re
import time
import uuid
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers, MutableHeaders
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.transport import rate_limits
from tamsoat.inference_service.transport.metrics import Metrics
from tamsoat.inference_service.transport.problems import answer_error

REQUEST_ID_HEADER = "x-request-id"
_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{8,64}")
_QUIET_ROUTES = ("/healthz", "/readyz", "/metrics")
_SAFE_METHODS = ("GET", "HEAD", "OPTIONS")

SECURITY_HEADERS = {
    "cache-control": "no-store",
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob:; connect-src 'self'; "
        "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(), geolocation=(), microphone=()",
}

log = structlog.get_logger("tamsoat.http")


class ForeignHostError(TamsoatError):
    """The request names a host that this service does not serve (a page elsewhere may be rebinding DNS)."""

    status = 421
    title = "Host not served here"
    slug = "host-not-served"


class CrossSiteError(TamsoatError):
    """A web page of another site tries to change something through the visitor's browser."""

    status = 403
    title = "Cross-site request refused"
    slug = "cross-site"


class RequestContext:
    """Outermost: names the request, catches what nothing else caught, logs and counts the answer.

    A caller's own ``X-Request-ID`` (8-64 letters, digits, ``.``, ``_``, ``-``) is kept, any other is replaced.
    """

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        offered = Headers(scope=scope).get(REQUEST_ID_HEADER, "")
        request_id = offered if _REQUEST_ID.fullmatch(offered) else uuid.uuid4().hex
        scope["tamsoat.request_id"] = request_id
        start_s, status = time.perf_counter(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers = MutableHeaders(scope=message)
                headers[REQUEST_ID_HEADER] = request_id
                if scope["app"].state.drain.active:
                    headers["connection"] = "close"
                for name, value in rate_limits.headers_of(scope).items():
                    headers[name] = value
                for name, value in SECURITY_HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        with structlog.contextvars.bound_contextvars(request_id=request_id):
            try:
                await self.app(scope, receive, send_named)
            except Exception as error:
                if status:
                    raise
                await answer_error(Request(scope, receive), error)(scope, receive, send_named)
            finally:
                _record(scope, status, time.perf_counter() - start_s)


class HostGuard:
    """Refuses requests for other hosts (421) and changes asked for by other sites' pages (403).

    Without accounts, whatever reaches the loopback address is trusted; a web page must not be able to borrow
    that trust through the browser of someone who sits at this machine.
    """

    def __init__(self, app: ASGIApp, host_names: frozenset[str]) -> None:
        self.app = app
        self.host_names = host_names

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http":
            error = self._objection(scope["method"], Headers(scope=scope))
            if error is not None:
                await answer_error(Request(scope, receive), error)(scope, receive, send)
                return
        await self.app(scope, receive, send)

    def _objection(self, method: str, headers: Headers) -> TamsoatError | None:
        if _host_name(headers.get("host", "")) not in self.host_names:
            return ForeignHostError(
                "this host name is not served here: use 127.0.0.1, or add the name to TAMSOAT_ALLOWED_HOSTS"
            )
        if method in _SAFE_METHODS:
            return None
        origin = headers.get("origin")
        foreign = headers.get("sec-fetch-site") in ("cross-site", "same-site") or (
            origin is not None and _host_name(urlsplit(origin).netloc) not in self.host_names
        )
        return CrossSiteError("a page of another site may not send requests here") if foreign else None


def _record(scope: Scope, status: int, seconds: float) -> None:
    """Log and count one answered request."""
    metrics: Metrics = scope["app"].state.runtime.metrics
    # The route's template, not the path: a path may hold an identifier.
    route = str(getattr(scope.get("route"), "path", "other"))
    method = scope["method"] if scope["method"] in ("GET", "HEAD", "POST", "OPTIONS") else "other"
    metrics.requests.labels(method, route, str(status)).inc()
    metrics.request_seconds.labels(method, route).observe(seconds)
    problem = scope.get("tamsoat.problem")
    if problem:
        metrics.problems.labels(problem).inc()
    write = log.debug if route in _QUIET_ROUTES else log.info
    write("request", method=method, route=route, status=status, seconds=round(seconds, 4), problem=problem)


def _host_name(host: str) -> str:
    """The name in ``name:port`` or ``[v6]:port``, lower case; "" where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
