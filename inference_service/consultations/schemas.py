"""What goes over the wire about consultations."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from tamsoat.datasets.categories import Category
from tamsoat.inference_service.transport.text import Text

DAYS_MOST = 30
Words = Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=4000)]
ConsultationState = Literal["open", "answered", "declined", "withdrawn", "expired"]

CONSULTATION_EXAMPLE: dict[str, Any] = {
    "consultation_id": "2f5cf5f6-8a5b-4e3f-8d0f-4c2f3e0b7f11",
    "case_id": "6b0e2a52-0f0e-4ad5-8f0a-5b4d3f1b7a10",
    "case_label": "26-000123",
    "asking_facility": "Bệnh viện Từ Dũ",
    "asked_by": "Nguyễn Thị Lan",
    "consultant": "tran.minh",
    "consultant_name": "Trần Minh",
    "consultant_facility": "Bệnh viện K",
    "question": "Nhóm tế bào ở góc trên: HSIL hay hoá sinh?",
    "state": "open",
    "created_at": "2026-11-22T03:10:00Z",
    "expires_at": "2026-11-29T03:10:00Z",
    "opinion": None,
    "category": None,
    "answered_at": None,
    "mine": True,
    "asked_of_me": False,
}


class ConsultationIn(BaseModel):
    """A question to a named colleague in another facility."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [{"case_id": CONSULTATION_EXAMPLE["case_id"], "consultant": "tran.minh",
                          "question": CONSULTATION_EXAMPLE["question"], "days": 7}]
        },
    )  # fmt: skip

    case_id: Text = Field(max_length=64)
    consultant: Annotated[Text, StringConstraints(strip_whitespace=True, min_length=1, max_length=64)] = Field(
        description="The colleague's whole sign-in name; names are not listed across facilities"
    )
    question: Words = Field(description="What you want to know; write nothing that names the patient")
    days: int = Field(ge=1, le=DAYS_MOST, description="How long the case stays open to the colleague")


class AnswerIn(BaseModel):
    """The colleague's opinion."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"opinion": "Nhân tăng sắc, màng nhân không đều: HSIL.", "category": "HSIL"}]},
    )

    opinion: Words
    category: Category | None = Field(None, description="Category of the general result, where one is given")


class DeclineIn(BaseModel):
    """No opinion, and why."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"reason": "Ảnh không đủ nét."}]})

    reason: Words | None = None


class ConsultationOut(BaseModel):
    """A question and its answer."""

    model_config = ConfigDict(json_schema_extra={"examples": [CONSULTATION_EXAMPLE]})

    consultation_id: str
    case_id: str
    case_label: str
    asking_facility: str
    asked_by: str | None = Field(description="Name of the person who asks; null: without sign-in")
    consultant: str = Field(description="Sign-in name")
    consultant_name: str
    consultant_facility: str
    question: str
    state: ConsultationState
    created_at: datetime
    expires_at: datetime
    opinion: str | None = Field(description="Of a declined one: why")
    category: str | None
    answered_at: datetime | None = Field(description="When it was answered, declined or withdrawn")
    mine: bool = Field(description="Whether you asked")
    asked_of_me: bool = Field(description="Whether you are asked")


class ConsultationList(BaseModel):
    """Consultations, the newest first."""

    items: list[ConsultationOut]
