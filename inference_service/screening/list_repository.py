"""SQL of the list of analyses: one table, one index per filter, pages by key."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Select, bindparam, literal, select, tuple_
from sqlalchemy.orm import Session, defer

from tamsoat.inference_service.screening.tables import Analysis, Screening


@dataclass(frozen=True)
class Filters:
    """What the list is narrowed to; None: not narrowed. ``priority`` is a rank."""

    state: str | None = None
    triage: str | None = None
    priority: int | None = None
    order_id: str | None = None
    slide_id: str | None = None
    created_from: datetime | None = None
    created_before: datetime | None = None


_NOT_LISTED = (defer(Analysis.reasons), defer(Analysis.categories))
"""Columns of JSON that no line of the list shows."""


def newest(
    session: Session, facility_id: str, filters: Filters, limit: int, before: Screening | None
) -> list[tuple[Screening, Analysis | None]]:
    """At most ``limit`` screenings of the facility with their results, newest first, those after ``before``."""
    shown = page_query(facility_id, filters, limit, before).options(*_NOT_LISTED)
    rows = session.execute(shown)
    return [(row.Screening, row.Analysis) for row in rows]


def page_query(facility_id: str, filters: Filters, limit: int, before: Screening | None) -> Select[Screening, Analysis]:
    """The query of one page."""
    query = select(Screening, Analysis).outerjoin(Analysis, Analysis.id == Screening.id)
    query = query.where(Screening.facility_id == facility_id)
    for name in ("state", "triage", "priority", "order_id", "slide_id"):
        wanted = getattr(filters, name)
        if wanted is not None:
            query = query.where(getattr(Screening, name) == wanted)
    if filters.created_from is not None:
        query = query.where(Screening.created_at >= filters.created_from)
    if filters.created_before is not None:
        query = query.where(Screening.created_at < filters.created_before)
    if before is not None:
        place = tuple_(literal(before.created_at, Screening.created_at.type), literal(before.number))
        query = query.where(tuple_(Screening.created_at, Screening.number) < place)
    return query.order_by(Screening.created_at.desc(), Screening.number.desc()).limit(limit)


_ONE = (
    select(Screening, Analysis)
    .outerjoin(Analysis, Analysis.id == Screening.id)
    .where(Screening.id == bindparam("id"), Screening.facility_id == bindparam("facility_id"))
)


def read(session: Session, facility_id: str, analysis_id: str) -> tuple[Screening, Analysis | None] | None:
    """One screening with its result."""
    row = session.execute(_ONE, {"id": analysis_id, "facility_id": facility_id}).one_or_none()
    return None if row is None else (row.Screening, row.Analysis)
