"""Questions to a colleague in another facility, and what was answered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import ForeignKey, Index, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText

OPEN, ANSWERED, DECLINED, WITHDRAWN = "open", "answered", "declined", "withdrawn"
STATES = (OPEN, ANSWERED, DECLINED, WITHDRAWN)
"""An open one whose time is over is shown as ``expired``."""
EXPIRED = "expired"


class Consultation(Base):
    """One question about one case to one named account. It opens the case to that account until it ends."""

    __tablename__ = "consultations"
    __table_args__ = (
        Index("ix_consultations_case_id_created_at", "case_id", "created_at"),
        Index("ix_consultations_consultant_state_expires_at", "consultant", "state", "expires_at"),
        Index("ix_consultations_facility_id_created_at", "facility_id", "created_at"),
    )

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    """Whose case it is."""
    case_id: Mapped[str] = mapped_column(String(36))
    asked_by: Mapped[str] = mapped_column(String(36))
    """Account, or ``local``."""
    consultant: Mapped[str] = mapped_column(String(36), ForeignKey("accounts.id"))
    consultant_facility_id: Mapped[str] = mapped_column(String(36), ForeignKey("facilities.id"))
    question: Mapped[str] = mapped_column(EncryptedText("consultations.question"))
    state: Mapped[str] = mapped_column(String(16))
    """open, answered, declined, withdrawn."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime())
    opinion: Mapped[str | None] = mapped_column(EncryptedText("consultations.opinion"))
    """The answer, or why it was declined."""
    category: Mapped[str | None] = mapped_column(String(32))
    """The consultant's category, where one was given."""
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
    answered_at: Mapped[datetime | None] = mapped_column(UtcDateTime())
    """When it was answered, declined or withdrawn."""
