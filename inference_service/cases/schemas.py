"""What goes over the wire about cases."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tamsoat.inference_service.orders.schemas import ClinicalContext
from tamsoat.inference_service.transport.text import Text

View = Literal["mine", "facility", "second", "consultations", "signed"]
CaseState = Literal["analysing", "ready", "in-review", "second-review", "discussion", "signed", "cancelled"]
PriorityName = Literal["stat", "urgent", "routine"]
TriageName = Literal["routine", "review", "urgent"]
Line = Annotated[Text, StringConstraints(strip_whitespace=True, max_length=200)]

CASE_EXAMPLE: dict[str, Any] = {
    "case_id": "6b0e2a52-0f0e-4ad5-8f0a-5b4d3f1b7a10",
    "label": "26-000123",
    "state": "ready",
    "priority": "urgent",
    "triage": "urgent",
    "ai_category": "HSIL",
    "suspicion": 0.97,
    "usable": True,
    "blinded": False,
    "assigned_to": None,
    "second_reader": None,
    "second_reason": None,
    "signed_category": None,
    "created_at": "2026-11-22T03:10:00Z",
    "ready_at": "2026-11-22T03:12:00Z",
    "signed_at": None,
    "waiting_s": 5400,
    "limit_s": 86400,
    "overdue": False,
    "slides": 1,
    "progress": None,
    "order": {"order_id": "0d5f9a10-8a64-4d0b-b7b1-4f4cf8f7f2d5", "number": "TS-4711"},
    "patient": {"patient_id": "d2f4a1c6-9f1e-4f43-9a53-0a1f5c2e8b77", "name": "Nguyễn Thị Hoa", "birth_date": "1990"},
    "consultation": None,
    "example": False,
    "version": 3,
}


class CaseReader(BaseModel):
    """A person who reads a case."""

    account_id: str = Field(description="`local`: whoever works at this machine without sign-in")
    display_name: str | None
    me: bool = Field(description="Whether this is you")


class CaseOrder(BaseModel):
    """The order that a case belongs to."""

    order_id: str
    number: str


class CasePatient(BaseModel):
    """Whom the specimen is from; only people of the case's own facility see it."""

    patient_id: str
    name: str | None = Field(description="null: unknown or erased")
    birth_date: str | None


class CaseProgress(BaseModel):
    """How far the screening of the slides is."""

    done: int = Field(description="Tiles analysed, over all slides")
    total: int = Field(description="Of how many; 0 before they are counted")
    slides_done: int
    slides_failed: int = Field(description="Slides that could not be screened; they are read without the model")


class CaseConsultation(BaseModel):
    """The question that opens the case to you."""

    consultation_id: str
    expires_at: datetime
    facility_name: str = Field(description="Who asks")


class CaseSummary(BaseModel):
    """One line of the worklist."""

    model_config = ConfigDict(json_schema_extra={"examples": [CASE_EXAMPLE]})

    case_id: str
    label: str = Field(description="Accession of the specimen, else a number that the service gives")
    state: CaseState
    priority: PriorityName
    triage: TriageName | None = Field(description="Of the model, the most urgent of the slides")
    ai_category: str | None = Field(description="Of the model, the gravest of the slides")
    suspicion: float | None = Field(description="Of the model: highest probability of an abnormality, 0..1")
    usable: bool | None = Field(description="Whether the quality check found every slide fit to be read")
    blinded: bool = Field(description="What the model found is kept back until you have given a first impression")
    assigned_to: CaseReader | None
    second_reader: CaseReader | None
    second_reason: str | None = Field(description="Code of the rule that asks for a second reading")
    signed_category: str | None
    created_at: datetime = Field(description="When the first slide arrived")
    ready_at: datetime | None
    signed_at: datetime | None = Field(description="When the result became final")
    waiting_s: int = Field(description="Turnaround: seconds from arrival to the final result, or until now")
    limit_s: int = Field(description="The turnaround that a case of this priority should not exceed")
    overdue: bool = Field(description="Whether it does")
    slides: int
    progress: CaseProgress | None = Field(description="null once every slide has its result or its failure")
    order: CaseOrder | None
    patient: CasePatient | None
    consultation: CaseConsultation | None = Field(description="Only for a colleague who was asked")
    example: bool = Field(description="Made up: of the example facility")
    version: int


class CaseSlide(BaseModel):
    """A slide of a case."""

    slide_id: str
    analysis_id: str | None
    condition: str = Field(description="`ready`, `needs-scale`, `building`, `unreadable`")
    format: str | None
    mpp: float | None = Field(description="Micrometres per pixel; null: not stated yet")
    screening: str | None = Field(description="queued, running, completed, failed, cancelled; null: not requested yet")
    done: int
    total: int
    problem: str | None = Field(description="Why the screening failed")


class CaseClinical(BaseModel):
    """What the requester told about the patient; a colleague elsewhere does not see the free text."""

    age_years: int | None
    context: ClinicalContext


class CaseDetail(CaseSummary):
    """One case with its slides and what the requester told."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{**CASE_EXAMPLE, "read_only": False, "slide_list": [], "clinical": None}]}
    )

    read_only: bool = Field(description="A colleague who was asked looks and answers, and changes nothing")
    slide_list: list[CaseSlide]
    clinical: CaseClinical | None


class CaseCounts(BaseModel):
    """How many cases each view of the worklist holds; 1000 stands for that many or more."""

    mine: int
    facility: int
    second: int
    consultations: int
    signed: int


class CasePage(BaseModel):
    """A page of the worklist."""

    items: list[CaseSummary]
    next_before: str | None = Field(description="`before` of the next page; null when this is the last page")
    counts: CaseCounts = Field(description="Of the whole views, whatever the filters are")


class CaseSearch(BaseModel):
    """Looks for cases by what a person has at hand. The words stand in the body, so that no proxy logs them."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"q": "Nguyễn Thị Hoa"}]})

    q: Annotated[Line, StringConstraints(min_length=2)] = Field(
        description="Words of the patient's name, a whole identity or insurance number, or the beginning of a case, "
        "order or specimen number; a whole slide identifier"
    )
    view: Literal["facility", "signed", "all"] = Field("all", description="`all`: open and signed ones")


class AssignIn(BaseModel):
    """Takes a case."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"take_over": False}]})

    take_over: bool = Field(False, description="Also where a colleague has it: say so only after asking")


class NextCase(BaseModel):
    """What to read next."""

    case_id: str | None = Field(description="null: nothing waits for you")
    label: str | None
    remaining: int = Field(description="How many wait for a reader in the facility; 1000: that many or more")
