"""Append to the log and prove that it is whole."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import repository
from tamsoat.inference_service.audit.repository import Head, Row
from tamsoat.inference_service.audit.schemas import Event, Verification, canonical_json, entry_hash
from tamsoat.inference_service.audit.tables import GENESIS_HASH
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
    """Read every entry and name the first one that was changed, removed, inserted or moved.

    An entry is whole when its number follows the one before, its hash is the hash of its content, and it
    names the hash of the entry before. The head row guards the end of the log against truncation. To be
    called first in a new session.
    """
    repository.begin_snapshot(session)
    head = repository.read_head(session)
    return verify_rows(repository.stream(session), head)


def verify_rows(rows: Iterable[Row], head: Head | None) -> Verification:
    """Check ``rows`` (by rising sequence) against each other and against ``head``; see :func:`verify`."""
    count = 0
    before_last_hash, last_hash = "", GENESIS_HASH
    for row, following in _with_next(rows):
        expected = count + 1
        if row.sequence != expected:
            bad = min(row.sequence, expected) if isinstance(row.sequence, int) else expected
            return Verification(count, bad, f"entry {expected} is missing or out of order")
        whole = _is_whole(row)
        if whole and row.previous_hash == last_hash:
            before_last_hash, last_hash = last_hash, row.entry_hash
            count += 1
            continue
        next_hash = following.previous_hash if following else (head.entry_hash if head else "")
        return _blame(row, whole, next_hash, before_last_hash, count)
    return _check_end(count, last_hash, head)


def _blame(row: Row, whole: bool, next_hash: str, before_last_hash: str, count: int) -> Verification:
    """Say which of two neighbours is wrong where the link between them is broken."""
    sequence = row.sequence
    # The row is vouched for by the next one, or it is whole under the number before its own and still names
    # the entry before the last: then the entry in between was rewritten, or inserted, with its hash.
    vouched = whole and row.entry_hash == next_hash
    pushed = row.previous_hash == before_last_hash and _is_whole(row._replace(sequence=sequence - 1))
    if sequence > 1 and (vouched or pushed):
        return Verification(count - 1, sequence - 1, f"entry {sequence - 1} was replaced or inserted")
    if not whole:
        return Verification(count, sequence, f"entry {sequence} was changed: its hash does not match its content")
    return Verification(count, sequence, f"entry {sequence} does not continue the entry before it")


def _check_end(count: int, last_hash: str, head: Head | None) -> Verification:
    if head is None:
        return Verification(count, count + 1, "the head of the log is missing")
    if head.sequence > count:
        return Verification(count, count + 1, f"entries {count + 1} to {head.sequence} are missing at the end")
    if head.sequence < count:
        return Verification(count, head.sequence + 1, f"entry {head.sequence + 1} was added after the head of the log")
    if head.entry_hash != last_hash:
        return Verification(count, max(count, 1), f"entry {count} is not the one that the head of the log names")
    return Verification(count)


def content_hash(row: Row) -> str:
    """The hash that the content of ``row`` asks for.

    Raises:
        ValueError, TypeError: the content is not what :func:`append` writes (digests not canonical JSON).
    """
    digests = json.loads(row.digests)
    details = None if row.details is None else json.loads(row.details)
    if canonical_json(digests) != row.digests or (details is not None and canonical_json(details) != row.details):
        raise ValueError("digests or details are not canonical JSON")
    return entry_hash(
        sequence=row.sequence,
        occurred_at=row.occurred_at,
        actor=row.actor,
        action=row.action,
        subject=row.subject,
        digests=digests,
        previous_hash=row.previous_hash,
        facility=row.facility,
        details=details,
    )


def _is_whole(row: Row) -> bool:
    try:
        return content_hash(row) == row.entry_hash
    except (TypeError, ValueError):
        return False


def _with_next(rows: Iterable[Row]) -> Iterator[tuple[Row, Row | None]]:
    iterator = iter(rows)
    current = next(iterator, None)
    while current is not None:
        following = next(iterator, None)
        yield current, following
        current = following
