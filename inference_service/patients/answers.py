"""From rows to what is answered."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy.orm import Session

from tamsoat.inference_service.patients import repository
from tamsoat.inference_service.patients.card import Card
from tamsoat.inference_service.patients.identifiers import System
from tamsoat.inference_service.patients.schemas import CardOut, IdentifierIn, IdentifierOut, PatientOut
from tamsoat.inference_service.patients.tables import Patient, PatientIdentifier


def patients(session: Session, rows: Sequence[Patient]) -> list[PatientOut]:
    """Patients with their identifiers, active ones first; one that was merged shows those that she brought along."""
    held: dict[str, list[PatientIdentifier]] = {row.id: [] for row in rows}
    for identifier in repository.identifiers_of(session, list(held)):
        held[identifier.patient_id].append(identifier)
    return [_patient(row, held[row.id] + _brought(session, row)) for row in rows]


def patient(session: Session, row: Patient) -> PatientOut:
    """One patient with her identifiers."""
    return patients(session, [row])[0]


def card(read: Card) -> CardOut:
    """The fields of a form."""
    numbers = [read.national_id, *([read.citizen_id] if read.citizen_id else [])]
    return CardOut(
        name=read.name,
        birth_date=read.birth_date,
        sex=read.sex,  # type: ignore[arg-type]
        address=read.address,
        identifiers=[
            IdentifierIn(system=number.system, value=number.value, valid_from=None, valid_to=None) for number in numbers
        ],
        issued_on=read.issued_on,
        warnings=list(read.national_id.warnings),
    )


def _brought(session: Session, row: Patient) -> list[PatientIdentifier]:
    merged = repository.merge_of(session, row.id) if row.merged_into else None
    return repository.identifiers_by_id(session, sorted(merged.identifiers)) if merged else []


def _patient(row: Patient, identifiers: Sequence[PatientIdentifier]) -> PatientOut:
    return PatientOut(
        patient_id=row.id,
        name=row.name,
        birth_date=row.birth_date,
        sex=row.sex,  # type: ignore[arg-type]
        phone=row.phone,
        address=row.address,
        identifiers=[
            _identifier(item) for item in sorted(identifiers, key=lambda item: (not item.active, item.system))
        ],
        version=row.version,
        active=row.active,
        merged_into=row.merged_into,
        legal_hold=row.legal_hold,
        created_at=row.created_at,
        updated_at=row.updated_at,
        erased_at=row.erased_at,
    )


def _identifier(row: PatientIdentifier) -> IdentifierOut:
    system = System(row.system)
    return IdentifierOut(
        identifier_id=row.id,
        system=system,
        uri=system.uri,
        value=row.value,
        valid_from=row.valid_from,
        valid_to=row.valid_to,
        active=row.active,
        confirmed=row.confirmed,
    )
