"""What a report says, frozen when it is issued; its canonical JSON is what the digest of the report is taken over."""

from __future__ import annotations

import hashlib
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tamsoat.inference_service.audit.schemas import canonical_json

FORMAT: Literal["tamsoat-report/1"] = "tamsoat-report/1"
KEY_IMAGES_MOST = 6


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Head(_Part):
    """The hospital, as the head of the report names it."""

    facility_code: str = Field(description="MA_CSKCB")
    name: str
    department: str | None
    address: str | None
    phone: str | None


class PatientIdentity(_Part):
    """A number of the patient."""

    system: str = Field(description="`national_id`, `insurance_number`, `patient-internal-id`, …")
    value: str = Field(description="Of numbers issued by the state only the last four characters")


class PatientPart(_Part):
    """The patient as she was known when the report was issued."""

    name: str | None
    birth_date: str | None = Field(description="`YYYY-MM-DD`, `YYYY-MM` or `YYYY`")
    sex: str = Field(description="female, male, other, unknown")
    identifiers: list[PatientIdentity]


class OrderPart(_Part):
    """What was asked for."""

    number: str
    requested_test: str
    requester: str | None
    age_years: int | None = Field(description="At collection")


class SpecimenPart(_Part):
    """What was examined."""

    accession: str
    collected_on: str | None = Field(description="ISO date")
    source_site: str
    preparation: str


class ReaderPart(_Part):
    """Who read the case, and when."""

    name: str
    role: str = Field(description="screening, primary, second, consensus, amendment, confirmation")
    at: str = Field(description="UTC")
    category: str | None


class KeyImage(_Part):
    """A cell that the reader agreed to, regraded or added."""

    slide_id: str
    x_px: float
    y_px: float = Field(description="Centre, pixels of the slide at full resolution")
    side_um: float = Field(description="Side of the square shown, micrometres")
    category: str
    kind: str = Field(description="agree, regrade, add")


class Proposal(_Part):
    """What the model proposed before the pathologist decided."""

    name: str
    version: str
    digest: str = Field(description="SHA-256 of the model")
    category: str | None = Field(description="Gravest of the slides")
    suspicion: float | None = Field(description="Highest probability of an abnormality among the slides, 0 to 1")
    usable: bool | None


class Amendment(_Part):
    """What this version replaces, and why."""

    reason: str
    number: int = Field(description="Version that it replaces")
    issued_at: str = Field(description="When that one was issued, UTC")
    digest: str = Field(description="Of that one")


class ReportContent(_Part):
    """One version of a report, complete."""

    format: Literal["tamsoat-report/1"] = FORMAT
    report_id: str
    number: int = Field(ge=1, description="1, 2, … versions of the case's report")
    code: str = Field(description="Public verification code")
    salt: str = Field(description="Random: the digest alone lets nobody guess what the report says")
    issued_at: str = Field(description="UTC")
    case_label: str
    case_id: str
    reading_id: str
    reading_digest: str | None
    head: Head
    patient: PatientPart | None = Field(description="null: the slide came without an order")
    order: OrderPart | None
    specimen: SpecimenPart | None
    result: dict[str, Any] = Field(description="The signed reporting form")
    category: str | None = Field(description="General result")
    readers: list[ReaderPart]
    first_impression: str | None = Field(
        description="Category that the reader gave before the proposal was shown; null: none was asked for"
    )
    proposal: Proposal | None = Field(description="null: no model was involved")
    key_images: list[KeyImage] = Field(max_length=KEY_IMAGES_MOST)
    amendment: Amendment | None

    def canonical(self) -> str:
        """The text that is hashed and stored."""
        return canonical_json(self.model_dump(mode="json"))


def digest_of(canonical: str) -> str:
    """SHA-256 of a report's canonical JSON, hex."""
    return hashlib.sha256(canonical.encode("utf-8")).hexdigest()
