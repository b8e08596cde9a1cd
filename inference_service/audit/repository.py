"""SQL of the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

from sqlalchemy import insert, select, text, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit.tables import HEAD_ID, AuditEntry, AuditHead
from tamsoat.inference_service.db.base import Base

READ_ROWS = 2_000
"""Rows fetched at a time while verifying; bounds memory."""


class Row(NamedTuple):
    """One stored entry, exactly as the database holds it."""

    sequence: int
    occurred_at: str
    actor: str
    action: str
    subject: str
    digests: str
    facility: str | None
    details: str | None
    previous_hash: str
    entry_hash: str


class Head(NamedTuple):
    """Where the log ends."""

    sequence: int
    entry_hash: str


_COLUMNS = [getattr(AuditEntry, name) for name in Row._fields]
_ENTRIES, _HEADS = Base.metadata.tables["audit_entries"], Base.metadata.tables["audit_head"]
_HEAD = select(AuditHead.sequence, AuditHead.entry_hash).where(AuditHead.id == HEAD_ID)


def lock_head(session: Session) -> Head | None:
    """The head, locked until the transaction ends (on SQLite a writing transaction holds the only lock)."""
    row = session.execute(_HEAD.with_for_update()).one_or_none()
    return None if row is None else Head(*row)


def begin_snapshot(session: Session) -> None:
    """Let this new transaction see the log as it is now, whatever is appended meanwhile (SQLite always does)."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))


def read_head(session: Session) -> Head | None:
    """The head, or None when its row is gone."""
    row = session.execute(_HEAD).one_or_none()
    return None if row is None else Head(*row)


def append(session: Session, rows: Sequence[Row]) -> None:
    """Insert ``rows`` (at least one) in their order and move the head to the last."""
    session.execute(insert(_ENTRIES), [row._asdict() for row in rows])
    last = rows[-1]
    session.execute(
        update(_HEADS).where(_HEADS.c.id == HEAD_ID).values(sequence=last.sequence, entry_hash=last.entry_hash)
    )


def stream(session: Session) -> Iterator[Row]:
    """Every entry by rising sequence, a bounded number in memory at a time."""
    query = select(*_COLUMNS).order_by(AuditEntry.sequence).execution_options(yield_per=READ_ROWS)
    for row in session.execute(query):
        yield Row(*row)


def find_by_subject(session: Session, subject: str) -> list[Row]:
    """The entries about one subject by rising sequence."""
    query = select(*_COLUMNS).where(AuditEntry.subject == subject).order_by(AuditEntry.sequence)
    return [Row(*row) for row in session.execute(query)]
