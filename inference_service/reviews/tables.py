"""Marks of readers on cells, what each reader has looked at, and first impressions from before the AI was shown."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Float, ForeignKey, Index, Integer, LargeBinary, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText

_KEY = BigInteger().with_variant(Integer(), "sqlite")

AGREE, REGRADE, DISMISS, ADD = "agree", "regrade", "dismiss", "add"


class Mark(Base):
    """One statement of one reader about one cell. Findings of the AI are never changed, and no mark is ever deleted.

    The state of a finding for a reader is that reader's latest mark on it that was not withdrawn.
    """

    __tablename__ = "marks"
    __table_args__ = (
        UniqueConstraint("batch", "position"),
        Index("ix_marks_case_id_number", "case_id", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_KEY, primary_key=True)
    """Order of arrival; internal."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    case_id: Mapped[str] = mapped_column(String(36))
    slide_id: Mapped[str] = mapped_column(String(36), index=True)
    analysis_id: Mapped[str | None] = mapped_column(String(36))
    """The analysis whose finding it is about; None for an added cell."""
    author: Mapped[str] = mapped_column(String(64))
    """Account identifier, or ``local`` without sign-in."""
    kind: Mapped[str] = mapped_column(String(16))
    """agree, regrade, dismiss, add."""
    rank: Mapped[int | None] = mapped_column(Integer)
    """Of the finding in its analysis; None for an added cell."""
    x_px: Mapped[float] = mapped_column(Float(53))
    y_px: Mapped[float] = mapped_column(Float(53))
    """Centre in pixels of the slide at full resolution; of a finding: where the AI saw it."""
    category: Mapped[str | None] = mapped_column(String(32))
    """What the reader calls it: of regraded and added cells."""
    comment: Mapped[str | None] = mapped_column(EncryptedText("marks.comment"))
    batch: Mapped[str] = mapped_column(String(36))
    """UUID that the client gave to one action; it is stored, and withdrawn, as a whole."""
    position: Mapped[int] = mapped_column(Integer)
    """Place in its batch, from 0."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    withdrawn_at: Mapped[datetime | None] = mapped_column(UtcDateTime())


class Coverage(Base):
    """What one reader has had in view of one slide, and which findings that reader has chosen one by one."""

    __tablename__ = "coverages"

    case_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    slide_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    reader: Mapped[str] = mapped_column(String(64), primary_key=True)
    columns: Mapped[int] = mapped_column(Integer)
    rows: Mapped[int] = mapped_column(Integer)
    cell_um: Mapped[float] = mapped_column(Float(53))
    """Side of a cell of the grid, micrometres at the specimen."""
    bits: Mapped[bytes] = mapped_column(LargeBinary)
    """Row after row from the top left; cell ``i`` is ``bits[i >> 3] >> (i & 7) & 1``: it was in view at the
    magnification of screening or a higher one."""
    looked: Mapped[bytes] = mapped_column(LargeBinary)
    """The same for findings by rank: it was chosen, and so shown in the middle."""
    updated_at: Mapped[datetime] = mapped_column(UtcDateTime())


class BlindRead(Base):
    """A reader's first impression of a case, given before anything of the AI was shown."""

    __tablename__ = "blind_reads"

    case_id: Mapped[str] = mapped_column(String(36), primary_key=True)
    reader: Mapped[str] = mapped_column(String(64), primary_key=True)
    category: Mapped[str] = mapped_column(String(32))
    at: Mapped[datetime] = mapped_column(UtcDateTime())
