"""HTTP of analyses: read, list, follow, cancel, retry."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Header, Path, Query, Request, Response
from sse_starlette import EventSourceResponse, ServerSentEvent

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.accounts.sessions import CsrfError
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.reviews import blinding
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening import control, service, viewable, views
from tamsoat.inference_service.screening.answers import AnalysisPage, AnalysisView, JobState, Priority, State, Triage
from tamsoat.inference_service.screening.endpoints import RuntimeDep
from tamsoat.inference_service.screening.list_repository import Filters
from tamsoat.inference_service.screening.requests import QUEUE
from tamsoat.inference_service.screening.tables import PRIORITIES, Screening
from tamsoat.inference_service.screening.watch import Watch
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.parameters import Moment
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe

PAGE_DEFAULT, PAGE_MOST = 50, 200
HEARTBEAT_S = 15
"""Seconds between two comments of a quiet stream, so that proxies keep it open."""

router = APIRouter(prefix="/api/v1", tags=["screening"])
Reader = Annotated[Principal, allow(*READERS, Role.RESEARCHER, Role.INTEGRATOR, scope="system/Observation.rs")]
Requester = Annotated[Principal, allow(*READERS, Role.INTEGRATOR, scope="system/ServiceRequest.u")]
AnalysisId = Annotated[str, Path(max_length=64, description="From the answer of a screening or an upload")]
_READ_ERRORS = (NotSignedInError, ForbiddenError, service.AnalysisNotFoundError, DatabaseUnavailableError)
_CHANGE_ERRORS = (*_READ_ERRORS, CsrfError, InvalidRequestError, StorageFullError)


@router.get(
    "/analyses/{analysis_id}",
    response_model=AnalysisView,
    summary="Read one analysis",
    responses={
        304: {"description": "`If-None-Match` names what is stored"},
        **describe(*_READ_ERRORS, InvalidRequestError, StorageFullError, blinding.BlindReadingError),
    },
)
def read_analysis(request: Request, runtime: RuntimeDep, principal: Reader, analysis_id: AnalysisId) -> Response:
    """State and, once completed, the result. Reading one that belongs to an order is recorded in the audit log."""
    with runtime.database.read() as session:
        row, analysis = viewable.find(session, principal, analysis_id)
        blinding.require_unblinded_slide(session, principal, row.slide_id)
        tag = conditional.etag_of(row.id, row.version)
        if conditional.is_known(request, tag):
            return Response(status_code=304, headers={"ETag": tag})
        body = views.body(session, row, analysis)
    if row.order_id is not None:
        runtime.read_log.record(principal, Action.ANALYSIS_READ, f"analysis:{row.id}")
    return Response(body, headers={"ETag": tag}, media_type="application/json")


@router.get(
    "/analyses",
    response_model=AnalysisPage,
    summary="List analyses, newest first",
    responses={**describe(*_READ_ERRORS, InvalidRequestError)},
)
def list_analyses(
    runtime: RuntimeDep,
    principal: Reader,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST, description="Most items on the page")] = PAGE_DEFAULT,
    before: Annotated[
        str | None, Query(max_length=64, description="`next_before` of the page before; absent: the newest")
    ] = None,
    state: Annotated[State | None, Query(description="Only screenings in this state")] = None,
    triage: Annotated[Triage | None, Query(description="Only completed ones of this triage")] = None,
    priority: Annotated[Priority | None, Query(description="Only screenings of this priority")] = None,
    order_id: Annotated[str | None, Query(max_length=64, description="Only those of this order")] = None,
    slide_id: Annotated[str | None, Query(max_length=64, description="Only those of this slide")] = None,
    created_from: Annotated[Moment | None, Query(description="Requested then or later; with time zone")] = None,
    created_before: Annotated[Moment | None, Query(description="Requested before then; with time zone")] = None,
) -> Response:
    """A page of what was requested and analysed; follow `next_before` until it is null."""
    rank = PRIORITIES[priority] if priority is not None else None
    filters = Filters(state, triage, rank, order_id, slide_id, created_from, created_before)
    with runtime.database.read() as session:
        page = views.page(session, principal.facility_id, filters, limit, before)
        hidden = blinding.blinded_slides(session, principal, [item.slide_id for item in page.items if item.slide_id])
    if hidden:
        page = views.without_results(page, hidden, leave_out=triage is not None)
    return Response(page.model_dump_json(), media_type="application/json")


@router.get(
    "/analyses/{analysis_id}/events",
    summary="Follow one analysis",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Server-sent events `state`, each with the members of JobState; the stream ends with a "
            "final state. `id` counts versions: after a break, `Last-Event-ID` leaves out what was seen",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **describe(*_READ_ERRORS, InvalidRequestError),
    },
)
async def follow_analysis(
    request: Request,
    runtime: RuntimeDep,
    principal: Reader,
    analysis_id: AnalysisId,
    last_event_id: Annotated[str | None, Header(max_length=20, description="Set by browsers")] = None,
) -> EventSourceResponse:
    """The state now and after every change: for progress bars. Another process may do the work."""
    await to_thread.run_sync(_find, runtime, principal, analysis_id)
    seen = (
        int(last_event_id) if last_event_id is not None and last_event_id.isascii() and last_event_id.isdigit() else -1
    )
    return EventSourceResponse(_events(_watch(request), analysis_id, seen), ping=HEARTBEAT_S)


@router.post(
    "/analyses/{analysis_id}/cancel",
    response_model=JobState,
    summary="Cancel a screening job",
    responses={**describe(*_CHANGE_ERRORS, control.AnalysisFinishedError)},
)
def cancel_analysis(runtime: RuntimeDep, principal: Requester, analysis_id: AnalysisId) -> JobState:
    """A waiting job is cancelled at once, a running one at its next tile; neither will complete."""
    with runtime.database.write() as session:
        row = control.cancel(session, principal, analysis_id)
        return views.state(row)


@router.post(
    "/analyses/{analysis_id}/retry",
    response_model=JobState,
    summary="Retry a failed or cancelled screening job",
    responses={**describe(*_CHANGE_ERRORS, control.AnalysisNotRetriableError)},
)
def retry_analysis(runtime: RuntimeDep, principal: Requester, analysis_id: AnalysisId) -> JobState:
    """A new attempt under the same identifier."""
    with runtime.database.write() as session:
        row = control.retry(session, principal, analysis_id)
        answer = views.state(row)
    runtime.jobs.wake(QUEUE, analysis_id)
    return answer


def _find(runtime: Runtime, principal: Principal, analysis_id: str) -> Screening:
    with runtime.database.read() as session:
        return viewable.find(session, principal, analysis_id)[0]


def _watch(request: Request) -> Watch:
    state = request.app.state
    if not hasattr(state, "watch"):
        state.watch = Watch(state.runtime.database, lambda: bool(state.drain.active))
    watch: Watch = state.watch
    return watch


async def _events(watch: Watch, analysis_id: str, seen: int) -> AsyncIterator[ServerSentEvent]:
    async for version, state in watch.follow(analysis_id, seen):
        yield ServerSentEvent(state.model_dump_json(), event="state", id=str(version))
