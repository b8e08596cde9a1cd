"""SQL of cases."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases.tables import CLOSED, Case, FacilityReviewSettings
from tamsoat.inference_service.orders.tables import Specimen
from tamsoat.inference_service.screening.tables import Analysis, Screening
from tamsoat.inference_service.uploads.tables import Slide


@dataclass(frozen=True)
class SlideResult:
    """How far one slide of a case is; the last four are None where the model has no result for it."""

    slide_id: str
    condition: str
    screening: str | None
    """State of its screening; None: there is none."""
    usable: bool | None
    category: str | None
    suspicion: float | None
    triage: str | None


def get(session: Session, facility_id: str, case_id: str, *, lock: bool = False) -> Case | None:
    """The facility's case, or None; ``lock``: nobody else changes it until the transaction ends."""
    query = select(Case).where(Case.id == case_id, Case.facility_id == facility_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def lock_any(session: Session, case_id: str) -> Case | None:
    """The case of whichever facility, locked; for the service's own work."""
    query = select(Case).where(Case.id == case_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def of_order(session: Session, order_id: str, *, unfinished: bool) -> Case | None:
    """The newest case of an order, locked; ``unfinished``: unless it is signed."""
    query = select(Case).where(Case.order_id == order_id).order_by(Case.number.desc()).limit(1)
    case = session.scalar(query.with_for_update().execution_options(populate_existing=True))
    return None if case is None or (unfinished and case.state == CLOSED[0]) else case


def label_taken(session: Session, facility_id: str, label: str) -> bool:
    """Whether a case of the facility has this label."""
    query = select(Case.id).where(Case.facility_id == facility_id, Case.label == label)
    return session.scalar(query) is not None


def accession_of(session: Session, order_id: str) -> str | None:
    """The accession of the order's first specimen that was not rejected; None where it has none."""
    query = (
        select(Specimen.accession)
        .where(Specimen.order_id == order_id, Specimen.state != "rejected")
        .order_by(Specimen.created_at, Specimen.id)
        .limit(1)
    )
    return session.scalar(query)


def slide_results(session: Session, case_id: str) -> list[SlideResult]:
    """Every slide of a case that was not deleted, oldest first."""
    query = (
        select(
            Slide.id,
            Slide.condition,
            Screening.state,
            Analysis.usable,
            Analysis.category,
            Analysis.abnormal_probability,
            Analysis.triage,
        )
        .join_from(Slide, Screening, Screening.id == Slide.analysis_id, isouter=True)
        .join(Analysis, Analysis.id == Screening.id, isouter=True)
        .where(Slide.case_id == case_id, Slide.deleted_at.is_(None))
        .order_by(Slide.created_at, Slide.id)
    )
    return [SlideResult(*row) for row in session.execute(query)]


def slides_of(session: Session, case_id: str) -> list[Slide]:
    """The slides of a case that were not deleted, oldest first."""
    query = select(Slide).where(Slide.case_id == case_id, Slide.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Slide.created_at, Slide.id)))


def settings_of(session: Session, facility_id: str, *, lock: bool = False) -> FacilityReviewSettings | None:
    """How the facility reads its cases; None: as by default."""
    query = select(FacilityReviewSettings).where(FacilityReviewSettings.facility_id == facility_id)
    return session.scalar(query.with_for_update() if lock else query)
