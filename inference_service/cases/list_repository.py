"""SQL of the worklist: every question is answered along an index, whatever the number of cases."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from sqlalchemy import ColumnElement, Select, and_, func, or_, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.tables import Account
from tamsoat.inference_service.cases.tables import DISCUSSION, READY, SECOND_REVIEW, SIGNED, Case
from tamsoat.inference_service.consultations.tables import OPEN, Consultation
from tamsoat.inference_service.orders.tables import Order, Specimen
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.screening.tables import QUEUED, RUNNING, Screening
from tamsoat.inference_service.uploads.tables import Slide

COUNTED_MOST = 1000
"""Counts go no further: nobody reads the difference, and the answer stays quick."""
FOUND_MOST = 500
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Cursor:
    """Where a page ended: the place of its last case in the order of the view."""

    rank: int
    """Urgency, or for signed cases microseconds since 1970."""
    number: int


@dataclass(frozen=True)
class Narrowed:
    """Which cases of a view are shown; None: does not matter."""

    state: str | None = None
    priority: int | None = None
    assigned: str | None = None
    """Account, or ``none``: nobody has it."""
    only: Sequence[str] | None = None
    """Identifiers, as a search found them."""


def mine(facility_id: str, reader: str) -> ColumnElement[bool]:
    """What this reader has taken and not finished, as first or as second reader."""
    own = (Case.facility_id == facility_id, Case.open)
    first = select(Case.number).where(Case.assigned_to == reader, *own)
    second = select(Case.number).where(Case.second_reader == reader, Case.state.in_((SECOND_REVIEW, DISCUSSION)), *own)
    # Each half along its own index; one condition with OR would walk through everything that is open.
    return Case.number.in_(first.union(second))


def of_facility(facility_id: str) -> ColumnElement[bool]:
    """Everything that is open."""
    return and_(Case.facility_id == facility_id, Case.open)


def for_second_reader(facility_id: str) -> ColumnElement[bool]:
    """What waits for a second reader."""
    return and_(Case.facility_id == facility_id, Case.state == SECOND_REVIEW)


def signed(facility_id: str) -> ColumnElement[bool]:
    """What is finished."""
    return and_(Case.facility_id == facility_id, Case.state == SIGNED)


def asked_of(reader: str, now: datetime) -> ColumnElement[bool]:
    """Cases of other facilities about which this account was asked."""
    questions = select(Consultation.case_id).where(
        Consultation.consultant == reader, Consultation.state == OPEN, Consultation.expires_at > now
    )
    return Case.id.in_(questions)


def page(
    session: Session, view: ColumnElement[bool], narrowed: Narrowed, *, newest: bool, limit: int, before: Cursor | None
) -> list[Case]:
    """At most ``limit`` cases, the most urgent first, or with ``newest`` those signed last first."""
    query = _narrow(select(Case).where(view), narrowed)
    if newest:
        if before is not None:
            at = EPOCH + timedelta(microseconds=before.rank)
            query = query.where(or_(Case.signed_at < at, and_(Case.signed_at == at, Case.number < before.number)))
        return list(session.scalars(query.order_by(Case.signed_at.desc(), Case.number.desc()).limit(limit)))
    if before is not None:
        later = or_(Case.urgency > before.rank, and_(Case.urgency == before.rank, Case.number > before.number))
        query = query.where(Case.urgency >= before.rank, later)
    return list(session.scalars(query.order_by(Case.urgency, Case.number).limit(limit)))


def _narrow(query: Select[Case], narrowed: Narrowed) -> Select[Case]:
    if narrowed.state is not None:
        query = query.where(Case.state == narrowed.state)
    if narrowed.priority is not None:
        query = query.where(Case.priority == narrowed.priority)
    if narrowed.assigned is not None:
        free = narrowed.assigned == "none"
        query = query.where(Case.assigned_to.is_(None) if free else Case.assigned_to == narrowed.assigned)
    if narrowed.only is not None:
        query = query.where(Case.id.in_(narrowed.only))
    return query


def count(session: Session, view: ColumnElement[bool]) -> int:
    """How many cases there are, up to :data:`COUNTED_MOST`."""
    some = select(Case.number).where(view).limit(COUNTED_MOST).subquery()
    return session.scalar(select(func.count()).select_from(some)) or 0


def free_for(facility_id: str, reader: str) -> ColumnElement[bool]:
    """What is ready and nobody's, or this reader's."""
    free = or_(Case.assigned_to.is_(None), Case.assigned_to == reader)
    return and_(Case.facility_id == facility_id, Case.state == READY, free)


def second_for(facility_id: str, reader: str) -> ColumnElement[bool]:
    """What waits for a second reader who may be this one."""
    return and_(
        for_second_reader(facility_id),
        or_(Case.assigned_to.is_(None), Case.assigned_to != reader),
        or_(Case.second_reader.is_(None), Case.second_reader == reader),
    )


def numbered(session: Session, facility_id: str, text: str) -> list[str]:
    """Cases that a number names: of the case itself, its order, its specimens, its slides."""
    upper = text[:-1] + chr(ord(text[-1]) + 1)
    by_label = select(Case.id).where(Case.facility_id == facility_id, Case.label >= text, Case.label < upper)
    by_order = (
        select(Case.id)
        .join(Order, Order.id == Case.order_id)
        .where(Order.facility_id == facility_id, Order.number >= text, Order.number < upper)
    )
    by_specimen = (
        select(Case.id)
        .join(Specimen, Specimen.order_id == Case.order_id)
        .where(Specimen.facility_id == facility_id, Specimen.accession >= text, Specimen.accession < upper)
    )
    by_slide = select(Slide.case_id).where(Slide.id == text.lower(), Slide.facility_id == facility_id)
    by_id = select(Case.id).where(Case.id == text.lower(), Case.facility_id == facility_id)
    found: set[str] = set()
    for query in (by_label, by_order, by_specimen, by_slide, by_id):
        found.update(case_id for case_id in session.scalars(query.limit(FOUND_MOST)) if case_id)
    return sorted(found)


def of_patients(session: Session, facility_id: str, patient_ids: Sequence[str]) -> list[str]:
    """The cases of some patients."""
    query = (
        select(Case.id)
        .join(Order, Order.id == Case.order_id)
        .where(Order.facility_id == facility_id, Order.patient_id.in_(patient_ids))
        .order_by(Case.number.desc())
        .limit(FOUND_MOST)
    )
    return list(session.scalars(query))


def patients_of(session: Session, cases: Sequence[Case]) -> dict[str, tuple[Order, Patient]]:
    """Order and patient of each case that has an order, by the identifier of the order."""
    orders = [case.order_id for case in cases if case.order_id]
    query = select(Order, Patient).join(Patient, Patient.id == Order.patient_id).where(Order.id.in_(orders))
    return {order.id: (order, patient) for order, patient in session.execute(query)}


def names_of(session: Session, account_ids: Sequence[str]) -> dict[str, str]:
    """What some accounts' people are called."""
    query = select(Account.id, Account.display_name).where(Account.id.in_(account_ids))
    return {row.id: row.display_name for row in session.execute(query)}


