"""SQL of the quality page: what happened in a facility between two moments, as plain rows."""

from __future__ import annotations

from datetime import datetime
from typing import NamedTuple

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reports.tables import PRIMARY, SECOND, SIGNED, Reading
from tamsoat.inference_service.screening.tables import FIELD, Analysis


class SignedCase(NamedTuple):
    """A case whose result became final in the period."""

    id: str
    category: str | None
    created_at: datetime
    signed_at: datetime


class SignedReading(NamedTuple):
    """A signed reading of one of them; ``form`` only where the specimen could not be judged."""

    case_id: str
    role: str
    category: str | None
    ai_category: str | None


def signed_cases(session: Session, facility_id: str, since: datetime, until: datetime) -> list[SignedCase]:
    """Cases with ``signed_at`` from ``since`` on and before ``until``, in that order."""
    query = select(Case.id, Case.signed_category, Case.created_at, Case.signed_at).where(
        Case.facility_id == facility_id, Case.signed_at >= since, Case.signed_at < until
    )
    rows = session.execute(query.order_by(Case.signed_at, Case.number))
    return [
        SignedCase(case_id, category, created_at, signed_at)
        for case_id, category, created_at, signed_at in rows
        if signed_at is not None
    ]


def received(session: Session, facility_id: str, since: datetime, until: datetime) -> list[datetime]:
    """When the cases of the period came."""
    query = select(Case.created_at).where(
        Case.facility_id == facility_id, Case.created_at >= since, Case.created_at < until
    )
    return list(session.scalars(query.order_by(Case.created_at)))


def readings(session: Session, facility_id: str, since: datetime, until: datetime) -> list[SignedReading]:
    """The first and second readings of the cases that :func:`signed_cases` finds, oldest first."""
    query = (
        select(Reading.case_id, Reading.role, Reading.category, Reading.ai_category)
        .join(Case, Case.id == Reading.case_id)
        .where(
            Case.facility_id == facility_id, Case.signed_at >= since, Case.signed_at < until,
            Reading.state == SIGNED, Reading.role.in_((PRIMARY, SECOND)),
        )
    )  # fmt: skip
    return [SignedReading(*row) for row in session.execute(query.order_by(Reading.signed_at, Reading.id))]


def unsatisfactory_forms(session: Session, facility_id: str, since: datetime, until: datetime) -> list[str]:
    """The forms (JSON) of the readings that stand as result and say that the specimen cannot be judged."""
    query = (
        select(Case.id, Reading.form)
        .join(Reading, Reading.case_id == Case.id)
        .where(
            Case.facility_id == facility_id, Case.signed_at >= since, Case.signed_at < until,
            Case.signed_category == "unsatisfactory", Reading.final_at.is_not(None),
        )
        .order_by(Reading.final_at)
    )  # fmt: skip
    newest: dict[str, str] = {}
    for case_id, form in session.execute(query):
        newest[case_id] = form
    return list(newest.values())


def field_scores(session: Session, facility_id: str, since: datetime, until: datetime) -> list[tuple[str, float]]:
    """Model digest and probability of an abnormality of every usable field analysed in the period.

    Whole slides are left out: the model was validated on fields, so that their scores have nothing to be compared with.
    """
    query = select(Analysis.model_digest, Analysis.abnormal_probability).where(
        Analysis.facility_id == facility_id, Analysis.created_at >= since, Analysis.created_at < until,
        Analysis.kind == FIELD, Analysis.usable,
    )  # fmt: skip
    return [(digest, score) for digest, score in session.execute(query.order_by(Analysis.number))]
