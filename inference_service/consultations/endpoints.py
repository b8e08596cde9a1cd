"""HTTP of consultations."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Query, Request

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, allow
from tamsoat.inference_service.accounts.sessions import CsrfError
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.consultations import repository, service
from tamsoat.inference_service.consultations.access import reader_id
from tamsoat.inference_service.consultations.schemas import (
    AnswerIn,
    ConsultationIn,
    ConsultationList,
    ConsultationOut,
    DeclineIn,
)
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport import idempotency
from tamsoat.inference_service.transport.idempotency import IdempotentRoute, idempotency_key
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.text import Text

router = APIRouter(prefix="/api/v1/consultations", tags=["consultations"], route_class=IdempotentRoute)


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Reader = Annotated[Principal, allow(*READERS)]
ConsultationId = Annotated[Text, Path(max_length=64, description="From the answer that asked, or from the list")]
_READ = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError, StorageFullError)
_CHANGE = (*_READ, CsrfError, service.ConsultationNotFoundError, service.ConsultationEndedError)


@router.post(
    "",
    status_code=201,
    response_model=ConsultationOut,
    summary="Ask a colleague in another facility",
    dependencies=[idempotency_key()],
    responses={**describe(*_READ, CsrfError, cases.CaseNotFoundError, cases.CaseStateError,
                          service.ConsultantNotFoundError, service.ConsultationOpenError, *idempotency.ERRORS)},
)  # fmt: skip
def ask_colleague(runtime: RuntimeDep, principal: Reader, wanted: ConsultationIn) -> ConsultationOut:
    """Opens one case to one named account for some days: slides, findings and clinical context, not the patient."""
    with runtime.database.write() as session:
        made = service.ask(session, principal, wanted)
        answer = service.describe(session, principal, made)
        idempotency.keep(session, answer, status=201)
    return answer


@router.get(
    "",
    response_model=ConsultationList,
    summary="List consultations",
    responses={**describe(*_READ, cases.CaseNotFoundError)},
)
def list_consultations(
    runtime: RuntimeDep,
    principal: Reader,
    case_id: Annotated[
        Text | None, Query(max_length=64, description="Those about this case of yours; absent: those that wait for you")
    ] = None,
) -> ConsultationList:
    """What your facility asked about a case, the newest first; or what you are asked, the soonest to end first."""
    with runtime.database.read() as session:
        if case_id is not None:
            case = cases.get(session, principal.facility_id, case_id)
            rows = repository.of_case(session, principal.facility_id, case.id)
        else:
            rows = repository.of_consultant(session, reader_id(principal), datetime.now(UTC))
        items = [service.describe(session, principal, row) for row in rows]
    runtime.read_log.record_all([service.read_event(principal, row, "question") for row in rows])
    return ConsultationList(items=items)


@router.get(
    "/{consultation_id}",
    response_model=ConsultationOut,
    summary="Read a consultation",
    responses={**describe(*_READ, service.ConsultationNotFoundError)},
)
def read_consultation(runtime: RuntimeDep, principal: Reader, consultation_id: ConsultationId) -> ConsultationOut:
    """For the facility that asked; for whoever is asked, until the consultation ends."""
    with runtime.database.read() as session:
        found = service.get(session, principal, consultation_id)
        answer = service.describe(session, principal, found)
    runtime.read_log.record_all([service.read_event(principal, found, "question")])
    return answer


@router.post(
    "/{consultation_id}/answer",
    response_model=ConsultationOut,
    summary="Answer a consultation",
    responses={**describe(*_CHANGE)},
)
def answer_consultation(
    runtime: RuntimeDep, principal: Reader, consultation_id: ConsultationId, given: AnswerIn
) -> ConsultationOut:
    """Only by whoever is asked; the case is closed to them with the answer."""
    with runtime.database.write() as session:
        found = service.get(session, principal, consultation_id, lock=True)
        service.answer(session, principal, found, given)
        return service.describe(session, principal, found)


@router.post(
    "/{consultation_id}/decline",
    response_model=ConsultationOut,
    summary="Decline a consultation",
    responses={**describe(*_CHANGE)},
)
def decline_consultation(
    runtime: RuntimeDep, principal: Reader, consultation_id: ConsultationId, given: DeclineIn
) -> ConsultationOut:
    """Only by whoever is asked."""
    with runtime.database.write() as session:
        found = service.get(session, principal, consultation_id, lock=True)
        service.decline(session, principal, found, given.reason)
        return service.describe(session, principal, found)


@router.post(
    "/{consultation_id}/withdraw",
    response_model=ConsultationOut,
    summary="Withdraw a consultation",
    responses={**describe(*_CHANGE)},
)
def withdraw_consultation(runtime: RuntimeDep, principal: Reader, consultation_id: ConsultationId) -> ConsultationOut:
    """By a reader of the facility that asked: the colleague cannot open the case any more."""
    with runtime.database.write() as session:
        found = service.get(session, principal, consultation_id, lock=True)
        service.withdraw(session, principal, found)
        return service.describe(session, principal, found)
