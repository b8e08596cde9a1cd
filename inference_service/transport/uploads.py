"""Limits on request bodies: their size and the time they take, enforced while they arrive."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import ClassVar

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.transport.problems import answer_error

LINGER_S = 2.0
LINGER_BYTES = 8 * 2**20
"""For how long, and how much, an answered client may go on sending before the connection is closed."""


MIN_RATE_BYTES_S = 2048
"""Slower than this on average, after its grace, an upload is broken off; a resumable one goes on where it was."""


class _BodyError(TamsoatError, HTTPException):
    """Also Starlette's own kind of error, because FastAPI hides any other that occurs while it reads a form."""

    status: ClassVar[int] = 400

    def __init__(self, detail: str) -> None:
        TamsoatError.__init__(self, detail)
        self.status_code = self.status
        self.headers = None


class UploadTooLargeError(_BodyError):
    """The request body is larger than the settings allow."""

    status = 413
    title = "Upload is too large"
    slug = "upload-too-large"


class UploadTooSlowError(_BodyError):
    """The request body did not arrive in time."""

    status = 408
    title = "Upload took too long"
    slug = "upload-too-slow"


@dataclass(frozen=True)
class BodyRule:
    """Limits for the paths that begin with ``prefix``, for example bodies that are streamed to disk and may take hours.

    ``idle_s``: longest pause. The whole body has ``grace_s`` plus a second for every ``min_rate_bytes_s`` bytes that
    arrived (None: no more than ``grace_s``), so that a line may be slow but a connection cannot be held open by a byte
    now and then.
    """

    prefix: str
    max_bytes: int
    idle_s: float
    grace_s: float
    min_rate_bytes_s: int | None = MIN_RATE_BYTES_S


class BodyLimit:
    """Stops reading at ``max_bytes`` (413; at once when Content-Length says so) or after ``timeout_s`` (408).

    A client that is answered early gets up to two seconds (and 8 MiB, thrown away) to stop sending, so that it
    can read the answer instead of a reset connection. ``rules`` come first; the first whose prefix fits counts.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, timeout_s: float, rules: tuple[BodyRule, ...] = ()) -> None:
        self.app = app
        self.rules = (*rules, BodyRule("", max_bytes, timeout_s, timeout_s, None))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = Headers(scope=scope) if scope["type"] == "http" else Headers()
        length = headers.get("content-length", "")
        if length in ("", "0") and "transfer-encoding" not in headers:
            await self.app(scope, receive, send)
            return
        rule = next(rule for rule in self.rules if scope["path"].startswith(rule.prefix))
        body = _Body(receive, send, rule)
        if length.isdecimal() and int(length) > rule.max_bytes:
            response = answer_error(Request(scope, receive), body.too_large())
            await response(scope, receive, body.send)
            return
        await self.app(scope, body.receive, body.send)


class _Body:
    """The body of one request on its way in."""

    def __init__(self, receive: Receive, send: Send, rule: BodyRule) -> None:
        self._receive, self._send = receive, send
        self._max_bytes, self._idle_s = rule.max_bytes, rule.idle_s
        self._min_rate_bytes_s = rule.min_rate_bytes_s
        self._clock = asyncio.get_running_loop().time
        self._deadline = self._clock() + rule.grace_s
        self._received_bytes = 0
        self._complete = False

    def too_large(self) -> UploadTooLargeError:
        return UploadTooLargeError(f"the upload is larger than the limit of {self._max_bytes / 2**20:g} MiB")

    async def receive(self) -> Message:
        if self._complete:
            return await self._receive()
        try:
            async with asyncio.timeout_at(min(self._deadline, self._clock() + self._idle_s)):
                message = await self._receive()
        except TimeoutError as error:
            raise UploadTooSlowError(f"the upload did not arrive in time (a pause of {self._idle_s:g} s)") from error
        count = len(message.get("body", b""))
        self._received_bytes += count
        if self._min_rate_bytes_s is not None:
            self._deadline += count / self._min_rate_bytes_s
        self._complete = not message.get("more_body", False)
        if self._received_bytes > self._max_bytes:
            raise self.too_large()
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start" and not self._complete:
            # Without it the server goes on reading, because it keeps the connection for the next request.
            MutableHeaders(scope=message)["connection"] = "close"
        last = message["type"] == "http.response.body" and not message.get("more_body", False)
        if not last or self._complete:
            await self._send(message)
            return
        await self._send({**message, "more_body": True})
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LINGER_S):
                await self._discard()
        await self._send({"type": "http.response.body", "body": b""})

    async def _discard(self) -> None:
        discarded_bytes = 0
        while not self._complete and discarded_bytes < LINGER_BYTES:
            message = await self._receive()
            discarded_bytes += len(message.get("body", b""))
            self._complete = not message.get("more_body", False)
