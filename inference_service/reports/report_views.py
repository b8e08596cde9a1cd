"""Reports as the API shows them."""

from __future__ import annotations

from typing import get_args

from tamsoat.inference_service.reports import service, sheet
from tamsoat.inference_service.reports.report_schemas import ReportAnswer, ReportFile, ReportLanguage, ReportSummary
from tamsoat.inference_service.reports.report_tables import Report

LANGUAGES: tuple[ReportLanguage, ...] = get_args(ReportLanguage)


def summary(report: Report, address: str) -> ReportSummary:
    """One version; ``address``: how the public reaches the service."""
    return ReportSummary(
        report_id=report.id,
        case_id=report.case_id,
        number=report.number,
        state="superseded" if report.superseded_by else "current",
        superseded_by=report.superseded_by,
        issued_at=report.created_at,
        digest=report.digest,
        code=report.code,
        verify=sheet.verification_address(address, report.code),
        files={language: _file(report, language) for language in LANGUAGES},
    )


def answer(report: Report, address: str) -> ReportAnswer:
    """The same with what it says.

    Raises:
        ReportErasedError: it was erased.
    """
    return ReportAnswer(**summary(report, address).model_dump(), content=service.content_of(report))


def _file(report: Report, language: ReportLanguage) -> ReportFile:
    href = f"/api/v1/reports/{report.id}/pdf?language={language}"
    return ReportFile(href=href, sha256=report.pdf_vi_sha256 if language == "vi" else report.pdf_en_sha256)
