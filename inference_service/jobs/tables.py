"""Workers: which processes work on jobs, and when each was last seen alive."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Integer, String
from sqlalchemy.orm import Mapped, mapped_column

from tamsoat.inference_service.db.base import Base, UtcDateTime


class Worker(Base):
    """One process that works on jobs. The row goes when the process stops in order, or when others take it for dead."""

    __tablename__ = "workers"

    executor_id: Mapped[str] = mapped_column(String(100), primary_key=True)
    """DBOS executor id: the same after a restart, never shared by two live processes."""
    incarnation: Mapped[str] = mapped_column(String(36))
    """UUID of this start of the process, also the token of its sessions; a beat counts only while the row names it."""
    folder: Mapped[str] = mapped_column(String(36))
    """Token of the data folder whose lock the process holds: the id cannot be alive twice on one folder."""
    host: Mapped[str] = mapped_column(String(255))
    process_id: Mapped[int] = mapped_column(Integer)
    concurrency: Mapped[int] = mapped_column(Integer)
    started_at: Mapped[datetime] = mapped_column(UtcDateTime())
    seen_at: Mapped[datetime] = mapped_column(UtcDateTime(), index=True)
    """The last heartbeat, by the clock of the database."""
