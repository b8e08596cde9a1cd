"""What the API says of reports."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, Field

from tamsoat.inference_service.reports.content import ReportContent

ReportLanguage = Literal["vi", "en"]


class ReportFile(BaseModel):
    """The PDF in one language."""

    href: str = Field(description="Where it is fetched from")
    sha256: str | None = Field(description="Of the PDF; null: it is made when it is first fetched")


class ReportSummary(BaseModel):
    """One version of a case's report."""

    report_id: str
    case_id: str
    number: int = Field(description="1, 2, … versions of the case's report")
    state: Literal["current", "superseded"]
    superseded_by: str | None = Field(description="Report that replaced it")
    issued_at: datetime
    digest: str = Field(description="SHA-256 of the canonical JSON (RFC 8785 for what it holds) of `content`")
    code: str = Field(description="Public verification code")
    verify: str = Field(description="Page on which anyone can check the report; it shows no data of the patient")
    files: dict[ReportLanguage, ReportFile]


class ReportAnswer(ReportSummary):
    """One version of a report with all that it says."""

    content: ReportContent


class ReportList(BaseModel):
    """Every version of a case's report, the newest first."""

    items: list[ReportSummary]
