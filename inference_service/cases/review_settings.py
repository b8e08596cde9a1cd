"""How a facility reads its cases: read and changed by its administrators."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, StringConstraints
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import repository, service
from tamsoat.inference_service.cases.tables import FacilityReviewSettings
from tamsoat.inference_service.transport.text import Text
from tamsoat.inference_service.uploads import repository as uploads

HeaderLine = Annotated[Text, StringConstraints(strip_whitespace=True, max_length=200)] | None
_EXAMPLE: dict[str, Any] = {
    "blind_first": False,
    "negative_share": 0.1,
    "disagreement_steps": 2,
    "report_name": "Bệnh viện Từ Dũ",
    "report_department": "Khoa Giải phẫu bệnh",
    "report_address": "284 Cống Quỳnh, Quận 1, TP. Hồ Chí Minh",
    "report_phone": "028 5404 2829",
}


class ReviewSettingsIn(BaseModel):
    """How the facility reads its cases and heads its reports."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [_EXAMPLE]})

    blind_first: bool = Field(description="A reader states an impression before what the model found is shown")
    negative_share: float = Field(ge=0, le=1, description="Share of the negative cases for a second reader")
    disagreement_steps: int = Field(
        ge=1, le=5, description="So many categories between reader and model ask for a second reader"
    )
    report_name: HeaderLine = Field(None, description="Head of the report; null: the name of the facility")
    report_department: HeaderLine = None
    report_address: HeaderLine = None
    report_phone: HeaderLine = None


class ReviewSettingsOut(ReviewSettingsIn):
    """The settings in force."""

    model_config = ConfigDict(json_schema_extra={"examples": [{**_EXAMPLE, "version": 1}]})

    version: int = Field(description="0: nobody has changed the defaults")


def read(session: Session, facility_id: str) -> ReviewSettingsOut:
    """The settings in force."""
    return ReviewSettingsOut.model_validate(service.settings_of(session, facility_id), from_attributes=True)


def lock(session: Session, facility_id: str) -> ReviewSettingsOut:
    """The settings in force, which nobody else changes until the transaction ends."""
    uploads.lock(session, f"review-settings:{facility_id}")
    repository.settings_of(session, facility_id, lock=True)
    return read(session, facility_id)


def change(session: Session, principal: Principal, wanted: ReviewSettingsIn) -> ReviewSettingsOut:
    """Put ``wanted`` in the place of locked settings."""
    row = repository.settings_of(session, principal.facility_id)
    if row is None:
        row = FacilityReviewSettings(facility_id=principal.facility_id, version=0)
        session.add(row)
    for name in ReviewSettingsIn.model_fields:
        value = getattr(wanted, name)
        setattr(row, name, None if value == "" else value)
    row.version += 1
    row.updated_at = datetime.now(UTC)
    session.flush()
    details: dict[str, str | int | bool] = {
        "blind_first": wanted.blind_first,
        "negative_percent": round(100 * wanted.negative_share),
        "disagreement_steps": wanted.disagreement_steps,
        "version": row.version,
    }
    facility = principal.facility_id
    audit.append(session, Event(principal.actor, Action.REVIEW_SETTINGS, f"facility:{facility}", {}, facility, details))
    return read(session, facility)
