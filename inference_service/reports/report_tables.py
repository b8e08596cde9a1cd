"""Reports: what was signed, frozen as it was, and the files made of it."""

from __future__ import annotations

from datetime import date, datetime

from sqlalchemy import Date, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText


class Report(Base):
    """One version of a case's report. Its content never changes; an amendment makes the next version.

    The PDF files are sealed with a key of their own (``file_key``): without it nobody reads them, and erasing the
    key erases them wherever copies are.
    """

    __tablename__ = "reports"
    __table_args__ = (
        Index("uq_reports_case_id_number", "case_id", "number", unique=True),
        Index("ix_reports_render_at", "render_at"),
        Index("ix_reports_facility_id_created_at", "facility_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    case_id: Mapped[str] = mapped_column(String(36))
    reading_id: Mapped[str] = mapped_column(String(36))
    number: Mapped[int] = mapped_column(Integer)
    """1, 2, … versions of the case's report."""
    code: Mapped[str] = mapped_column(String(26))
    """Public verification code: 128 random bits in Crockford's base 32."""
    code_sha256: Mapped[str] = mapped_column(String(64), unique=True)
    """What the code is looked up by, so that the time of a look-up tells nothing about it."""
    digest: Mapped[str] = mapped_column(String(64))
    """SHA-256 of the canonical JSON of the content, hex."""
    content: Mapped[str | None] = mapped_column(EncryptedText("reports.content"))
    """Canonical JSON, see ``reports.content``; None: erased."""
    model_name: Mapped[str | None] = mapped_column(String(100))
    model_version: Mapped[str | None] = mapped_column(String(100))
    model_digest: Mapped[str | None] = mapped_column(String(64))
    """Of the model whose proposal the reader saw; None where there was none."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    superseded_by: Mapped[str | None] = mapped_column(String(36))
    file_key: Mapped[str | None] = mapped_column(EncryptedText("reports.file_key"))
    """AES-256 key of the files, base64; None: erased."""
    pdf_vi_sha256: Mapped[str | None] = mapped_column(String(64))
    pdf_en_sha256: Mapped[str | None] = mapped_column(String(64))
    """Of the PDF as people get it; None: not made yet."""
    pdf_vi_stored: Mapped[str | None] = mapped_column(String(64))
    pdf_en_stored: Mapped[str | None] = mapped_column(String(64))
    """Of the sealed file, by which the content store knows it."""
    pdf_vi_bytes: Mapped[int | None] = mapped_column(Integer)
    pdf_en_bytes: Mapped[int | None] = mapped_column(Integer)
    """Length of the sealed file."""
    render_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """When the next attempt to make the files is due; None: they are made."""
    render_attempts: Mapped[int] = mapped_column(Integer)
    verified_on: Mapped[date | None] = mapped_column(Date)
    """Day (UTC) of the newest check by the public that was recorded."""
