"""Append to the log and prove that it is whole."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import repository, verification
from tamsoat.inference_service.audit.repository import Head
from tamsoat.inference_service.audit.rows import Row, content_hash
from tamsoat.inference_service.audit.schemas import Event, Verification, canonical_json
from tamsoat.inference_service.errors import TamsoatError


class AuditBrokenError(TamsoatError):
    """The log cannot be continued: its head is missing."""

    status = 500
    title = "Audit log broken"
    slug = "audit-broken"
    exit_code = 1


def append(session: Session, event: Event) -> int:
    """Add ``event`` to the log inside the caller's writing transaction and return its sequence number.

    The change that the event records belongs to the same transaction: both are stored, or neither.

    Raises:
        AuditBrokenError: the head of the log is missing (someone removed it); nothing may follow.
    """
    return append_all(session, [event])


def append_all(session: Session, events: Sequence[Event]) -> int:
    """Add ``events`` in their order, as :func:`append` does, and return the last one's sequence number.

    Raises:
        AuditBrokenError: see :func:`append`.
    """
    head = repository.lock_head(session)
    if head is None:
        raise AuditBrokenError("the head of the audit log is missing; run `tamsoat audit verify` and call IT")
    rows = chain(events, head, datetime.now(UTC))
    if rows:
        repository.append(session, rows)
    return head.sequence + len(rows)


def chain(events: Iterable[Event], head: Head, moment: datetime) -> list[Row]:
    """The rows of ``events`` after ``head``, each with its place and hash."""
    occurred_at = moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
    rows: list[Row] = []
    sequence, last_hash = head
    for event in events:
        sequence += 1
        unhashed = Row(
            sequence=sequence,
            occurred_at=occurred_at,
            actor=event.actor,
            action=event.action.value,
            subject=event.subject,
            digests=canonical_json(dict(event.digests)),
            facility=event.facility,
            details=canonical_json(dict(event.details)) if event.details else None,
            previous_hash=last_hash,
            entry_hash="",
        )
        last_hash = content_hash(unhashed)
        rows.append(unhashed._replace(entry_hash=last_hash))
    return rows


def verify(session: Session) -> Verification:
    """Read the whole log and name the first bad entry; signatures are not checked (see ``verification.verify``)."""
    return verification.verify(session)
