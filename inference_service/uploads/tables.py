"""Slides, and the resumable uploads that they arrive by."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Boolean, Float, ForeignKey, Index, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime

READY, NEEDS_SCALE, BUILDING, UNREADABLE = "ready", "needs-scale", "building", "unreadable"
CONDITIONS = (READY, NEEDS_SCALE, BUILDING, UNREADABLE)
"""Of a slide: can be read; waits for somebody to state its scale; its pyramid is being built; cannot be read."""


class Slide(Base):
    """One image of a specimen. Its bytes are in the content store under ``sha256``; its file name is kept nowhere.

    Several rows, of one facility or of several, may share the same bytes; whoever has no row knows nothing of them.
    """

    __tablename__ = "slides"
    __table_args__ = (
        Index("ix_slides_facility_id_created_at", "facility_id", "created_at", "id"),
        Index("ix_slides_sha256", "sha256"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    sha256: Mapped[str] = mapped_column(String(64))
    """Lower-case hex, over the bytes as they came."""
    bytes: Mapped[int] = mapped_column(BigInteger())
    media_type: Mapped[str] = mapped_column(String(64))
    """Decided by content: ``image/jpeg``, ``image/tiff``, ``application/dicom``, …"""
    mpp: Mapped[float | None] = mapped_column(Float(53))
    """Micrometres per level-0 pixel; None: neither stated nor in the file (condition ``needs-scale``)."""
    mpp_source: Mapped[str] = mapped_column(String(16), default="stated")
    """``stated`` by a person or system, or read from the ``file``."""
    width_px: Mapped[int | None] = mapped_column(Integer)
    height_px: Mapped[int | None] = mapped_column(Integer)
    """Of level 0; None: not looked at yet, or unreadable."""
    format: Mapped[str | None] = mapped_column(String(64))
    """How it is opened (``field``, ``openslide:aperio``, ``dicom``, …)."""
    objective: Mapped[float | None] = mapped_column(Float(53))
    """Nominal magnification, as the file says."""
    planes: Mapped[int] = mapped_column(Integer, default=1)
    """Focal planes."""
    condition: Mapped[str] = mapped_column(String(16), default="ready")
    """One of :data:`CONDITIONS`."""
    pyramid_sha256: Mapped[str | None] = mapped_column(String(64), index=True)
    """Digest in the content store of the pyramid that was built from it; None: it needs none, or has none yet."""
    pyramid_bytes: Mapped[int | None] = mapped_column(BigInteger())
    pyramid_percent: Mapped[int] = mapped_column(Integer, default=0)
    """How much of it is built while ``building``."""
    pyramid_tries: Mapped[int] = mapped_column(Integer, default=0)
    """How often building it was begun."""
    screening_priority: Mapped[str] = mapped_column(String(16), default="routine")
    """Of the screening that is requested once the slide can be screened."""
    case_id: Mapped[str | None] = mapped_column(String(36), index=True)
    """The case it belongs to; set by the service of cases."""
    order_id: Mapped[str | None] = mapped_column(String(36), index=True)
    analysis_id: Mapped[str | None] = mapped_column(String(36))
    """The screening that was requested when it arrived."""
    created_by: Mapped[str] = mapped_column(String(200))
    """The actor, as the audit log names it."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    deleted_at: Mapped[datetime | None] = mapped_column(UtcDateTime(), index=True)
    purged_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """When its bytes were given up too (kept on where another slide has the same); None: not yet."""


class Upload(Base):
    """One resumable upload (tus 1.0). The bytes so far are in the incoming folder, in a file named by ``id``."""

    __tablename__ = "uploads"
    __table_args__ = (Index("ix_uploads_state_expires_at", "state", "expires_at"),)

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    """Random UUID; whoever is neither of this facility nor the owner is told that there is no such upload."""
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    actor: Mapped[str] = mapped_column(String(200))
    """The owner, as the audit log names it."""
    expected_bytes: Mapped[int] = mapped_column(BigInteger())
    received_bytes: Mapped[int] = mapped_column(BigInteger())
    """How many bytes are durably in the file; what is there beyond was not acknowledged and is cut off."""
    mpp: Mapped[float | None] = mapped_column(Float(53))
    """As stated; None: the scale is to be in the file."""
    order_id: Mapped[str | None] = mapped_column(String(36))
    priority: Mapped[str] = mapped_column(String(16))
    sha256: Mapped[str | None] = mapped_column(String(64))
    """What the client says that the whole file has; None: it did not say."""
    again: Mapped[bool] = mapped_column(Boolean)
    """Whether bytes that the facility has already are to make a slide of their own."""
    state: Mapped[str] = mapped_column(String(16))
    """``receiving``, ``completed``, ``failed``."""
    slide_id: Mapped[str | None] = mapped_column(String(36))
    analysis_id: Mapped[str | None] = mapped_column(String(36))
    duplicate: Mapped[bool] = mapped_column(Boolean)
    problem: Mapped[str | None] = mapped_column(String(64))
    """Slug of what was wrong with the whole file, when ``failed``."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime())
