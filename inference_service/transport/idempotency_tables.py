"""Requests that carried an ``Idempotency-Key``, and what was answered."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime
from tamsoat.inference_service.db.encryption import EncryptedText


class IdempotentRequest(Base):
    """One key of one caller at one endpoint: in flight while ``status`` is null, answered afterwards."""

    __tablename__ = "idempotent_requests"

    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    """Keyed hash of facility, actor, method, route and key; the key itself is not kept."""
    facility_id: Mapped[str] = mapped_column(String(36))
    payload: Mapped[str] = mapped_column(String(64))
    """Keyed hash of path, query and body."""
    holder: Mapped[str] = mapped_column(String(36))
    """The attempt that may answer; another takes over when the lease ended without an answer."""
    lease_until: Mapped[datetime] = mapped_column(UtcDateTime())
    status: Mapped[int | None] = mapped_column(Integer)
    reply: Mapped[str | None] = mapped_column(EncryptedText("idempotent_requests.reply"))
    """JSON of headers and body; it may hold a patient's data."""
    expires_at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
