"""HTTP of cases: the worklist, one case, taking and giving back."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Annotated

from fastapi import APIRouter, Depends, Header, Path, Query, Request
from sse_starlette import EventSourceResponse, ServerSentEvent

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, Role, allow
from tamsoat.inference_service.accounts.sessions import CsrfError
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import answers, assignment, reads, review_settings, service, worklist
from tamsoat.inference_service.cases.review_settings import ReviewSettingsIn, ReviewSettingsOut
from tamsoat.inference_service.cases.schemas import (
    AssignIn,
    CaseDetail,
    CasePage,
    CaseSearch,
    CaseState,
    CaseSummary,
    NextCase,
    PriorityName,
    View,
)
from tamsoat.inference_service.cases.watch import CaseWatch, Listener
from tamsoat.inference_service.consultations import access
from tamsoat.inference_service.consultations import service as consultations
from tamsoat.inference_service.consultations.access import reader_id
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening.tables import PRIORITIES
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.text import Text

PAGE_DEFAULT, PAGE_MOST = 50, 200
HEARTBEAT_S = 15

router = APIRouter(prefix="/api/v1", tags=["cases"])


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Reader = Annotated[Principal, allow(*READERS)]
Administrator = Annotated[Principal, allow(Role.ADMINISTRATOR)]
CaseId = Annotated[Text, Path(max_length=64, description="From the worklist")]
_LIST = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError, StorageFullError)
_READ = (*_LIST, service.CaseNotFoundError)
_CHANGE = (*_READ, CsrfError, service.CaseStateError)


@router.get("/cases", response_model=CasePage, summary="List cases, the most urgent first",
            responses={**describe(*_LIST)})  # fmt: skip
def list_cases(
    runtime: RuntimeDep,
    principal: Reader,
    view: Annotated[View, Query(description="Which of the worklist's tabs")] = "facility",
    state: Annotated[CaseState | None, Query(description="Only cases in this state")] = None,
    priority: Annotated[PriorityName | None, Query(description="Only cases of this priority")] = None,
    assigned: Annotated[Text | None, Query(max_length=36, description="`me`, `none`, or an account")] = None,
    before: Annotated[Text | None, Query(max_length=40, description="`next_before` of the page before")] = None,
    limit: Annotated[int, Query(ge=1, le=PAGE_MOST, description="Most items on the page")] = PAGE_DEFAULT,
) -> CasePage:
    """A page of one view: by priority, then by the model's triage, then by age; signed ones the newest first.

    Every patient on the page is a read event (one for each person and patient in a quarter of an hour).
    """
    rank = PRIORITIES[priority] if priority is not None else None
    wanted = worklist.Wanted(view, state, rank, assigned, before, limit)
    with runtime.database.read() as session:
        page = worklist.page(session, principal, wanted)
    reads.record(runtime, principal, page.items)
    return page


@router.post("/cases/search", response_model=CasePage, summary="Search cases", responses={**describe(*_LIST)})
def search_cases(runtime: RuntimeDep, principal: Reader, wanted: CaseSearch) -> CasePage:
    """Find cases by patient, order, specimen or slide; at most 50. The audit log keeps who was found, not the words."""
    with runtime.database.read() as session:
        found = worklist.find(session, principal, wanted, PAGE_DEFAULT)
    details: dict[str, str | int | bool] = {
        "by": "worklist", "results": len(found.page.items), "patients": " ".join(found.patients)
    }  # fmt: skip
    runtime.read_log.record(principal, Action.PATIENT_SEARCH, "patient:search", details)
    reads.record(runtime, principal, found.page.items)
    return found.page


@router.get("/cases/next", response_model=NextCase, summary="What to read next", responses={**describe(*_READ)})
def next_case(
    runtime: RuntimeDep,
    principal: Reader,
    view: Annotated[View, Query(description="`second`: among those that wait for a second reader")] = "facility",
    after: Annotated[Text | None, Query(max_length=64, description="The case that is open now")] = None,
) -> NextCase:
    """The next case behind `after` in the order of the worklist: your own first, then those that nobody has."""
    with runtime.database.read() as session:
        present = service.get(session, principal.facility_id, after) if after is not None else None
        return worklist.following(session, principal, view, present)


@router.get(
    "/cases/events",
    summary="Follow the worklist",
    response_class=EventSourceResponse,
    responses={
        200: {
            "description": "Server-sent events `changed`: `changed_at` of the facility's cases, `questions` that wait "
            "for you, `progress` as [case, tiles done, tiles in all] of every case that is being screened",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
        **describe(*_LIST),
    },
)
async def follow_cases(
    request: Request,
    principal: Reader,
    accept: Annotated[str, Header(max_length=200, description="`text/event-stream`, as browsers send it")] = "",
) -> EventSourceResponse:
    """Something in your worklist changed: read it again. Who does not ask for a stream gets the first event alone."""
    listener = Listener(principal.facility_id, reader_id(principal))
    whole = "text/event-stream" in accept
    return EventSourceResponse(_events(_watch(request), listener, whole=whole), ping=HEARTBEAT_S)


@router.get("/cases/{case_id}", response_model=CaseDetail, summary="Read a case", responses={**describe(*_READ)})
def read_case(runtime: RuntimeDep, principal: Reader, case_id: CaseId) -> CaseDetail:
    """One case with its slides. A colleague who was asked reads it without patient and order, until the end."""
    with runtime.database.read() as session:
        case = access.may_view(session, principal, case_id)
        detail = answers.detail(session, principal, case)
        question = access.asked(session, principal, case_id) if detail.read_only else None
    if question is not None:
        runtime.read_log.record_all([consultations.read_event(principal, question, "case")])
    else:
        event = Event(principal.actor, Action.CASE_READ, f"case:{case.id}", {}, case.facility_id)
        runtime.read_log.record_all([event])
        reads.record(runtime, principal, [detail])
    return detail


@router.post(
    "/cases/{case_id}/assign",
    response_model=CaseSummary,
    summary="Take a case",
    responses={**describe(*_CHANGE, assignment.CaseTakenError, assignment.OwnSecondReadingError)},
)
def assign_case(runtime: RuntimeDep, principal: Reader, case_id: CaseId, wanted: AssignIn) -> CaseSummary:
    """You become the reader; while the case waits for a second reader, the second reader."""
    with runtime.database.write() as session:
        case = service.get(session, principal.facility_id, case_id, lock=True)
        assignment.assign(session, principal, case, take_over=wanted.take_over)
    return _one(runtime, principal, case_id)


@router.post("/cases/{case_id}/release", response_model=CaseSummary, summary="Give a case back",
             responses={**describe(*_CHANGE)})  # fmt: skip
def release_case(runtime: RuntimeDep, principal: Reader, case_id: CaseId) -> CaseSummary:
    """Somebody else may read it then; what you have drafted stays yours."""
    with runtime.database.write() as session:
        case = service.get(session, principal.facility_id, case_id, lock=True)
        assignment.release(session, principal, case)
    return _one(runtime, principal, case_id)


@router.get("/review-settings", response_model=ReviewSettingsOut, summary="Read how the facility reads its cases",
            responses={**describe(NotSignedInError, ForbiddenError, DatabaseUnavailableError)})  # fmt: skip
def read_review_settings(
    request: Request, runtime: RuntimeDep, principal: Annotated[Principal, allow(*READERS, Role.ADMINISTRATOR)]
) -> ReviewSettingsOut:
    """The settings of your facility, with their `ETag`."""
    with runtime.database.read() as session:
        found = review_settings.read(session, principal.facility_id)
    return conditional.answer(request, found, etag=_tag(principal, found))  # type: ignore[return-value]


@router.put(
    "/review-settings",
    response_model=ReviewSettingsOut,
    summary="Change how the facility reads its cases",
    responses={**describe(*_LIST, CsrfError, conditional.PreconditionFailedError,
                          conditional.PreconditionRequiredError)},
)  # fmt: skip
def change_review_settings(
    request: Request, runtime: RuntimeDep, principal: Administrator, wanted: ReviewSettingsIn
) -> ReviewSettingsOut:
    """Needs `If-Match`; counts for what is signed and opened from now on."""
    with runtime.database.write() as session:
        before = review_settings.lock(session, principal.facility_id)
        conditional.require_match(request, _tag(principal, before))
        found = review_settings.change(session, principal, wanted)
    return conditional.answer(request, found, etag=_tag(principal, found))  # type: ignore[return-value]


def _tag(principal: Principal, found: ReviewSettingsOut) -> str:
    return conditional.etag_of("review-settings", principal.facility_id, found.version)


def _one(runtime: Runtime, principal: Principal, case_id: str) -> CaseSummary:
    with runtime.database.read() as session:
        summary = answers.summaries(session, principal, [service.get(session, principal.facility_id, case_id)])[0]
    reads.record(runtime, principal, [summary])
    return summary


def _watch(request: Request) -> CaseWatch:
    state = request.app.state
    if not hasattr(state, "case_watch"):
        state.case_watch = CaseWatch(state.runtime.database, lambda: bool(state.drain.active))
    watch: CaseWatch = state.case_watch
    return watch


async def _events(watch: CaseWatch, listener: Listener, *, whole: bool) -> AsyncIterator[ServerSentEvent]:
    async with aclosing(watch.follow(listener)) as changes:
        async for seen in changes:
            yield ServerSentEvent(seen.to_json(), event="changed")
            if not whole:
                return
