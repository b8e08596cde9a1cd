"""Orders and specimens as they go over the wire."""

from __future__ import annotations

from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints, model_validator

from tamsoat.inference_service.orders.vocabulary import (
    CancelReason,
    History,
    HpvResult,
    OrderStatus,
    Preparation,
    Priority,
    RejectReason,
    RequestedTest,
    SourceSite,
    SpecimenState,
    Vaccination,
)
from tamsoat.inference_service.patients.schemas import PATIENT_EXAMPLE, Line, PatientIn
from tamsoat.inference_service.transport.parameters import Day
from tamsoat.inference_service.transport.text import Text

Number = Annotated[
    str,
    StringConstraints(pattern=r"^[A-Za-z0-9](?:[A-Za-z0-9._/-]{0,62}[A-Za-z0-9])?$"),
    Field(description="1 to 64 letters, digits, and . _ / - inside; never a name or an identity number"),
]


def _not_in_future(day: date) -> date:
    # One day of grace: the server's clock may be set to UTC, and the hospital is hours ahead of it.
    if day > date.today() + timedelta(days=1):
        raise ValueError("must not lie in the future")
    return day


PastDay = Annotated[Day, AfterValidator(_not_in_future)]
FreeText = Annotated[str, StringConstraints(min_length=1, max_length=2000, strip_whitespace=True)]

ORDER_EXAMPLE: dict[str, Any] = {
    "number": "PAP-2026-000123",
    "patient": PATIENT_EXAMPLE,
    "requested_test": "liquid-based-cytology",
    "priority": "routine",
    "requester": "Khoa Phụ sản, phòng khám 3",
    "specimens": [
        {
            "accession": "C26-004711",
            "collected_on": "2026-01-05",
            "source_site": "cervix",
            "preparation": "liquid-based",
            "state": "received",
        }
    ],
    "context": {
        "last_period": "2025-12-20",
        "hpv_result": "positive-16-18",
        "hpv_date": "2025-11-02",
        "hpv_vaccination": "none",
        "history": ["abnormal-cytology"],
        "intrauterine_device": False,
    },
}


class ClinicalContext(BaseModel):
    """What changes how a smear is read; everything may be unknown."""

    model_config = ConfigDict(extra="forbid")

    last_period: PastDay | None = Field(None, description="First day of the last menstrual period")
    hpv_result: HpvResult | None = None
    hpv_date: PastDay | None = Field(None, description="Day of the HPV test")
    hpv_vaccination: Vaccination | None = None
    history: list[History] = Field(default_factory=list, max_length=16)
    history_text: FreeText | None = Field(None, description="Free text; stored encrypted, erased with the patient")
    pregnant: bool | None = None
    postmenopausal: bool | None = None
    intrauterine_device: bool | None = None
    hormones: bool | None = Field(None, description="Contraceptive or replacement hormones")


class SpecimenIn(BaseModel):
    """A glass or vial that comes, or has come, with the order."""

    model_config = ConfigDict(extra="forbid")

    accession: Number | None = Field(None, description="The laboratory's number; absent: one is given")
    collected_on: PastDay | None = Field(None, description="Day of collection")
    source_site: SourceSite = SourceSite.CERVIX
    preparation: Preparation
    state: Literal[SpecimenState.EXPECTED, SpecimenState.RECEIVED] = SpecimenState.EXPECTED


class SpecimenUpdate(BaseModel):
    """What changes on a specimen; members that are absent stay."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"state": "received"}]})

    collected_on: PastDay | None = None
    source_site: SourceSite | None = None
    preparation: Preparation | None = None
    state: SpecimenState | None = None
    rejected_reason: RejectReason | None = Field(None, description="Needed with the state `rejected`")

    @model_validator(mode="after")
    def _rejected_has_a_reason(self) -> Self:
        if (self.state is SpecimenState.REJECTED) != (self.rejected_reason is not None):
            raise ValueError("rejected_reason goes with the state rejected, and only with it")
        return self


class SpecimenOut(BaseModel):
    """A specimen as it is stored."""

    specimen_id: str
    accession: str
    collected_on: date | None
    source_site: SourceSite
    preparation: Preparation
    state: SpecimenState
    rejected_reason: RejectReason | None


class OrderIn(BaseModel):
    """A request for a cervical cytology, for a known patient or with the patient in it."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [ORDER_EXAMPLE]})

    number: Number | None = Field(None, description="What the ordering system calls it; absent: one is given")
    patient_id: Annotated[Text, StringConstraints(max_length=64)] | None = Field(None, description="A known patient")
    patient: PatientIn | None = Field(
        None, description="Instead of `patient_id`: found by any of the identifiers, or entered"
    )
    requested_test: RequestedTest = RequestedTest.CYTOLOGY
    priority: Priority = Priority.ROUTINE
    requester: Line | None = Field(None, description="Person or department, as the ordering system names it")
    specimens: list[SpecimenIn] = Field(default_factory=list, max_length=10)
    context: ClinicalContext = Field(default_factory=lambda: ClinicalContext.model_validate({}))

    @model_validator(mode="after")
    def _one_patient(self) -> Self:
        if (self.patient_id is None) == (self.patient is None):
            raise ValueError("give either patient_id or patient")
        return self


class OrderUpdate(BaseModel):
    """What changes; members that are absent stay, `context` is replaced as a whole."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"priority": "urgent"}]})

    requested_test: RequestedTest | None = None
    priority: Priority | None = None
    requester: Line | None = None
    status: Literal[OrderStatus.ACCEPTED] | None = Field(None, description="The laboratory takes the order on")
    context: ClinicalContext | None = None


class CancelIn(BaseModel):
    """Why the order is cancelled."""

    model_config = ConfigDict(extra="forbid")

    reason: CancelReason


class OrderOut(BaseModel):
    """An order as it is stored."""

    order_id: str
    number: str
    patient_id: str
    requested_test: RequestedTest
    priority: Priority
    status: OrderStatus
    requester: str | None
    age_years: int | None = Field(description="At collection (without its day: when ordered), in completed years")
    context: ClinicalContext
    specimens: list[SpecimenOut]
    version: int = Field(description="Grows with every change; the `ETag` holds it")
    created_at: datetime
    updated_at: datetime
    resulted_at: datetime | None
    cancel_reason: CancelReason | None


class OrderSummary(BaseModel):
    """One line of the list of orders."""

    order_id: str
    number: str
    patient_id: str
    requested_test: RequestedTest
    priority: Priority
    status: OrderStatus
    accessions: list[str]
    created_at: datetime
    updated_at: datetime


class OrderPage(BaseModel):
    """A page of orders, the newest first."""

    items: list[OrderSummary]
    next_before: str | None = Field(description="`before` of the next page; null when this is the last page")
