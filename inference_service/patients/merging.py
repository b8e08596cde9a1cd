"""Merge two rows of the same person, and undo it."""

from __future__ import annotations

import uuid
from datetime import UTC, date, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.patients import birth_date, repository, search, service
from tamsoat.inference_service.patients.errors import IdentifierNeedsConfirmationError, MergeRefusedError
from tamsoat.inference_service.patients.identifiers import SINGLE, System, Warn
from tamsoat.inference_service.patients.schemas import MergeIn
from tamsoat.inference_service.patients.tables import Patient, PatientIdentifier, PatientMerge


def merge(session: Session, principal: Principal, wanted: MergeIn) -> Patient:
    """Let ``source_id`` end in ``target_id``: identifiers and orders move, the source stays readable.

    The identifiers keep finding the person. Where the target has one of the same system, the source's is marked as
    the old one by its end of validity. Returns the target.

    Raises:
        PatientNotFoundError: one of the two is not in this facility.
        PatientInactiveError: one was merged or erased before.
        MergeRefusedError: both are the same, or the source is under legal hold.
        IdentifierNeedsConfirmationError: sex, birth date or an identity number differ.
    """
    if wanted.source_id == wanted.target_id:
        raise MergeRefusedError("a patient cannot be merged into herself")
    source, target = _lock_both(session, principal.facility_id, wanted.source_id, wanted.target_id)
    service.require_active(source)
    service.require_active(target)
    if source.legal_hold is not None:
        raise MergeRefusedError("the patient that would end is under legal hold; merge in the other direction")
    held = {row.system for row in repository.identifiers_of(session, [target.id]) if row.active}
    moving = [row for row in repository.identifiers_of(session, [source.id]) if row.active]
    _demand_same_person(source, target, moving, held, wanted.confirm)
    moved = {row.id: row.valid_to.isoformat() if row.valid_to else None for row in moving}
    for row in moving:
        row.patient_id = target.id
        if row.system in held and System(row.system) in SINGLE and row.valid_to is None:
            row.valid_to = date.today()
    order_ids = orders.ids_of_patient(session, source.id)
    orders.move(session, order_ids, source.id, target.id)
    now = datetime.now(UTC)
    session.add(
        PatientMerge(
            id=str(uuid.uuid4()), facility_id=principal.facility_id, source_id=source.id, target_id=target.id,
            reason=wanted.reason.value, actor=principal.actor, merged_at=now, undone_at=None,
            identifiers=moved, orders=order_ids,
        )
    )  # fmt: skip
    source.active, source.merged_into = False, target.id
    _finish(session, principal, source, target, {"reason": wanted.reason.value, "orders": len(order_ids)})
    return target


def unmerge(session: Session, principal: Principal, source_id: str, target_id: str) -> Patient:
    """Undo the merge of ``source_id`` into ``target_id``: what moved then and is still there moves back.

    Orders that came after the merge stay with the target. Returns the source, active again.

    Raises:
        PatientNotFoundError: one of the two is not in this facility.
        MergeRefusedError: there is no such merge, or the target was merged or erased since.
    """
    source, target = _lock_both(session, principal.facility_id, source_id, target_id)
    merged = repository.merge_of(session, source.id)
    if merged is None or merged.target_id != target.id:
        raise MergeRefusedError("this patient was not merged into that one")
    if not target.active or source.erased_at is not None:
        raise MergeRefusedError("the other patient was merged or erased since; undo that merge first")
    for row in repository.identifiers_by_id(session, sorted(merged.identifiers)):
        if row.patient_id == target.id:
            row.patient_id = source.id
            if row.active:
                before = merged.identifiers[row.id]
                row.valid_to = date.fromisoformat(before) if before else None
    orders.move(session, merged.orders, target.id, source.id)
    merged.undone_at = datetime.now(UTC)
    source.active, source.merged_into = True, None
    _finish(session, principal, source, target, {"undone": True, "orders": len(merged.orders)})
    return source


def _lock_both(session: Session, facility_id: str, source_id: str, target_id: str) -> tuple[Patient, Patient]:
    """Lock two patients, always in the same order, so that two opposite merges cannot wait for each other."""
    locked = {
        patient_id: service.get(session, facility_id, patient_id, lock=True)
        for patient_id in sorted({source_id, target_id})
    }
    return locked[source_id], locked[target_id]


def _demand_same_person(
    source: Patient, target: Patient, moving: list[PatientIdentifier], held: set[str], confirm: list[Warn]
) -> None:
    numbers = {System.NATIONAL_ID.value, System.CITIZEN_ID.value, System.INSURANCE.value} & held
    differs = {
        Warn.BIRTH_DATE_DIFFERS: not birth_date.agree(source.birth_date, target.birth_date),
        Warn.RECORDED_SEX_DIFFERS: {source.sex, target.sex} == {"male", "female"},
        Warn.SECOND_ACTIVE: any(row.system in numbers for row in moving),
    }
    missing = sorted(warning.value for warning, holds in differs.items() if holds and warning not in confirm)
    if missing:
        raise IdentifierNeedsConfirmationError(missing)


def _finish(
    session: Session, principal: Principal, source: Patient, target: Patient, details: dict[str, str | int | bool]
) -> None:
    now = datetime.now(UTC)
    for patient in (source, target):
        patient.version += 1
        patient.updated_at = now
    session.flush()
    for patient in (source, target):
        repository.replace_tokens(session, patient.id, search.tokens_of(session, patient))
    for patient, other in ((source, target), (target, source)):
        event = Event(
            principal.actor,
            Action.PATIENT_MERGE,
            f"patient:{patient.id}",
            facility=patient.facility_id,
            details={**details, "other": other.id, "role": "source" if patient is source else "target"},
        )
        audit.append(session, event)