def slides_of(session: Session, case_ids: Sequence[str]) -> dict[str, list[tuple[Slide, Screening | None]]]:
    """The slides of some cases that were not deleted, each with its screening, oldest first."""
    query = (
        select(Slide, Screening)
        .join(Screening, Screening.id == Slide.analysis_id, isouter=True)
        .where(Slide.case_id.in_(case_ids), Slide.deleted_at.is_(None))
        .order_by(Slide.created_at, Slide.id)
    )
    found: dict[str, list[tuple[Slide, Screening | None]]] = {case_id: [] for case_id in case_ids}
    for slide, screening in session.execute(query):
        found[str(slide.case_id)].append((slide, screening))
    return found


def changed(session: Session, facility_id: str) -> datetime:
    """When a case of the facility last changed."""
    return session.scalar(select(func.max(Case.updated_at)).where(Case.facility_id == facility_id)) or EPOCH


def running(session: Session, facility_id: str) -> dict[str, tuple[int, int]]:
    """Tiles done and in all of every case of the facility that is being screened."""
    query = (
        select(Slide.case_id, func.sum(Screening.done), func.sum(Screening.total))
        .join(Screening, and_(Screening.slide_id == Slide.id, Screening.id == Slide.analysis_id))
        .where(
            Screening.facility_id == facility_id,
            Screening.state.in_((QUEUED, RUNNING)),
            Slide.case_id.is_not(None),
        )
        .group_by(Slide.case_id)
        .limit(COUNTED_MOST)
    )
    return {str(case_id): (int(done or 0), int(total or 0)) for case_id, done, total in session.execute(query)}


def open_questions(session: Session, reader: str, now: datetime) -> int:
    """How many questions wait for this account."""
    query = select(func.count()).where(
        Consultation.consultant == reader, Consultation.state == OPEN, Consultation.expires_at > now
    )
    return session.scalar(query) or 0
