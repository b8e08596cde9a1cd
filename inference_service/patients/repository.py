"""SQL of patients and their identifiers."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import and_, delete, or_, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.patients.tables import Patient, PatientIdentifier, PatientMerge, PatientToken


def get(session: Session, facility_id: str, patient_id: str, *, lock: bool = False) -> Patient | None:
    """The facility's patient, or None; ``lock``: nobody else changes the row until the transaction ends."""
    query = select(Patient).where(Patient.id == patient_id, Patient.facility_id == facility_id)
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def identifiers_of(session: Session, patient_ids: Sequence[str]) -> list[PatientIdentifier]:
    """The identifiers of some patients, oldest first."""
    query = select(PatientIdentifier).where(PatientIdentifier.patient_id.in_(patient_ids))
    return list(session.scalars(query.order_by(PatientIdentifier.created_at, PatientIdentifier.id)))


def identifiers_by_id(session: Session, identifier_ids: Sequence[str]) -> list[PatientIdentifier]:
    """Identifiers by their own ids."""
    return list(session.scalars(select(PatientIdentifier).where(PatientIdentifier.id.in_(identifier_ids))))


def active_identifier(session: Session, facility_id: str, system: str, value_hash: str) -> PatientIdentifier | None:
    """The active identifier of the facility with this hash, or None."""
    query = select(PatientIdentifier).where(
        PatientIdentifier.facility_id == facility_id,
        PatientIdentifier.system == system,
        PatientIdentifier.value_hash == value_hash,
        PatientIdentifier.active,
    )
    return session.scalar(query)


def delete_identifiers(session: Session, patient_id: str) -> None:
    """Remove every identifier of a patient, history included."""
    session.execute(delete(PatientIdentifier).where(PatientIdentifier.patient_id == patient_id))


def replace_tokens(session: Session, patient_id: str, tokens: set[str]) -> None:
    """Let the patient be found by exactly these hashes."""
    session.execute(delete(PatientToken).where(PatientToken.patient_id == patient_id))
    session.add_all(PatientToken(patient_id=patient_id, token=token) for token in sorted(tokens))
    session.flush()


def search(
    session: Session,
    facility_id: str,
    *,
    identifiers: Sequence[tuple[str, str]] | None,
    tokens: set[str],
    limit: int,
    before: Patient | None,
) -> list[Patient]:
    """At most ``limit`` active patients, newest first, that have one of ``identifiers`` and every one of ``tokens``.

    ``identifiers``: pairs of system and hash; None: does not matter. ``before``: the last patient of the page before.
    """
    query = select(Patient).where(Patient.facility_id == facility_id, Patient.active)
    if identifiers is not None:
        wanted = [and_(PatientIdentifier.system == system, PatientIdentifier.value_hash == value_hash)
                  for system, value_hash in identifiers]  # fmt: skip
        query = query.where(
            Patient.id.in_(
                select(PatientIdentifier.patient_id).where(
                    PatientIdentifier.facility_id == facility_id, PatientIdentifier.active, or_(False, *wanted)
                )
            )
        )
    for token in sorted(tokens):
        query = query.where(Patient.id.in_(select(PatientToken.patient_id).where(PatientToken.token == token)))
    if before is not None:
        same_moment = and_(Patient.created_at == before.created_at, Patient.id < before.id)
        query = query.where(or_(Patient.created_at < before.created_at, same_moment))
    return list(session.scalars(query.order_by(Patient.created_at.desc(), Patient.id.desc()).limit(limit)))


def merge_of(session: Session, source_id: str) -> PatientMerge | None:
    """The merge, not undone, that ended the life of ``source_id`` as a patient of her own; None: there is none."""
    query = select(PatientMerge).where(PatientMerge.source_id == source_id, PatientMerge.undone_at.is_(None))
    return session.scalar(query)


def merged_into(session: Session, patient_id: str) -> list[Patient]:
    """The patients that were merged into this one, directly."""
    return list(session.scalars(select(Patient).where(Patient.merged_into == patient_id).order_by(Patient.id)))
