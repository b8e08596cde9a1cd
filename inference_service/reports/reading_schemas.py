"""What goes over the wire about readings."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from tamsoat.inference_service.accounts.schemas import Code, Password
from tamsoat.inference_service.reports.form import FORM_EXAMPLE, Form
from tamsoat.inference_service.reports.reauthentication import Means
from tamsoat.inference_service.transport.text import Text

REASON_LENGTH = 1000
MESSAGE_LENGTH = 2000
Words = dict[str, str]
"""A text by language: ``vi`` and ``en``."""
Role = Literal["screening", "primary", "second", "consensus", "amendment"]
SecondReason = Literal["grave", "ai-disagreement", "drawn", "amendment"]

_CASE = "0b7e9f8e-6f0e-4f6c-9a53-0f3c7f1f2d11"
_READING = "7c1a9f52-94a3-4a49-8a3d-2f4b7f0d5c11"
_DIGEST = "3f5a7c0f6d0c9e0b7b1f9b2fd5f3b6f4f2e1d0c9b8a79685746352413f2e1d0c"
_WHEN = "2026-03-02T08:15:00Z"
_WORDS = {"vi": "Hãy chọn phân loại chung.", "en": "Choose the general category."}
_PROPOSAL = {"category": "HSIL", "suspicion": 0.97, "triage": "urgent", "usable": True}
READING_EXAMPLE: dict[str, Any] = {
    "reading_id": _READING, "role": "primary", "reader": "Nguyễn Thị Lan", "mine": True, "form": FORM_EXAMPLE,
    "category": "HSIL", "ai_category": "HSIL", "blind": False, "reason": None, "supersedes": None,
    "second_reason": "grave", "needs_confirmation": False, "confirmed_by": None, "confirmed_at": None,
    "signed_at": _WHEN, "is_result": True, "was_result": True, "digest": _DIGEST,
}  # fmt: skip
STATE_EXAMPLE: dict[str, Any] = {
    "case_id": _CASE, "case_state": "in-review", "role": "primary", "refusal": None, "confirms": None,
    "reauthentication": "password-and-code", "form": FORM_EXAMPLE, "started_from": "draft", "saved_at": _WHEN,
    "version": 3, "violations": [], "second_reader_because": "grave", "proposal": _PROPOSAL, "ai_hidden": False,
    "marks": {"category": "HSIL", "counts": {"agree": 22, "regrade": 2}},
    "coverage": {"slides": 0.91, "cells": 0.98}, "advice": [], "others_writing": [], "readings_hidden": False,
    "age_years": 41,
}  # fmt: skip


def _example(example: dict[str, Any], *, strict: bool = False) -> ConfigDict:
    config = ConfigDict(json_schema_extra={"examples": [example]})
    if strict:
        config["extra"] = "forbid"
    return config


class ViolationOut(BaseModel):
    """One rule that the form breaks."""

    model_config = _example({"rule": "category-missing", "field": "general", "messages": _WORDS})

    rule: str
    field: str = Field(description="Field of the form where it is mended")
    messages: Words = Field(description="What is wrong, `vi` and `en`")


class Refusal(BaseModel):
    """Why the caller cannot sign now."""

    model_config = _example({"code": "same-reader", "messages": _WORDS})

    code: str
    messages: Words


class ProposalOut(BaseModel):
    """What the AI says of the case: an aid beside the form, never put into it."""

    model_config = _example(_PROPOSAL)

    category: str | None
    suspicion: float | None = Field(description="Highest probability of an abnormality among the slides, 0 to 1")
    triage: str | None
    usable: bool | None = Field(description="Whether the quality check found every slide fit to be read")


class MarksOut(BaseModel):
    """What the caller's own marks on cells come to."""

    model_config = _example({"category": "HSIL", "counts": {"agree": 22, "regrade": 2}})

    category: str | None = Field(description="The gravest one among the cells that the caller agreed to, regraded or "
                                 "added; null: the caller has marked none")  # fmt: skip
    counts: dict[str, int]


class CoverageShareOut(BaseModel):
    """How much of the slides the caller has had in view, 0 to 1."""

    model_config = _example({"slides": 0.91, "cells": 0.98})

    slides: float
    cells: float | None = Field(description="Of the area that bears cells; null: not known")


class Writer(BaseModel):
    """Somebody else who has an unsigned reading of the case."""

    model_config = _example({"reader": "Trần Văn Minh", "saved_at": _WHEN})

    reader: str
    saved_at: datetime


