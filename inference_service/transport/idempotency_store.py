"""The stored side of ``Idempotency-Key``: who may execute a request, and what was answered to it."""

from __future__ import annotations

import base64
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import cast

from sqlalchemy import CursorResult, delete, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.transport.idempotency_tables import IdempotentRequest

LEASE_S = 30.0
"""A first request that neither answers nor renews its lease for this long is taken for dead."""


@dataclass(frozen=True)
class Reply:
    """What was answered; ``headers`` are those that belong to the answer's content."""

    status: int
    body: bytes
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Held:
    """The caller executes the request, as ``holder``."""

    holder: str


@dataclass(frozen=True)
class InFlight:
    """Another request with the key is being executed; ``seconds`` until its lease ends."""

    seconds: float


@dataclass(frozen=True)
class OtherPayload:
    """The key was used for something else."""


Outcome = Held | InFlight | OtherPayload | Reply


def look(database: Database, key: str, payload: str) -> Outcome | None:
    """What is known about the key; None where nothing is, or its lease has ended."""
    now = datetime.now(UTC)
    with database.read() as session:
        row = session.get(IdempotentRequest, key)
        return None if row is None or row.expires_at <= now else _judge(row, payload, now)


def acquire(database: Database, key: str, payload: str, facility_id: str, kept_for: timedelta) -> Outcome:
    """Take the right to execute the request, or say why not. One of any number of callers gets it."""
    try:
        return _acquire(database, key, payload, facility_id, kept_for)
    except IntegrityError:
        # Another process has inserted the row meanwhile: its request is the first one.
        return look(database, key, payload) or InFlight(LEASE_S)


def _acquire(database: Database, key: str, payload: str, facility_id: str, kept_for: timedelta) -> Outcome:
    now = datetime.now(UTC)
    holder = str(uuid.uuid4())
    values = {"holder": holder, "lease_until": now + timedelta(seconds=LEASE_S), "expires_at": now + kept_for}
    with database.write() as session:
        session.execute(delete(IdempotentRequest).where(IdempotentRequest.expires_at <= now))
        row = session.execute(select(IdempotentRequest).where(IdempotentRequest.id == key).with_for_update()).scalar()
        if row is None:
            session.add(IdempotentRequest(id=key, payload=payload, facility_id=facility_id, **values))
            session.flush()
            return Held(holder)
        known = _judge(row, payload, now)
        if known is None:
            session.execute(update(IdempotentRequest).where(IdempotentRequest.id == key).values(**values))
            return Held(holder)
        return known


def renew(database: Database, key: str, holder: str) -> bool:
    """Extend the lease; False where it was lost."""
    until = datetime.now(UTC) + timedelta(seconds=LEASE_S)
    with database.write() as session:
        return _change(session, key, holder, {"lease_until": until})


def complete(session: Session, key: str, holder: str, reply: Reply) -> bool:
    """Store the answer in the caller's transaction; False where the lease was lost: then nothing may be committed."""
    content = {"headers": dict(reply.headers), "body": base64.b64encode(reply.body).decode("ascii")}
    return _change(session, key, holder, {"status": reply.status, "reply": json.dumps(content)})


def release(database: Database, key: str, holder: str) -> None:
    """Forget the key: the request failed, and nothing was stored of it."""
    with database.write() as session:
        session.execute(
            delete(IdempotentRequest).where(
                IdempotentRequest.id == key, IdempotentRequest.holder == holder, IdempotentRequest.status.is_(None)
            )
        )


def _change(session: Session, key: str, holder: str, values: dict[str, object]) -> bool:
    changed = session.execute(
        update(IdempotentRequest)
        .where(IdempotentRequest.id == key, IdempotentRequest.holder == holder, IdempotentRequest.status.is_(None))
        .values(**values)
    )
    return cast("CursorResult[tuple[()]]", changed).rowcount == 1


def _judge(row: IdempotentRequest, payload: str, now: datetime) -> Outcome | None:
    if row.payload != payload:
        return OtherPayload()
    if row.status is not None:
        content = json.loads(row.reply or "{}")
        return Reply(row.status, base64.b64decode(content["body"]), content["headers"])
    return InFlight((row.lease_until - now).total_seconds()) if row.lease_until > now else None
