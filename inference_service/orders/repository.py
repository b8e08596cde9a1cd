"""SQL of orders and specimens."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, or_, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.orders.tables import Order, Specimen


@dataclass(frozen=True)
class Filter:
    """Which orders a list shows; None: does not matter."""

    status: str | None = None
    priority: str | None = None
    patient_id: str | None = None
    created_from: datetime | None = None
    """Inclusive."""
    created_before: datetime | None = None
    """Exclusive."""
    number: str | None = None


def get(session: Session, facility_id: str, order_id: str, *, lock: bool = False) -> Order | None:
    """The facility's order, or None; ``lock``: nobody else changes it until the transaction ends."""
    query = select(Order).where(Order.id == order_id, Order.facility_id == facility_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def lock_any(session: Session, order_id: str) -> Order | None:
    """The order of whichever facility, locked; for the service's own work."""
    query = select(Order).where(Order.id == order_id).with_for_update()
    return session.scalar(query.execution_options(populate_existing=True))


def by_number(session: Session, facility_id: str, number: str) -> Order | None:
    """The facility's order with this placer number, or None."""
    return session.scalar(select(Order).where(Order.facility_id == facility_id, Order.number == number))


def specimens_of(session: Session, order_ids: Sequence[str]) -> list[Specimen]:
    """The specimens of some orders, in the order in which they were entered."""
    query = select(Specimen).where(Specimen.order_id.in_(order_ids)).order_by(Specimen.created_at, Specimen.id)
    return list(session.scalars(query))


def by_accession(session: Session, facility_id: str, accession: str) -> Specimen | None:
    """The facility's specimen with this accession number, or None."""
    return session.scalar(select(Specimen).where(Specimen.facility_id == facility_id, Specimen.accession == accession))


def newest(session: Session, facility_id: str, wanted: Filter, limit: int, before: Order | None) -> list[Order]:
    """At most ``limit`` orders, newest first, older than ``before`` where it is given."""
    query = select(Order).where(Order.facility_id == facility_id)
    for column, value in (
        (Order.status, wanted.status),
        (Order.priority, wanted.priority),
        (Order.patient_id, wanted.patient_id),
        (Order.number, wanted.number),
    ):
        if value is not None:
            query = query.where(column == value)
    if wanted.created_from is not None:
        query = query.where(Order.created_at >= wanted.created_from)
    if wanted.created_before is not None:
        query = query.where(Order.created_at < wanted.created_before)
    if before is not None:
        same_moment = and_(Order.created_at == before.created_at, Order.id < before.id)
        query = query.where(or_(Order.created_at < before.created_at, same_moment))
    return list(session.scalars(query.order_by(Order.created_at.desc(), Order.id.desc()).limit(limit)))


def of_patient(session: Session, patient_id: str) -> list[Order]:
    """Every order of one patient, oldest first."""
    query = select(Order).where(Order.patient_id == patient_id).order_by(Order.created_at, Order.id)
    return list(session.scalars(query))


def ids_of_patient(session: Session, patient_id: str) -> list[str]:
    """Identifiers of the orders of one patient."""
    return list(session.scalars(select(Order.id).where(Order.patient_id == patient_id).order_by(Order.id)))


def move(session: Session, order_ids: Sequence[str], from_id: str, to_id: str) -> None:
    """Give the orders among ``order_ids`` that belong to one patient to another."""
    session.execute(
        update(Order)
        .where(Order.id.in_(order_ids), Order.patient_id == from_id)
        .values(patient_id=to_id, version=Order.version + 1)
        .execution_options(synchronize_session=False)
    )