class ReadingState(BaseModel):
    """The caller's unsigned reading of a case, and everything that signing it depends on."""

    model_config = _example(STATE_EXAMPLE)

    case_id: str
    case_state: str
    role: Role | None = Field(description="What the caller's next signature would be; null: none is due")
    refusal: Refusal | None = Field(description="null: it may be signed once no rule is broken")
    confirms: str | None = Field(description="Reading of somebody else that waits for the caller's agreement")
    reauthentication: Means = Field(description="What a signature asks for")
    form: Form
    started_from: Literal["draft", "empty", "own", "result"] = Field(
        description="`draft`: saved; else what an unsaved form starts with: nothing, one's own earlier reading, or "
        "the result that is to be amended"
    )
    saved_at: datetime | None
    version: int = Field(description="Saves so far; 0: none")
    violations: list[ViolationOut]
    second_reader_because: SecondReason | None = Field(
        description="The rule that will ask for a second reader, as far as the form decides it; chance is drawn when "
        "the reading is signed"
    )
    proposal: ProposalOut | None = Field(description="null: not shown before the first impression")
    ai_hidden: bool
    marks: MarksOut
    coverage: CoverageShareOut
    advice: list[str] = Field(description="Codes of what the reader may want to look at again; nothing is refused")
    others_writing: list[Writer]
    readings_hidden: bool = Field(description="The first reading is kept from the caller until the second is signed")
    age_years: int | None = Field(description="Of the patient at collection")


class SignIn(BaseModel):
    """The password once more, and the code where a second factor is enrolled."""

    model_config = _example({"password": "con mèo ngồi hát ca trù", "code": "492039"}, strict=True)

    password: Password
    code: Code = ""


class AmendIn(SignIn):
    """A signature that changes a result."""

    model_config = _example(
        {"password": "con mèo ngồi hát ca trù", "code": "492039", "reason": "Hội chẩn với mô bệnh học sau sinh thiết."},
        strict=True,
    )

    reason: Text = Field(min_length=10, max_length=REASON_LENGTH, description="Why the result changes; it is printed")


class ConfirmIn(SignIn):
    """Agreement to what a colleague signed."""

    model_config = _example(
        {"password": "con mèo ngồi hát ca trù", "code": "492039", "reading_id": _READING}, strict=True
    )

    reading_id: Text = Field(max_length=64)


class ReadingOut(BaseModel):
    """One signed reading."""

    model_config = _example(READING_EXAMPLE)

    reading_id: str
    role: Role
    reader: str = Field(description="Name of the person")
    mine: bool
    form: Form
    category: str | None
    ai_category: str | None
    blind: bool = Field(description="A first impression was given before the AI was shown")
    reason: str | None = Field(description="Of an amendment")
    supersedes: str | None = Field(description="Of an amendment: the reading that was the result until then")
    second_reason: SecondReason | None
    needs_confirmation: bool
    confirmed_by: str | None = Field(description="Name of the person")
    confirmed_at: datetime | None
    signed_at: datetime
    is_result: bool = Field(description="The result that holds now")
    was_result: bool
    digest: str = Field(description="SHA-256 of what was signed; the audit log has the same")


class ReadingList(BaseModel):
    """Every signed reading that the caller may see, in the order of the signatures."""

    model_config = _example({"items": [READING_EXAMPLE], "hidden": False})

    items: list[ReadingOut]
    hidden: bool = Field(description="Others are kept from the caller until the second reading is signed")


class SignedOut(BaseModel):
    """What the signature led to."""

    model_config = _example(
        {"reading": READING_EXAMPLE, "outcome": "second-reader", "reason": "grave", "report_id": None}
    )

    reading: ReadingOut
    outcome: Literal["screened", "second-reader", "discussion", "confirmation", "result"]
    reason: SecondReason | None = Field(description="Why somebody else has to look")
    report_id: str | None = Field(description="null: there is no result yet")


class MessageIn(BaseModel):
    """What one reader tells the others."""

    model_config = _example({"text": "Nhân lớn, tỷ lệ nhân trên bào tương tăng ở ô thứ ba."}, strict=True)

    text: Text = Field(min_length=1, max_length=MESSAGE_LENGTH)


class MessageOut(BaseModel):
    """One message."""

    model_config = _example(
        {"message_id": _READING, "author": "Trần Văn Minh", "mine": False, "text": "Tôi xem lại.", "at": _WHEN}
    )

    message_id: str
    author: str
    mine: bool
    text: str | None = Field(description="null: erased")
    at: datetime


class MessageList(BaseModel):
    """What was written about the case, oldest first."""

    model_config = _example({"items": [], "hidden": False})

    items: list[MessageOut]
    hidden: bool = Field(description="The discussion is kept from the caller until the second reading is signed")


class TermOut(BaseModel):
    """One term of the form."""

    model_config = _example(
        {
            "code": "hsil",
            "group": "squamous",
            "category": "HSIL",
            "snomed_ct": "62061000119107",
            "words": {
                "vi": "Tổn thương trong biểu mô gai độ cao (HSIL)",
                "en": "High-grade squamous intraepithelial lesion (HSIL)",
            },
        }
    )

    code: str
    group: str
    category: str | None = Field(description="What a specimen with it counts as")
    snomed_ct: str | None = Field(description="null: no code is known for it")
    words: Words


class TermList(BaseModel):
    """Every term of the form, in its order, and what each part of a report is called in LOINC."""

    items: list[TermOut]
    loinc: dict[str, str]
