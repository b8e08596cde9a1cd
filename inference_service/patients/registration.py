"""Enter patients, change them, give them identifiers; the same person is entered once, whoever comes first."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, date, datetime

from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.patients import birth_date, repository, search, service
from tamsoat.inference_service.patients.errors import (
    IdentifierInvalidError,
    IdentifierNeedsConfirmationError,
    IdentifierNotFoundError,
    PatientAmbiguousError,
    PatientExistsError,
)
from tamsoat.inference_service.patients.identifiers import SINGLE, Checked, System, Warn, check, temporary
from tamsoat.inference_service.patients.schemas import IdentifierIn, PatientIn, PatientUpdate
from tamsoat.inference_service.patients.tables import Patient, PatientIdentifier

Entry = tuple[IdentifierIn, Checked]


def create(session: Session, principal: Principal, data: PatientIn) -> Patient:
    """Enter a new patient.

    Raises:
        PatientExistsError, PatientAmbiguousError: an identifier is taken in this facility.
        IdentifierInvalidError: an identifier has a wrong form, or a temporary number was made up.
        IdentifierNeedsConfirmationError: an identifier disagrees with sex or birth date.
    """
    entries = _check(data.identifiers, data.sex, data.birth_date, data.confirm)
    patient = _insert(session, principal, data, entries)
    if patient is None:
        taken = _owners(session, principal.facility_id, entries)
        raise PatientExistsError(taken[0]) if len(taken) == 1 else PatientAmbiguousError(taken)
    _record(session, principal, Action.PATIENT_CREATE, patient, {"identifiers": max(1, len(entries))})
    return patient


def find_or_create(session: Session, principal: Principal, data: PatientIn) -> tuple[Patient, Event | None]:
    """The patient who has one of the identifiers, locked, or a new one; and the event to append at the end.

    Identifiers that a found patient lacks are added. Without identifiers the patient is always a new one. The event
    is None where nothing changed. It is left to the caller because the log is locked from the first event on.

    Raises:
        PatientAmbiguousError: the identifiers belong to different patients.
        IdentifierInvalidError, IdentifierNeedsConfirmationError: as :func:`create`; also where name, birth date
            or sex differ from what is recorded.
    """
    entries = _check(data.identifiers, data.sex, data.birth_date, data.confirm)
    owners = _owners(session, principal.facility_id, entries)
    if not owners:
        patient = _insert(session, principal, data, entries)
        if patient is not None:
            return patient, _event(principal, Action.PATIENT_CREATE, patient, {"identifiers": max(1, len(entries))})
        owners = _owners(session, principal.facility_id, entries)
    if len(owners) != 1:
        raise PatientAmbiguousError(owners)
    found = service.get_current(session, principal.facility_id, owners[0])
    _compare(found, data)
    added = _add(session, found, entries, data.confirm)
    if not added:
        return found, None
    _touch(found)
    return found, _event(principal, Action.PATIENT_UPDATE, found, {"identifiers": added})


def update(session: Session, principal: Principal, patient: Patient, change: PatientUpdate) -> None:
    """Apply a change to a locked, active patient.

    Raises:
        PatientInactiveError: merged or erased.
        IdentifierNeedsConfirmationError: the new sex or birth date disagrees with a CCCD number.
    """
    service.require_active(patient)
    fields = sorted(change.model_fields_set - {"confirm"})
    for name in fields:
        value = getattr(change, name)
        setattr(patient, name, "unknown" if name == "sex" and value is None else value)
    if {"sex", "birth_date"} & set(fields):
        numbers = [row for row in repository.identifiers_of(session, [patient.id]) if row.active]
        year = birth_date.birth_year(patient.birth_date)
        warnings = [
            warning
            for row in numbers
            for warning in check(System(row.system), row.value, sex=patient.sex, birth_year=year).warnings
            if warning.value not in row.confirmed
        ]
        _demand(warnings, change.confirm)
    _touch(patient)
    session.flush()
    repository.replace_tokens(session, patient.id, search.tokens_of(session, patient))
    _record(session, principal, Action.PATIENT_UPDATE, patient, {"fields": ",".join(fields)})


def add_identifier(
    session: Session, principal: Principal, patient: Patient, data: IdentifierIn, confirm: Sequence[Warn]
) -> None:
    """Give a locked, active patient one identifier more.

    Raises:
        PatientInactiveError, PatientExistsError, IdentifierInvalidError, IdentifierNeedsConfirmationError: as above.
    """
    service.require_active(patient)
    entries = _check([data], patient.sex, patient.birth_date, confirm)
    taken = [owner for owner in _owners(session, patient.facility_id, entries) if owner != patient.id]
    if taken:
        raise PatientExistsError(taken[0])
    if _add(session, patient, entries, confirm):
        _touch(patient)
        _record(session, principal, Action.PATIENT_UPDATE, patient, {"identifiers": 1, "system": data.system.value})


def retire_identifier(
    session: Session, principal: Principal, patient: Patient, identifier_id: str, valid_to: date | None
) -> None:
    """End an identifier of a locked, active patient; the last one is replaced by a temporary number.

    Raises:
        PatientInactiveError: merged or erased.
        IdentifierNotFoundError: the patient has no such active identifier.
    """
    service.require_active(patient)
    rows = [row for row in repository.identifiers_of(session, [patient.id]) if row.active]
    chosen = next((row for row in rows if row.id == identifier_id), None)
    if chosen is None:
        raise IdentifierNotFoundError("the patient has no such active identifier")
    chosen.active = False
    chosen.valid_to = valid_to or date.today()
    if len(rows) == 1:
        session.add_all(_rows(patient, [_temporary()], (), datetime.now(UTC)))
    _touch(patient)
    _record(session, principal, Action.PATIENT_UPDATE, patient, {"retired": chosen.system})


def _check(identifiers: Iterable[IdentifierIn], sex: str, birth: str | None, confirm: Sequence[Warn]) -> list[Entry]:
    """The identifiers in their stored form, one per key, in the order in which every transaction inserts them."""
    year = birth_date.birth_year(birth)
    found: dict[tuple[str, str], Entry] = {}
    for item in identifiers:
        if item.valid_from and item.valid_to and item.valid_to < item.valid_from:
            raise IdentifierInvalidError(f"{item.system.value}: valid_to lies before valid_from")
        checked = check(item.system, item.value, sex=sex, birth_year=year)
        known = found.get((checked.system, checked.key))
        if known is None or len(known[1].value) < len(checked.value):
            found[checked.system, checked.key] = (item, checked)
    _demand([warning for _, checked in found.values() for warning in checked.warnings], confirm)
    return [found[key] for key in sorted(found)]


def _demand(warnings: Iterable[Warn], confirmed: Iterable[Warn]) -> None:
    missing = sorted(set(warnings) - set(confirmed))
    if missing:
        raise IdentifierNeedsConfirmationError([warning.value for warning in missing])


def _compare(found: Patient, data: PatientIn) -> None:
    """Ask for a confirmation where what was sent and what is recorded may be two people."""
    names = search.words(data.name or ""), search.words(found.name or "")
    differs = {
        Warn.NAME_DIFFERS: bool(names[0] and names[1]) and names[0] != names[1],
        Warn.BIRTH_DATE_DIFFERS: not birth_date.agree(data.birth_date, found.birth_date),
        Warn.RECORDED_SEX_DIFFERS: {data.sex, found.sex} == {"male", "female"},
    }
    _demand([warning for warning, holds in differs.items() if holds], data.confirm)


def _owners(session: Session, facility_id: str, entries: Sequence[Entry]) -> list[str]:
    """The patients who have one of the identifiers now, each once."""
    owners: dict[str, None] = {}
    for _, checked in entries:
        value_hash = search.identifier_hash(facility_id, checked.system, checked.key)
        row = repository.active_identifier(session, facility_id, checked.system.value, value_hash)
        if row is not None:
            owners[row.patient_id] = None
    return list(owners)


def _insert(session: Session, principal: Principal, data: PatientIn, entries: Sequence[Entry]) -> Patient | None:
    """Insert patient, identifiers and tokens; None where somebody else has one of the identifiers."""
    if any(checked.system is System.TEMPORARY for _, checked in entries):
        if _owners(session, principal.facility_id, entries):
            return None
        raise IdentifierInvalidError("temporary: no patient has this number, and temporary numbers are given here")
    now = datetime.now(UTC)
    patient = Patient(
        id=str(uuid.uuid4()), facility_id=principal.facility_id, name=data.name, birth_date=data.birth_date,
        sex=data.sex, phone=data.phone, address=data.address, version=1, active=True, merged_into=None,
        legal_hold=None, created_at=now, updated_at=now, erased_at=None, erased_reason=None,
    )  # fmt: skip

    def insert() -> None:
        _add_one_by_one(session, [patient, *_rows(patient, entries or [_temporary()], data.confirm, now)])

    if not _unless_taken(session, insert):
        return None
    repository.replace_tokens(session, patient.id, search.tokens_of(session, patient))
    return patient


def _add(session: Session, patient: Patient, entries: Sequence[Entry], confirm: Sequence[Warn]) -> int:
    """Add what the patient lacks; a longer form or another card with the same digits replaces the stored one."""
    held = [row for row in repository.identifiers_of(session, [patient.id]) if row.active]
    keys = {(row.system, row.value_hash): row for row in held}
    new: list[Entry] = []
    for entry in entries:
        checked = entry[1]
        value_hash = search.identifier_hash(patient.facility_id, checked.system, checked.key)
        same = keys.get((checked.system.value, value_hash))
        if same is not None and (same.value == checked.value or len(same.value) > len(checked.value)):
            continue
        rivals = [
            row for row in held if row.system == checked.system.value and row is not same and row.valid_to is None
        ]
        _demand([Warn.SECOND_ACTIVE] if rivals and checked.system in SINGLE else [], confirm)
        if same is not None:
            same.active, same.valid_to = False, date.today()
        new.append(entry)
    if new:
        rows = _rows(patient, new, confirm, datetime.now(UTC))
        if not _unless_taken(session, lambda: _add_one_by_one(session, rows)):
            taken = [owner for owner in _owners(session, patient.facility_id, new) if owner != patient.id]
            raise PatientAmbiguousError([patient.id, *taken])
    return len(new)


def _unless_taken(session: Session, insert: Callable[[], None]) -> bool:
    """Insert within a savepoint; False where the unique index says that another transaction was first."""
    try:
        with session.begin_nested():
            insert()
    except IntegrityError:
        return False
    return True


def _add_one_by_one(session: Session, rows: Iterable[Patient | PatientIdentifier]) -> None:
    """Insert in this order, so that transactions that insert the same identifiers cannot wait for each other."""
    for row in rows:
        session.add(row)
        session.flush()


def _temporary() -> Entry:
    value = temporary()
    return IdentifierIn(system=System.TEMPORARY, value=value, valid_from=None, valid_to=None), check(
        System.TEMPORARY, value
    )


def _rows(
    patient: Patient, entries: Sequence[Entry], confirm: Sequence[Warn], now: datetime
) -> list[PatientIdentifier]:
    return [
        PatientIdentifier(
            id=str(uuid.uuid4()),
            patient_id=patient.id,
            facility_id=patient.facility_id,
            system=checked.system.value,
            value=checked.value,
            value_hash=search.identifier_hash(patient.facility_id, checked.system, checked.key),
            valid_from=item.valid_from,
            valid_to=item.valid_to,
            active=True,
            confirmed=sorted(set(checked.warnings) & set(confirm)),
            created_at=now,
        )
        for item, checked in entries
    ]


def _touch(patient: Patient) -> None:
    patient.version += 1
    patient.updated_at = datetime.now(UTC)


def _record(
    session: Session, principal: Principal, action: Action, patient: Patient, details: dict[str, str | int | bool]
) -> None:
    session.flush()
    audit.append(session, _event(principal, action, patient, details))


def _event(principal: Principal, action: Action, patient: Patient, details: dict[str, str | int | bool]) -> Event:
    return Event(
        principal.actor,
        action,
        f"patient:{patient.id}",
        facility=patient.facility_id,
        details={**details, "version": patient.version},
    )
