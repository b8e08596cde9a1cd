"""Plain ASGI middleware: request ids and access logs, host and origin checks, security headers."""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterable
from functools import lru_cache
from urllib.parse import urlsplit

import structlog
from starlette.datastructures import Headers
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

_SECURITY_HEADERS = [(name.encode(), value.encode()) for name, value in SECURITY_HEADERS.items()]

log = structlog.get_logger("tamsoat.http")
_levels = logging.getLogger("tamsoat.http")


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
        request_id = offered if _REQUEST_ID.fullmatch(offered) else f"{random.getrandbits(128):032x}"
        scope["tamsoat.request_id"] = request_id
        start_s, status = time.perf_counter(), 0

        async def send_named(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = _completed(scope, request_id, message.get("headers", ()))
            await send(message)

        # Every request has a task, and so a context, of its own: nothing needs to be taken back.
        structlog.contextvars.bind_contextvars(request_id=request_id)
        try:
            await self.app(scope, receive, send_named)
        except Exception as error:
            if status:
                raise
            await answer_error(Request(scope, receive), error)(scope, receive, send_named)
        finally:
            _record(scope, status, time.perf_counter() - start_s)


def _completed(scope: Scope, request_id: str, headers: Iterable[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
    """The headers of an answer and those that every answer has; an answer's own ones win over ours."""
    given = list(headers)
    names = {name for name, _ in given}
    given += [pair for pair in _SECURITY_HEADERS if pair[0] not in names]
    given.append((REQUEST_ID_HEADER.encode(), request_id.encode()))
    for name, value in rate_limits.headers_of(scope).items():
        given.append((name.encode(), value.encode()))
    if scope["app"].state.drain.active:
        given = [pair for pair in given if pair[0] != b"connection"]
        given.append((b"connection", b"close"))
    return given


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
    counted, timed = metrics.of_request(method, route, status)
    counted.inc()
    timed.observe(seconds)
    problem = scope.get("tamsoat.problem")
    if problem:
        metrics.problems.labels(problem).inc()
    level = logging.DEBUG if route in _QUIET_ROUTES else logging.INFO
    if _levels.isEnabledFor(level):
        log.log(level, "request", method=method, route=route, status=status, seconds=round(seconds, 4), problem=problem)


@lru_cache(256)
def _host_name(host: str) -> str:
    """The name in ``name:port`` or ``[v6]:port``, lower case; "" where there is none."""
    try:
        return (urlsplit(f"//{host}").hostname or "").lower()
    except ValueError:
        return ""
