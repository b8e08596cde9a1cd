"""The append-only log and its head.

Times, digests and hashes are stored as the exact text that was hashed, so that verification never depends
on how a database or a driver represents a value.
"""

from __future__ import annotations

from sqlalchemy import BigInteger, CheckConstraint, Index, Integer, String, Text
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base

GENESIS_HASH = "0" * 64
"""``previous_hash`` of entry 1 and ``entry_hash`` of the head of an empty log."""

HEAD_ID = 1


class AuditEntry(Base):
    """One event. Rows are inserted, never changed or removed (triggers refuse both)."""

    __tablename__ = "audit_entries"
    __table_args__ = (Index("ix_audit_entries_facility_sequence", "facility", "sequence"),)

    sequence: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False
    )
    """1, 2, 3, … without gaps."""
    occurred_at: Mapped[str] = mapped_column(String(32))
    """UTC, ``2026-01-31T08:00:00.000000Z``."""
    actor: Mapped[str] = mapped_column(String(200))
    action: Mapped[str] = mapped_column(String(64))
    """``noun:verb`` of :class:`tamsoat.inference_service.audit.schemas.Action`."""
    subject: Mapped[str] = mapped_column(String(200), index=True)
    """``noun:identifier`` of what the event is about."""
    digests: Mapped[str] = mapped_column(Text())
    """Canonical JSON object: name → lower-case hex SHA-256."""
    facility: Mapped[str | None] = mapped_column(String(36))
    """Whose row it is about; None: the installation's."""
    details: Mapped[str | None] = mapped_column(Text())
    """Canonical JSON object of identifiers, codes and counts; None: there are none."""
    previous_hash: Mapped[str] = mapped_column(String(64))
    entry_hash: Mapped[str] = mapped_column(String(64))


class AuditHead(Base):
    """The one row that says where the log ends; whoever appends locks it, so there is one writer at a time."""

    __tablename__ = "audit_head"
    __table_args__ = (CheckConstraint("id = 1", name="single_row"),)

    id: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    sequence: Mapped[int] = mapped_column(BigInteger().with_variant(Integer(), "sqlite"))
    entry_hash: Mapped[str] = mapped_column(String(64))


class AuditCheckpoint(Base):
    """The signed state of the log when it had ``size`` entries. Rows are inserted, never changed or removed."""

    __tablename__ = "audit_checkpoints"

    size: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False
    )
    root: Mapped[str] = mapped_column(String(64))
    """Root of the Merkle tree over the first ``size`` entries, hex."""
    created_at: Mapped[str] = mapped_column(String(32))
    """UTC, as ``AuditEntry.occurred_at``; part of the signed text."""
    note: Mapped[str] = mapped_column(Text())
    """The signed text (C2SP tlog-checkpoint), signature included: what is kept elsewhere."""


class AuditSubtree(Base):
    """The root of a complete subtree of 2**level entries, kept so that proofs need not read the whole log.

    Derived from the entries, and rebuilt and compared by verification. Levels are multiples of 8.
    """

    __tablename__ = "audit_subtrees"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    level: Mapped[int] = mapped_column(Integer, primary_key=True, autoincrement=False)
    position: Mapped[int] = mapped_column(
        BigInteger().with_variant(Integer(), "sqlite"), primary_key=True, autoincrement=False
    )
    """The subtree holds entries ``position * 2**level + 1`` to ``(position + 1) * 2**level``."""
    hash: Mapped[str] = mapped_column(String(64))
