"""``Idempotency-Key`` (IETF draft-ietf-httpapi-idempotency-key-header-07): a repeated request has one effect.

An endpoint takes part with two words: its router has ``route_class=IdempotentRoute`` (or a subclass), and the
operation has ``dependencies=[idempotency_key(required_for_clients=…)]``. Inside the transaction of its change it
calls :func:`keep`, so that the change and the answer are stored together: whatever dies when, the request is executed
once. Without that call the answer is stored after the change, and a crash in between lets a retry execute it again.

A key belongs to one caller at one endpoint. Only answers with a 2xx status are kept; after an error the key is free.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import math
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Mapping
from contextvars import ContextVar
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from typing import Annotated, Any

import structlog
from anyio import CancelScope, to_thread
from fastapi import Depends, Header
from fastapi.routing import APIRoute
from pydantic import BaseModel
from sqlalchemy.orm import Session
from starlette.datastructures import UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from tamsoat.inference_service.accounts.access import Access, Principal, declaration
from tamsoat.inference_service.db import encryption
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport import idempotency_store as store
from tamsoat.inference_service.transport.idempotency_store import Held, InFlight, OtherPayload, Outcome, Reply

HEADER = "idempotency-key"
REPLAYED_HEADER = "idempotency-replayed"
KEY_LENGTH_MAX = 255
KEPT_HEADERS = ("content-type", "location", "etag")
_CHUNK_BYTES = 1 << 20
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.02, 0.25

log = structlog.get_logger("tamsoat.idempotency")


class IdempotencyKeyError(TamsoatError):
    """The `Idempotency-Key` is missing where it is required, or is not 1 to 255 printable ASCII characters."""

    status = 400
    title = "Idempotency key missing or malformed"
    slug = "idempotency-key"


class RequestInFlightError(TamsoatError):
    """The first request with this `Idempotency-Key` is still being executed."""

    status = 409
    title = "Request is in flight"
    slug = "request-in-flight"

    def __init__(self, retry_after_s: int) -> None:
        super().__init__("the first request with this Idempotency-Key is still being executed; repeat it in a moment")
        self.retry_after_s = retry_after_s

    def http_headers(self) -> dict[str, str]:
        return {"Retry-After": str(self.retry_after_s)}


class KeyReusedError(TamsoatError):
    """This `Idempotency-Key` was used for a different request."""

    status = 422
    title = "Idempotency key reused"
    slug = "idempotency-key-reused"


ERRORS = (IdempotencyKeyError, RequestInFlightError, KeyReusedError)
"""For ``describe`` of an endpoint that takes part."""


@dataclass
class _Execution:
    """The request that is being executed under a key."""

    key: str
    holder: str
    reply: Reply | None = field(default=None)


_current: ContextVar[_Execution | None] = ContextVar("tamsoat_idempotent_execution", default=None)


@dataclass(frozen=True)
class IdempotencyKey:
    """The declaration of one operation; as a dependency it only describes the header, the route does the work."""

    required_for_clients: bool

    def __call__(
        self,
        idempotency_key: Annotated[
            str | None,
            Header(
                description="A value that names this request, for example a UUID; the same value makes a retry safe. "
                "1 to 255 printable ASCII characters",
                examples=["8e03978e-40d5-43e8-bc93-6894a57f9324"],
            ),
        ] = None,
    ) -> None:
        return None


def idempotency_key(*, required_for_clients: bool = False) -> Any:
    """``Depends`` for an operation of an :class:`IdempotentRoute`; machine clients may be obliged to send the key."""
    return Depends(IdempotencyKey(required_for_clients))


def keep(session: Session, answer: BaseModel, *, status: int = 200, headers: Mapping[str, str] | None = None) -> None:
    """Store what will be answered in the transaction of the change; nothing where the request carries no key.

    ``headers``: those of ``KEPT_HEADERS`` that the endpoint sets, for example ``Location``.

    Raises:
        RequestInFlightError: this attempt took so long that another has taken over; the transaction must roll back.
    """
    execution = _current.get()
    if execution is None:
        return
    kept = {"content-type": "application/json", **{name.lower(): value for name, value in (headers or {}).items()}}
    reply = Reply(status, answer.model_dump_json(by_alias=True).encode(), kept)
    if not store.complete(session, execution.key, execution.holder, reply):
        raise RequestInFlightError(1)
    execution.reply = reply


class IdempotentRoute(APIRoute):
    """A route that executes a request once per ``Idempotency-Key`` and replays its answer."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()
        declared = next(
            (found.call for found in self.dependant.dependencies if isinstance(found.call, IdempotencyKey)), None
        )
        access = declaration(self)
        if declared is None or not isinstance(access, Access):
            return handle
        template = self.path_format

        async def handle_once(request: Request) -> Response:
            sent = request.headers.get(HEADER)
            if sent is None and not declared.required_for_clients:
                return await handle(request)
            principal = await to_thread.run_sync(access, request)
            if sent is None and principal.kind != "client":
                return await handle(request)
            if sent is None:
                raise IdempotencyKeyError("send an Idempotency-Key, for example a UUID, and the same one on a retry")
            return await _once(request, handle, _row_key(request, principal, template, sent), principal.facility_id)

        return handle_once


