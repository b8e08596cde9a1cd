"""Facilities: the owners of every row."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime

LOCAL_FACILITY = "local"
"""Identifier of the facility that exists from the start; work without sign-in belongs to it."""


class Facility(Base):
    """A hospital or laboratory. Its rows are invisible to every other facility."""

    __tablename__ = "facilities"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    code: Mapped[str] = mapped_column(String(5), unique=True)
    """MA_CSKCB, 5 characters."""
    name: Mapped[str] = mapped_column(String(200))
    created_at: Mapped[datetime] = mapped_column(UtcDateTime())
