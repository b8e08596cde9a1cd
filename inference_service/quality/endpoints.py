"""HTTP of the quality page: figures as JSON and as CSV."""

from __future__ import annotations

from datetime import date
from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from tamsoat.inference_service.accounts.access import ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.quality import service
from tamsoat.inference_service.quality.schemas import QualityAnswer
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe

HEADS = (Role.PATHOLOGIST, Role.ADMINISTRATOR, Role.AUDITOR)
"""Who sees the page: the head of a department holds one of these roles."""

router = APIRouter(prefix="/api/v1", tags=["quality"])


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Head = Annotated[Principal, allow(*HEADS)]
First = Annotated[date | None, Query(description="First day, Vietnamese time; absent: 13 weeks before `last`")]
Last = Annotated[date | None, Query(description="Last day, included; absent: today")]
_ERRORS = (
    NotSignedInError, ForbiddenError, InvalidRequestError, service.PeriodInvalidError, DatabaseUnavailableError,
)  # fmt: skip


@router.get("/quality", summary="Figures of quality", responses={**describe(*_ERRORS)})
def read_quality(runtime: RuntimeDep, principal: Head, first: First = None, last: Last = None) -> QualityAnswer:
    """Volumes, rates, agreement, second readings, turnaround and drift of the caller's facility; aggregates only."""
    return _measured(runtime, principal, first, last)


@router.get(
    "/quality.csv",
    summary="The same figures as CSV",
    response_class=Response,
    responses={
        200: {"description": "One figure a line", "content": {"text/csv": {"schema": {"type": "string"}}}},
        **describe(*_ERRORS, StorageFullError),
    },
)
def export_quality(runtime: RuntimeDep, principal: Head, first: First = None, last: Last = None) -> Response:
    """For a spreadsheet. Each export is recorded in the audit log."""
    answer = _measured(runtime, principal, first, last)
    days = {"first": answer.period.first.isoformat(), "last": answer.period.last.isoformat()}
    runtime.read_log.record(principal, Action.QUALITY_EXPORT, f"facility:{principal.facility_id}", days)
    name = f"quality-{days['first']}-{days['last']}.csv"
    headers = {"content-disposition": f'attachment; filename="{name}"'}
    return Response(service.to_csv(answer), headers=headers, media_type="text/csv; charset=utf-8")


def _measured(runtime: Runtime, principal: Principal, first: date | None, last: date | None) -> QualityAnswer:
    period = service.period_of(first, last)
    with runtime.database.read() as session:
        return service.measure(session, principal.facility_id, period, runtime.bundle.digest)
