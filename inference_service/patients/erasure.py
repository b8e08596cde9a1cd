"""Erase what identifies a patient; the medical result stays, pseudonymous, for its retention time."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import stewardship as cases
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.orders.tables import Order
from tamsoat.inference_service.orders.vocabulary import OPEN, OrderStatus
from tamsoat.inference_service.patients import repository, service
from tamsoat.inference_service.patients.errors import ErasureRefusedError
from tamsoat.inference_service.patients.tables import Patient
from tamsoat.inference_service.patients.vocabulary import EraseReason, HoldReason
from tamsoat.inference_service.reports import reading_stewardship as readings
from tamsoat.inference_service.reports import report_stewardship as reports
from tamsoat.inference_service.reviews import stewardship as reviews


def erase(
    session: Session, actor: str, facility_id: str, patient_id: str, reason: EraseReason, *, records_years: int
) -> Patient:
    """Remove name, birth date, contacts, identifiers and free text, also of the rows that were merged into her.

    Age at collection, codes and results stay. Nothing can be undone. Backups keep the data until they are replaced.

    Args:
        records_years: how long medical records are kept after the last change; decides about ``retention-ended``.

    Raises:
        PatientNotFoundError: there is no such patient.
        ErasureRefusedError: erased already, merged, under legal hold, an order is open, or the reason does not fit.
    """
    patient = service.get(session, facility_id, patient_id, lock=True)
    family = [patient, *_merged(session, patient)]
    placed = [order for member in family for order in orders.of_patient(session, member.id)]
    _refuse(patient, family, placed, reason, records_years)
    now = datetime.now(UTC)
    for member in family:
        member.name = member.birth_date = member.phone = member.address = None
        member.active, member.erased_at, member.erased_reason = False, now, reason.value
        member.version, member.updated_at = member.version + 1, now
        repository.replace_tokens(session, member.id, set())
        repository.delete_identifiers(session, member.id)
    for order in placed:
        order.history_text = order.last_period = order.hpv_date = None
        order.version += 1
    reviews.erase(session, [order.id for order in placed])
    readings.erase(session, [order.id for order in placed])
    reports.erase(session, [order.id for order in placed])
    cases.erase(session, [order.id for order in placed])
    session.flush()
    for member in family:
        event = Event(
            actor,
            Action.PATIENT_ERASE,
            f"patient:{member.id}",
            facility=facility_id,
            details={"reason": reason.value, "orders": len(placed)},
        )
        audit.append(session, event)
    return patient


def set_legal_hold(session: Session, actor: str, patient: Patient, reason: HoldReason | None) -> None:
    """Forbid erasing a locked patient, or lift the ban (None)."""
    patient.legal_hold = reason.value if reason else None
    patient.version += 1
    patient.updated_at = datetime.now(UTC)
    session.flush()
    details: dict[str, str | int | bool] = {"legal_hold": patient.legal_hold or "lifted", "version": patient.version}
    audit.append(
        session,
        Event(actor, Action.PATIENT_UPDATE, f"patient:{patient.id}", facility=patient.facility_id, details=details),
    )


def last_change(patient: Patient, placed: list[Order]) -> datetime:
    """From when on the retention time counts: the last change of the patient or of one of her orders."""
    return max([patient.updated_at, *(order.updated_at for order in placed)])


def years_later(moment: datetime, years: int) -> datetime:
    """The same day some years later; 29 February becomes 1 March."""
    try:
        return moment.replace(year=moment.year + years)
    except ValueError:
        return moment.replace(year=moment.year + years, month=3, day=1)


def _merged(session: Session, patient: Patient) -> list[Patient]:
    direct = [
        service.get(session, row.facility_id, row.id, lock=True) for row in repository.merged_into(session, patient.id)
    ]
    return [member for row in direct for member in (row, *_merged(session, row))]


def _refuse(
    patient: Patient, family: list[Patient], placed: list[Order], reason: EraseReason, records_years: int
) -> None:
    if patient.erased_at is not None:
        raise ErasureRefusedError("this patient was erased already")
    if patient.merged_into is not None:
        raise ErasureRefusedError(f"this row was merged: erase patient {patient.merged_into}, who took it over")
    held = next((member.legal_hold for member in family if member.legal_hold), None)
    if held:
        raise ErasureRefusedError(f"a legal hold ({held}) forbids it; an administrator lifts the hold when it ends")
    waiting = next((order.number for order in placed if order.status in OPEN), None)
    if waiting:
        raise ErasureRefusedError(f"order {waiting} has no result yet: finish or cancel it first")
    ends = years_later(last_change(patient, placed), records_years)
    if reason is EraseReason.RETENTION_ENDED and ends > datetime.now(UTC):
        raise ErasureRefusedError(f"the retention time of {records_years} years ends on {ends:%Y-%m-%d}, not before")
    if reason is EraseReason.ENTERED_IN_ERROR and any(order.status == OrderStatus.RESULTED for order in placed):
        raise ErasureRefusedError("there are results: a row entered in error is merged into the right patient instead")
