"""SQL of consultations."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.consultations.tables import OPEN, Consultation


def open_for(session: Session, consultant: str, case_id: str, now: datetime) -> Consultation | None:
    """The question about the case that waits for this account at ``now``; None: there is none."""
    query = (
        select(Consultation)
        .where(
            Consultation.consultant == consultant,
            Consultation.state == OPEN,
            Consultation.expires_at > now,
            Consultation.case_id == case_id,
        )
        .limit(1)
    )
    return session.scalar(query)
