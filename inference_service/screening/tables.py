"""Analyses and their findings."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import JSON, BigInteger, Boolean, Float, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime

_KEY = BigInteger().with_variant(Integer(), "sqlite")


class Analysis(Base):
    """One image, analysed once by one model. The image itself is not kept, only its digest."""

    __tablename__ = "analyses"
    __table_args__ = (
        Index("ix_analyses_facility_id_number", "facility_id", "number"),
        {"sqlite_autoincrement": True},
    )

    number: Mapped[int] = mapped_column(_KEY, primary_key=True)
    """Order of arrival; internal."""
    id: Mapped[str] = mapped_column(String(36), unique=True)
    """UUID, what the outside world calls it."""
    facility_id: Mapped[str] = mapped_column(String(36))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    image_sha256: Mapped[str] = mapped_column(String(64), index=True)
    image_bytes: Mapped[int] = mapped_column(BigInteger())
    width_px: Mapped[int] = mapped_column(Integer)
    height_px: Mapped[int] = mapped_column(Integer)
    mpp: Mapped[float] = mapped_column(Float(53))
    """Micrometres per pixel, as stated with the image."""
    model_name: Mapped[str] = mapped_column(String(100))
    model_version: Mapped[str] = mapped_column(String(100))
    model_digest: Mapped[str] = mapped_column(String(64))
    provider: Mapped[str] = mapped_column(String(64))
    """ONNX Runtime execution provider that computed it."""
    usable: Mapped[bool] = mapped_column(Boolean)
    reasons: Mapped[list[str]] = mapped_column(JSON)
    category: Mapped[str] = mapped_column(String(32))
    abnormal_probability: Mapped[float] = mapped_column(Float(53))
    triage: Mapped[str] = mapped_column(String(16))
    categories: Mapped[list[str]] = mapped_column(JSON)
    """Categories in the order of ``Finding.probabilities``."""
    cells: Mapped[int] = mapped_column(Integer)
    seconds: Mapped[float] = mapped_column(Float(53))


class Finding(Base):
    """One nucleus; ``rank`` 0 is the most suspicious of its analysis."""

    __tablename__ = "findings"
    __table_args__ = {"sqlite_with_rowid": False}  # noqa: RUF012

    analysis_number: Mapped[int] = mapped_column(_KEY, ForeignKey("analyses.number"), primary_key=True)
    rank: Mapped[int] = mapped_column(Integer, primary_key=True)
    x_px: Mapped[float] = mapped_column(Float(53))
    y_px: Mapped[float] = mapped_column(Float(53))
    category: Mapped[str] = mapped_column(String(32))
    score: Mapped[float] = mapped_column(Float(53))
    probabilities: Mapped[list[float]] = mapped_column(JSON)
