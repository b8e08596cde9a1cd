"""HTTP of reports: read one, fetch its PDF, list those of a case."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.accounts.public_address import base_url
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.reports import rendering, report_repository, report_views, service
from tamsoat.inference_service.reports.report_schemas import ReportAnswer, ReportLanguage, ReportList
from tamsoat.inference_service.reports.sealing_files import ReportFileAlteredError
from tamsoat.inference_service.reports.typesetting import TypesettingError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.slides.errors import DecodeTimeoutError
from tamsoat.inference_service.slides.sandbox import DecoderClosedError
from tamsoat.inference_service.storage.store import ContentMissingError, StorageUnavailableError
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe

router = APIRouter(prefix="/api/v1", tags=["reports"])


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Reader = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/DiagnosticReport.r")]
ReportId = Annotated[str, Path(max_length=64, description="From the list of a case's reports")]
_ERRORS = (
    NotSignedInError,
    ForbiddenError,
    InvalidRequestError,
    DatabaseUnavailableError,
    StorageFullError,
)
_NOT_MODIFIED: dict[int | str, dict[str, Any]] = {304: {"description": "`If-None-Match` names what is stored"}}


@router.get(
    "/reports/{report_id}",
    response_model=ReportAnswer,
    summary="Read one report",
    responses={**_NOT_MODIFIED, **describe(*_ERRORS, service.ReportNotFoundError, service.ReportErasedError)},
)
def read_report(request: Request, runtime: RuntimeDep, principal: Reader, report_id: ReportId) -> Response:
    """All that the report says, with the digest that its PDF prints. Each reading is recorded in the audit log."""
    with runtime.database.read() as session:
        report = service.get(session, principal.facility_id, report_id)
        answer = report_views.answer(report, base_url(request))
    runtime.read_log.record(principal, Action.REPORT_READ, service.subject(report.id), {"number": report.number})
    return conditional.answer(request, answer)


@router.get(
    "/reports/{report_id}/pdf",
    summary="Fetch the PDF of one report",
    response_class=Response,
    responses={
        200: {
            "description": "PDF/A-2a and PDF/UA-1; always the same bytes",
            "content": {"application/pdf": {"schema": {"type": "string", "format": "binary"}}},
        },
        **_NOT_MODIFIED,
        **describe(
            *_ERRORS,
            service.ReportNotFoundError,
            service.ReportErasedError,
            ReportFileAlteredError,
            TypesettingError,
            DecodeTimeoutError,
            DecoderClosedError,
            ContentMissingError,
            StorageUnavailableError,
        ),
    },
)
def read_report_pdf(
    request: Request,
    runtime: RuntimeDep,
    principal: Reader,
    report_id: ReportId,
    language: Annotated[ReportLanguage, Query(description="`vi` or `en`")] = "vi",
) -> Response:
    """The report to print, archive and send on; made now where the job has not made it yet. Recorded each time."""
    with runtime.database.read() as session:
        report = service.get(session, principal.facility_id, report_id)
        session.expunge_all()
    service.content_of(report)  # an erased one is refused before anything is made
    runtime.read_log.record(
        principal, Action.REPORT_READ, service.subject(report.id), {"number": report.number, "language": language}
    )
    if not rendering.is_made(report):
        rendering.ensure(runtime, report.id)
        with runtime.database.read() as session:
            report = service.get(session, principal.facility_id, report_id)
            session.expunge_all()
    tag = conditional.etag_of(report.id, language, getattr(report, f"pdf_{language}_sha256"))
    headers = {"ETag": tag, "cache-control": "private, no-cache"}
    if conditional.is_known(request, tag):
        return Response(status_code=304, headers=headers)
    name = f"report-{report.id[:8]}-v{report.number}-{language}.pdf"
    headers["content-disposition"] = f'attachment; filename="{name}"'
    return Response(rendering.read(runtime, report, language), headers=headers, media_type="application/pdf")


@router.get(
    "/cases/{case_id}/reports",
    response_model=ReportList,
    summary="List the reports of a case, newest first",
    responses={**_NOT_MODIFIED, **describe(*_ERRORS, cases.CaseNotFoundError)},
)
def list_case_reports(
    request: Request,
    runtime: RuntimeDep,
    principal: Reader,
    case_id: Annotated[str, Path(max_length=64, description="From the list of cases")],
) -> Response:
    """Every version: amendments supersede, and what was superseded stays readable. Recorded in the audit log."""
    with runtime.database.read() as session:
        case = cases.get(session, principal.facility_id, case_id)
        rows = report_repository.of_case(session, principal.facility_id, case.id)
        items = [report_views.summary(row, base_url(request)) for row in rows]
    runtime.read_log.record(principal, Action.REPORT_READ, f"case:{case.id}", {"found": len(items)})
    return conditional.answer(request, ReportList(items=items))
