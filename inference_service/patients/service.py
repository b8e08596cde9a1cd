"""Find a patient of a facility."""

from __future__ import annotations

from sqlalchemy.orm import Session

from tamsoat.inference_service.patients import repository
from tamsoat.inference_service.patients.errors import PatientInactiveError, PatientNotFoundError
from tamsoat.inference_service.patients.tables import Patient

MERGES_MOST = 20
"""Longest chain of merges that is followed."""


def get(session: Session, facility_id: str, patient_id: str, *, lock: bool = False) -> Patient:
    """The facility's patient, merged and erased ones too; ``lock`` keeps others from changing it meanwhile.

    Raises:
        PatientNotFoundError: there is none.
    """
    patient = repository.get(session, facility_id, patient_id, lock=lock)
    if patient is None:
        raise PatientNotFoundError("there is no patient with this identifier")
    return patient


def get_current(session: Session, facility_id: str, patient_id: str) -> Patient:
    """The patient, locked; where it was merged, the one that it was merged into.

    Raises:
        PatientNotFoundError: there is none.
        PatientInactiveError: it was erased.
    """
    patient = get(session, facility_id, current_id(session, facility_id, patient_id), lock=True)
    for _ in range(MERGES_MOST):  # merged while we waited for the lock
        if patient.merged_into is None:
            break
        patient = get(session, facility_id, patient.merged_into, lock=True)
    require_active(patient)
    return patient


def current_id(session: Session, facility_id: str, patient_id: str) -> str:
    """Identifier of the patient, or of the one that it was merged into; nothing is locked.

    Raises:
        PatientNotFoundError: there is none.
    """
    patient = get(session, facility_id, patient_id)
    for _ in range(MERGES_MOST):
        if patient.merged_into is None:
            break
        patient = get(session, facility_id, patient.merged_into)
    return patient.id


def require_active(patient: Patient) -> None:
    """Refuse changes of what was merged or erased.

    Raises:
        PatientInactiveError: it was.
    """
    if not patient.active:
        raise PatientInactiveError("this patient was merged into another or erased; nothing of it changes any more")
