"""The keyed hashes that a patient is found by, and searching with them.

Hashes are bound to the facility: the same name or number gives different hashes in two hospitals.
"""

from __future__ import annotations

import re
import unicodedata

from sqlalchemy.orm import Session

from tamsoat.inference_service.db.encryption import search_hash
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.patients import birth_date, repository
from tamsoat.inference_service.patients.errors import IdentifierInvalidError, PatientNotFoundError
from tamsoat.inference_service.patients.identifiers import System, check
from tamsoat.inference_service.patients.schemas import PatientSearch
from tamsoat.inference_service.patients.tables import Patient


class EmptySearchError(TamsoatError):
    """A search names nobody to look for: give an identifier, a name or a birth date."""

    status = 422
    title = "Nothing to search for"
    slug = "search-empty"


def words(name: str) -> set[str]:
    """The words of a name without accents and case: ``Nguyễn Thị Hoà`` → nguyen, thi, hoa."""
    bare = unicodedata.normalize("NFD", name.casefold()).replace("đ", "d")
    return set(re.findall(r"\w+", "".join(letter for letter in bare if not unicodedata.combining(letter))))


def identifier_hash(facility_id: str, system: System, key: str) -> str:
    """Hash of the key form of an identifier (``Checked.key``)."""
    return search_hash(key, f"patient_identifiers:{facility_id}:{system.value}")


def name_tokens(facility_id: str, name: str | None) -> set[str]:
    """Hashes of the words of a name."""
    return {search_hash(word, f"patients.name:{facility_id}") for word in words(name or "")}


def birth_token(facility_id: str, text: str) -> str:
    """Hash of a birth date as it is given."""
    return search_hash(text, f"patients.birth_date:{facility_id}")


def tokens_of(session: Session, patient: Patient) -> set[str]:
    """Everything that finds ``patient``: her names, those of the rows merged into her, and her birth date."""
    found = name_tokens(patient.facility_id, patient.name)
    if patient.birth_date:
        found |= {birth_token(patient.facility_id, text) for text in birth_date.parts(patient.birth_date)}
    for earlier in repository.merged_into(session, patient.id):
        found |= tokens_of(session, earlier)
    return found


def find(session: Session, facility_id: str, wanted: PatientSearch) -> tuple[list[Patient], str | None]:
    """A page of active patients, newest first, and the ``before`` of the next page.

    Raises:
        EmptySearchError: no criterion.
        IdentifierInvalidError: the identifier fits no system.
        PatientNotFoundError: ``before`` names no patient.
    """
    tokens = name_tokens(facility_id, wanted.name)
    if wanted.birth_date:
        tokens.add(birth_token(facility_id, wanted.birth_date))
    if wanted.identifier is None and not tokens:
        raise EmptySearchError("give an identifier, a name or a birth date")
    before = None
    if wanted.before is not None:
        before = repository.get(session, facility_id, wanted.before)
        if before is None:
            raise PatientNotFoundError("`before` names no patient")
    hashes = None if wanted.identifier is None else _hashes(facility_id, wanted.identifier, wanted.system)
    rows = repository.search(
        session, facility_id, identifiers=hashes, tokens=tokens, limit=wanted.limit + 1, before=before
    )
    page = rows[: wanted.limit]
    return page, page[-1].id if len(rows) > wanted.limit else None


def _hashes(facility_id: str, text: str, system: System | None) -> list[tuple[str, str]]:
    found = []
    for candidate in (system,) if system else System:
        try:
            checked = check(candidate, text)
        except IdentifierInvalidError:
            if system:
                raise
            continue
        found.append((candidate.value, identifier_hash(facility_id, candidate, checked.key)))
    if not found:
        raise IdentifierInvalidError("this is not a number of any system")
    return found
