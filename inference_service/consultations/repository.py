"""SQL of consultations."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from sqlalchemy import or_, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.consultations.tables import OPEN, Consultation

LISTED_MOST = 200


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


def get(
    session: Session, facility_id: str, account_id: str, consultation_id: str, *, lock: bool = False
) -> Consultation | None:
    """The consultation, where this facility asked or this account is asked; None: neither."""
    query = select(Consultation).where(
        Consultation.id == consultation_id,
        or_(Consultation.facility_id == facility_id, Consultation.consultant == account_id),
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def of_case(session: Session, facility_id: str, case_id: str) -> list[Consultation]:
    """What the facility asked about one of its cases, the newest first."""
    query = select(Consultation).where(Consultation.facility_id == facility_id, Consultation.case_id == case_id)
    return list(session.scalars(query.order_by(Consultation.created_at.desc(), Consultation.id).limit(LISTED_MOST)))


def of_consultant(session: Session, account_id: str, now: datetime) -> list[Consultation]:
    """What waits for this account at ``now``, the one that ends soonest first."""
    query = select(Consultation).where(
        Consultation.consultant == account_id, Consultation.state == OPEN, Consultation.expires_at > now
    )
    return list(session.scalars(query.order_by(Consultation.expires_at, Consultation.id).limit(LISTED_MOST)))


def of_cases(session: Session, case_ids: Sequence[str]) -> list[Consultation]:
    """Every consultation about some cases, the oldest first."""
    query = select(Consultation).where(Consultation.case_id.in_(case_ids))
    return list(session.scalars(query.order_by(Consultation.created_at, Consultation.id)))
