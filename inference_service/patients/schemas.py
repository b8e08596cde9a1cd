"""Patients as they go over the wire."""

from __future__ import annotations

import unicodedata
from datetime import date, datetime
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from tamsoat.inference_service.patients.birth_date import check_birth_date
from tamsoat.inference_service.patients.identifiers import System, Warn
from tamsoat.inference_service.patients.vocabulary import EraseReason, HoldReason, MergeReason
from tamsoat.inference_service.transport.parameters import Day
from tamsoat.inference_service.transport.text import Text


def _tidy(text: str) -> str:
    """Composed Unicode, single spaces.

    Raises:
        ValueError: control characters, or nothing left.
    """
    plain = " ".join(unicodedata.normalize("NFC", text).split())
    if not plain or any(unicodedata.category(letter) in ("Cc", "Cs") for letter in plain):
        raise ValueError("must hold letters and no control characters")
    return plain


Line = Annotated[str, StringConstraints(min_length=1, max_length=255), AfterValidator(_tidy)]
"""One line of text as people type it."""
Sex = Literal["female", "male", "other", "unknown"]
BirthDate = Annotated[
    str,
    StringConstraints(max_length=10),
    AfterValidator(check_birth_date),
    Field(description="`YYYY-MM-DD`, or `YYYY-MM` or `YYYY` where no more is known", examples=["1990-05-03"]),
]
Confirm = Annotated[
    list[Warn], Field(default_factory=list, max_length=16, description="Codes of warnings that a person has checked")
]

PATIENT_EXAMPLE: dict[str, Any] = {
    "name": "Nguyễn Thị Hoa",
    "birth_date": "1990-05-03",
    "sex": "female",
    "phone": "0903123456",
    "address": "12 Lê Lợi, Quận 1, TP. Hồ Chí Minh",
    "identifiers": [
        {"system": "national_id", "value": "079190001234"},
        {"system": "insurance_number", "value": "GD4790123456789"},
        {"system": "patient-internal-id", "value": "BN-2026-00017", "valid_from": "2026-01-05"},
    ],
}


class IdentifierIn(BaseModel):
    """A number that a patient is known by."""

    model_config = ConfigDict(extra="forbid")

    system: System
    value: str = Field(min_length=1, max_length=128, description="Checked by the form of its system (docs/patients.md)")
    valid_from: Day | None = Field(None, description="First day of validity")
    valid_to: Day | None = Field(None, description="Last day of validity")


class IdentifierOut(BaseModel):
    """An identifier with its history."""

    identifier_id: str
    system: System
    uri: str = Field(description="FHIR identifier system")
    value: str
    valid_from: date | None
    valid_to: date | None
    active: bool = Field(description="Whether it finds the patient; a retired one is history")
    confirmed: list[str] = Field(description="Codes of the warnings that were confirmed when it was entered")


class PatientIn(BaseModel):
    """A patient to be entered. Without any identifier she gets a temporary one."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [PATIENT_EXAMPLE]})

    name: Line | None = Field(None, description="As on the card; absent: unknown")
    birth_date: BirthDate | None = None
    sex: Sex = "unknown"
    phone: Annotated[str, StringConstraints(max_length=32), AfterValidator(_tidy)] | None = None
    address: Line | None = None
    identifiers: list[IdentifierIn] = Field(default_factory=list, max_length=16)
    confirm: Confirm


class PatientUpdate(BaseModel):
    """What changes; members that are absent stay, null removes."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"phone": "0903999888"}]})

    name: Line | None = None
    birth_date: BirthDate | None = None
    sex: Sex | None = Field(None, description="Null means unknown")
    phone: Annotated[str, StringConstraints(max_length=32), AfterValidator(_tidy)] | None = None
    address: Line | None = None
    confirm: Confirm


class PatientOut(BaseModel):
    """A patient of this facility."""

    patient_id: str
    name: str | None
    birth_date: str | None
    sex: Sex
    phone: str | None
    address: str | None
    identifiers: list[IdentifierOut]
    version: int = Field(description="Grows with every change; the `ETag` holds it")
    active: bool = Field(description="False: merged into another patient, or erased")
    merged_into: str | None = Field(description="The patient who took over the identifiers and orders")
    legal_hold: str | None = Field(description="Code of the reason why nothing may be erased")
    created_at: datetime
    updated_at: datetime
    erased_at: datetime | None


class PatientSearch(BaseModel):
    """Whom to look for. Everything that is given must fit; at least one member is needed."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"identifier": "0123456789"}, {"name": "hoa nguyen", "birth_date": "1990"}]},
    )

    identifier: Annotated[str, StringConstraints(min_length=1, max_length=128)] | None = Field(
        None, description="A whole number of any system, or of `system`; an insurance number in either form"
    )
    system: System | None = Field(None, description="Only identifiers of this system")
    name: Line | None = Field(None, description="Whole words in any order; accents and case do not matter")
    birth_date: BirthDate | None = None
    limit: int = Field(20, ge=1, le=100, description="Most items on the page")
    before: Annotated[Text, StringConstraints(max_length=36)] | None = Field(
        None, description="`next_before` of the page before"
    )


class PatientPage(BaseModel):
    """A page of patients, the newest first."""

    items: list[PatientOut]
    next_before: str | None = Field(description="`before` of the next page; null when this is the last page")


class NewIdentifier(IdentifierIn):
    """An identifier to add."""

    confirm: Confirm


class RetireIdentifier(BaseModel):
    """Ends the validity of an identifier."""

    model_config = ConfigDict(extra="forbid")

    valid_to: Day | None = Field(None, description="Last day of validity; absent: today")


class MergeIn(BaseModel):
    """Two rows of the same person. Both ids are repeated here so that nobody merges by a slip of the mouse."""

    model_config = ConfigDict(extra="forbid")

    source_id: Text = Field(max_length=36, description="The row that ends; the same as in the path")
    target_id: Text = Field(max_length=36, description="The row that goes on")
    reason: MergeReason
    confirm: Confirm


class UnmergeIn(BaseModel):
    """Undoes a merge."""

    model_config = ConfigDict(extra="forbid")

    target_id: Text = Field(max_length=36, description="The patient whom it was merged into")


class EraseIn(BaseModel):
    """Erases what law allows to erase."""

    model_config = ConfigDict(extra="forbid")

    patient_id: Text = Field(max_length=36, description="The same as in the path: a confirmation")
    reason: EraseReason


class LegalHoldIn(BaseModel):
    """Forbids erasing, or lifts the ban."""

    model_config = ConfigDict(extra="forbid")

    reason: HoldReason | None = Field(description="Null lifts the hold")


class CardIn(BaseModel):
    """What a desk scanner typed."""

    model_config = ConfigDict(extra="forbid")

    text: str = Field(
        max_length=2000,
        description="The text of the QR code on a CCCD card",
        examples=["079190001234|023456789|Nguyễn Thị Hoa|03051990|Nữ|12 Lê Lợi, Quận 1|01062021"],
    )


class CardOut(BaseModel):
    """The fields of a form, filled from a card; nothing is stored."""

    name: str
    birth_date: str
    sex: Sex
    address: str
    identifiers: list[IdentifierIn]
    issued_on: date | None
    warnings: list[Warn] = Field(description="To be confirmed when the patient is entered")
