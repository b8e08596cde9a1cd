"""SQL of the audit log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any, NamedTuple

from sqlalchemy import Select, bindparam, func, insert, select, text, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit.rows import Row
from tamsoat.inference_service.audit.tables import HEAD_ID
from tamsoat.inference_service.db.base import Base

READ_ROWS = 2_000
"""Rows fetched at a time while reading the whole log; bounds memory."""


class Head(NamedTuple):
    """Where the log ends."""

    sequence: int
    entry_hash: str


class StoredCheckpoint(NamedTuple):
    """One checkpoint, exactly as the database holds it."""

    size: int
    root: str
    created_at: str
    note: str


class StoredSubtree(NamedTuple):
    """The root of one complete subtree."""

    level: int
    position: int
    hash: str


class Filter(NamedTuple):
    """Which entries: of one facility (and, with ``installation``, those of none), and further limits where given."""

    facility: str | None = None
    installation: bool = True
    subject: str | None = None
    actor: str | None = None
    action: str | None = None
    since: str | None = None
    until: str | None = None
    """``occurred_at`` from ``since`` (included) to ``until`` (not included)."""


_ENTRIES, _HEADS = Base.metadata.tables["audit_entries"].c, Base.metadata.tables["audit_head"].c
_CHECKPOINTS, _SUBTREES = Base.metadata.tables["audit_checkpoints"].c, Base.metadata.tables["audit_subtrees"].c
_COLUMNS = [_ENTRIES[name] for name in Row._fields]
_HEAD = select(_HEADS.sequence, _HEADS.entry_hash).where(_HEADS.id == HEAD_ID)
_HEAD_LOCKED = _HEAD.with_for_update()
_ADD = insert(Base.metadata.tables["audit_entries"])
_MOVE_HEAD = (
    update(Base.metadata.tables["audit_head"])
    .where(_HEADS.id == HEAD_ID)
    .values(sequence=bindparam("last"), entry_hash=bindparam("last_hash"))
)
_STORED = select(*(_CHECKPOINTS[name] for name in StoredCheckpoint._fields))


def lock_head(session: Session) -> Head | None:
    """The head, locked until the transaction ends (on SQLite a writing transaction holds the only lock)."""
    row = session.execute(_HEAD_LOCKED).one_or_none()
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
    session.execute(_ADD, [row._asdict() for row in rows])
    session.execute(_MOVE_HEAD, {"last": rows[-1].sequence, "last_hash": rows[-1].entry_hash})


def stream(session: Session, after: int = 0, until: int | None = None) -> Iterator[Row]:
    """The entries after number ``after`` (up to ``until``) by rising sequence, a bounded number in memory at a time."""
    query = select(*_COLUMNS).order_by(_ENTRIES.sequence).execution_options(yield_per=READ_ROWS)
    if after:
        query = query.where(_ENTRIES.sequence > after)
    if until is not None:
        query = query.where(_ENTRIES.sequence <= until)
    with _tolerant(session):
        yield from map(Row._make, session.execute(query))


def find(session: Session, sequence: int) -> Row | None:
    """One entry."""
    row = session.execute(select(*_COLUMNS).where(_ENTRIES.sequence == sequence)).one_or_none()
    return None if row is None else Row(*row)


def find_by_subject(session: Session, subject: str) -> list[Row]:
    """The entries about one subject by rising sequence."""
    query = select(*_COLUMNS).where(_ENTRIES.subject == subject).order_by(_ENTRIES.sequence)
    return [Row(*row) for row in session.execute(query)]


def page(session: Session, wanted: Filter, limit: int, before: int | None) -> list[Row]:
    """At most ``limit`` entries, newest first, older than number ``before`` where it is given."""
    query = _filtered(wanted).order_by(_ENTRIES.sequence.desc()).limit(limit)
    if before is not None:
        query = query.where(_ENTRIES.sequence < before)
    return [Row(*row) for row in session.execute(query)]


def stream_filtered(session: Session, wanted: Filter) -> Iterator[Row]:
    """The entries by rising sequence, a bounded number in memory at a time."""
    query = _filtered(wanted).order_by(_ENTRIES.sequence).execution_options(yield_per=READ_ROWS)
    yield from map(Row._make, session.execute(query))


def count(session: Session, wanted: Filter) -> int:
    """How many entries there are."""
    return session.scalar(select(func.count()).select_from(_filtered(wanted).subquery())) or 0


def leaf_hashes(session: Session, first: int, count: int) -> list[str]:
    """The hashes of ``count`` entries from leaf ``first`` (counted from 0)."""
    query = select(_ENTRIES.entry_hash).where(_ENTRIES.sequence.between(first + 1, first + count))
    return list(session.scalars(query.order_by(_ENTRIES.sequence)))


def subtree_hashes(session: Session, level: int, first: int, count: int) -> list[str]:
    """The stored hashes of ``count`` subtrees of one level."""
    query = select(_SUBTREES.hash).where(_SUBTREES.level == level)
    query = query.where(_SUBTREES.position.between(first, first + count - 1)).order_by(_SUBTREES.position)
    return list(session.scalars(query))


def all_subtrees(session: Session) -> dict[tuple[int, int], str]:
    """Every stored subtree, by level and position (one for each 256 entries)."""
    rows = session.execute(select(_SUBTREES.level, _SUBTREES.position, _SUBTREES.hash))
    return {(level, position): digest for level, position, digest in rows}


def newest_checkpoint(session: Session) -> StoredCheckpoint | None:
    """The checkpoint that covers most, or None."""
    row = session.execute(_STORED.order_by(_CHECKPOINTS.size.desc()).limit(1)).one_or_none()
    return None if row is None else StoredCheckpoint(*row)


def find_checkpoint(session: Session, size: int) -> StoredCheckpoint | None:
    """The checkpoint of this size, or None."""
    row = session.execute(_STORED.where(_CHECKPOINTS.size == size)).one_or_none()
    return None if row is None else StoredCheckpoint(*row)


def checkpoints(session: Session, after: int = 0) -> list[StoredCheckpoint]:
    """The checkpoints of more than ``after`` entries, by rising size."""
    query = _STORED.where(_CHECKPOINTS.size > after).order_by(_CHECKPOINTS.size)
    return [StoredCheckpoint(*row) for row in session.execute(query)]


def checkpoint_page(session: Session, limit: int, before: int | None) -> list[StoredCheckpoint]:
    """At most ``limit`` checkpoints, newest first, smaller than ``before`` where it is given."""
    query = _STORED.order_by(_CHECKPOINTS.size.desc()).limit(limit)
    if before is not None:
        query = query.where(_CHECKPOINTS.size < before)
    return [StoredCheckpoint(*row) for row in session.execute(query)]


def add_checkpoint(session: Session, checkpoint: StoredCheckpoint, subtrees: Sequence[StoredSubtree]) -> None:
    """Insert a checkpoint with the subtrees that were completed since the one before."""
    if subtrees:
        session.execute(insert(Base.metadata.tables["audit_subtrees"]), [each._asdict() for each in subtrees])
    session.execute(insert(Base.metadata.tables["audit_checkpoints"]).values(checkpoint._asdict()))


def _filtered(wanted: Filter) -> Select[Any]:
    query = select(*_COLUMNS)
    if wanted.facility is not None:
        owned = _ENTRIES.facility == wanted.facility
        query = query.where(owned | _ENTRIES.facility.is_(None) if wanted.installation else owned)
    for column, value in ((_ENTRIES.subject, wanted.subject), (_ENTRIES.actor, wanted.actor),
                          (_ENTRIES.action, wanted.action)):  # fmt: skip
        if value is not None:
            query = query.where(column == value)
    if wanted.since is not None:
        query = query.where(_ENTRIES.occurred_at >= wanted.since)
    if wanted.until is not None:
        query = query.where(_ENTRIES.occurred_at < wanted.until)
    return query


@contextmanager
def _tolerant(session: Session) -> Iterator[None]:
    """Let SQLite hand out text that is not UTF-8: a tampered entry must be named, not stop the reading."""
    if session.get_bind().dialect.name != "sqlite":
        yield
        return
    driver: Any = session.connection().connection.driver_connection
    before, driver.text_factory = driver.text_factory, lambda raw: raw.decode("utf-8", "surrogateescape")
    try:
        yield
    finally:
        driver.text_factory = before