async def _once(
    request: Request, handle: Callable[[Request], Coroutine[Any, Any, Response]], key: str, facility_id: str
) -> Response:
    runtime = request.app.state.runtime
    database: Database = runtime.database
    payload = await _payload_digest(request)
    outcome = await _wait_for_turn(runtime.settings, database, key, payload, facility_id)
    if not isinstance(outcome, Held):
        await request.close()
    if isinstance(outcome, Reply):
        return Response(outcome.body, outcome.status, {**outcome.headers, REPLAYED_HEADER: "true"})
    if isinstance(outcome, InFlight):
        raise RequestInFlightError(max(1, math.ceil(min(outcome.seconds, store.LEASE_S / 10))))
    if isinstance(outcome, OtherPayload):
        raise KeyReusedError("this Idempotency-Key was used for a request with other content; choose a new one")
    execution = _Execution(key, outcome.holder)
    token = _current.set(execution)
    done = False
    try:
        async with _renewed(database, execution):
            response = await handle(request)
        if execution.reply is None and response.status_code < 300:
            await to_thread.run_sync(partial(_complete_late, database, execution, response))
        done = response.status_code < 300
        return response
    finally:
        _current.reset(token)
        if not done:
            with CancelScope(shield=True):
                await to_thread.run_sync(store.release, database, key, execution.holder)


async def _wait_for_turn(settings: Settings, database: Database, key: str, payload: str, facility_id: str) -> Outcome:
    """Execute at once, or wait for the first request's answer as long as the settings say."""
    kept_for = timedelta(hours=settings.idempotency_hours)
    deadline_s = time.monotonic() + settings.idempotency_wait_s
    pause_s = _FIRST_PAUSE_S
    while True:
        outcome = await to_thread.run_sync(store.look, database, key, payload)
        if outcome is None:
            outcome = await to_thread.run_sync(store.acquire, database, key, payload, facility_id, kept_for)
        if not isinstance(outcome, InFlight) or time.monotonic() >= deadline_s:
            return outcome
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, _LONGEST_PAUSE_S)


@contextlib.asynccontextmanager
async def _renewed(database: Database, execution: _Execution) -> AsyncIterator[None]:
    """Renew the lease while the request is executed."""

    async def renewing() -> None:
        while True:
            await asyncio.sleep(store.LEASE_S / 3)
            try:
                if not await to_thread.run_sync(store.renew, database, execution.key, execution.holder):
                    return
            except TamsoatError as error:
                log.warning("idempotency_lease_not_renewed", problem=error.slug)

    task = asyncio.create_task(renewing())
    try:
        yield
    finally:
        task.cancel()


def _complete_late(database: Database, execution: _Execution, response: Response) -> None:
    headers = {name: response.headers[name] for name in KEPT_HEADERS if name in response.headers}
    reply = Reply(response.status_code, bytes(response.body), headers)
    with database.write() as session:
        if not store.complete(session, execution.key, execution.holder, reply):
            log.warning("idempotency_lease_lost")


def _row_key(request: Request, principal: Principal, template: str, sent: str) -> str:
    key = sent[1:-1] if len(sent) > 1 and sent[0] == sent[-1] == '"' else sent
    if not 1 <= len(key) <= KEY_LENGTH_MAX or not key.isascii() or not key.isprintable():
        raise IdempotencyKeyError("an Idempotency-Key has 1 to 255 printable ASCII characters, for example a UUID")
    return _keyed(principal.facility_id, principal.actor, request.method, template, key)


def _keyed(*parts: str) -> str:
    """HMAC-SHA-256 (hex) under the installation's search key: personal data cannot be guessed back from it."""
    framed = b"".join(len(part.encode()).to_bytes(8, "big") + part.encode() for part in ("idempotency", *parts))
    return hmac.new(encryption.installed().search, framed, hashlib.sha256).hexdigest()


async def _payload_digest(request: Request) -> str:
    """Keyed hash of path, query and body; of a form: of every field, and of the content of every file."""
    parts = [request.url.path, request.url.query]
    content_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if content_type in ("multipart/form-data", "application/x-www-form-urlencoded"):
        try:
            form = await request.form()
        except HTTPException:
            raise
        except Exception as error:  # as FastAPI does: the client left, or the form is broken
            raise HTTPException(400, "There was an error parsing the body") from error
        for name, value in form.multi_items():
            parts.append(name)
            parts.append(await _file_digest(value) if isinstance(value, UploadFile) else f"text:{value}")
    else:
        parts += [content_type, hashlib.sha256(await request.body()).hexdigest()]
    return _keyed(*parts)


async def _file_digest(upload: UploadFile) -> str:
    digest = hashlib.sha256()
    while chunk := await upload.read(_CHUNK_BYTES):
        digest.update(chunk)
    await upload.seek(0)
    return f"file:{digest.hexdigest()}"
