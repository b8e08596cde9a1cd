"""Backups that were made, so that their age can be told."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import BigInteger, Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime


class BackupRecord(Base):
    """One finished backup. The backup itself lies elsewhere; whether it still does is not known here."""

    __tablename__ = "backups"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    name: Mapped[str] = mapped_column(String(200))
    """Of its folder or file, without the path."""
    moment: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
    """Everything committed before it is in the backup."""
    bytes: Mapped[int] = mapped_column(BigInteger())
    files: Mapped[int] = mapped_column(Integer)
    """Stored slide files in it."""
    audit_size: Mapped[int] = mapped_column(BigInteger())
    """Entries of the audit log in it."""
    manifest_sha256: Mapped[str] = mapped_column(String(64))
