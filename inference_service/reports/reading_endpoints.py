"""HTTP of sign-out: drafts, signatures, readings, discussion."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request, Response
from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import (
    READERS,
    ForbiddenError,
    NotSignedInError,
    Principal,
    Role,
    allow,
)
from tamsoat.inference_service.accounts.lockout import TooManySignInsError
from tamsoat.inference_service.accounts.my_account import NoAccountError
from tamsoat.inference_service.accounts.passwords import SignInBusyError
from tamsoat.inference_service.accounts.sessions import CsrfError
from tamsoat.inference_service.accounts.sign_in import ReauthenticationFailedError
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.service import CaseNotFoundError
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.reports import drafts, reading_views, reauthentication, signing, turns
from tamsoat.inference_service.reports import reading_repository as repository
from tamsoat.inference_service.reports import service as reports
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.outcomes import Outcome
from tamsoat.inference_service.reports.reading_schemas import (
    AmendIn,
    ConfirmIn,
    MessageIn,
    MessageList,
    MessageOut,
    ReadingList,
    ReadingState,
    SignedOut,
    SignIn,
    TermList,
)
from tamsoat.inference_service.reports.reauthentication import Proof
from tamsoat.inference_service.reports.tables import CaseMessage
from tamsoat.inference_service.reviews.blinding import BlindReadingError
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.text import Text


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


router = APIRouter(prefix="/api/v1", tags=["sign-out"])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Reader = Annotated[Principal, allow(*READERS)]
Pathologist = Annotated[Principal, allow(Role.PATHOLOGIST)]
CaseId = Annotated[Text, Path(max_length=64, description="From the worklist")]

READING = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError, CaseNotFoundError)
CHANGING = (*READING, CsrfError, StorageFullError)
PROVING = (
    *CHANGING,
    NoAccountError,
    reauthentication.NoPasswordError,
    ReauthenticationFailedError,
    TooManySignInsError,
    SignInBusyError,
    signing.SignatureRefusedError,
)
SIGNING = (
    *PROVING,
    signing.InconsistentReadingError,
    BlindReadingError,
    conditional.PreconditionFailedError,
    conditional.PreconditionRequiredError,
)


@router.get(
    "/reporting-terms",
    summary="List the terms of the reporting form",
    responses={**describe(NotSignedInError, ForbiddenError, DatabaseUnavailableError)},
)
def list_terms(
    request: Request,
    principal: Annotated[Principal, allow(*READERS, Role.RESEARCHER, Role.INTEGRATOR, scope="system/Observation.rs")],
) -> TermList:
    """The Bethesda vocabulary in Vietnamese and English, with the codes that are known for its terms."""
    return reading_views.terms()


@router.get(
    "/cases/{case_id}/reading",
    response_model=ReadingState,
    summary="Read the caller's unsigned reading",
    responses={**describe(*READING)},
)
def read_reading(request: Request, runtime: RuntimeDep, principal: Reader, case_id: CaseId) -> Response:
    """The form as it stands, what the rules say of it, and what a signature would lead to; `ETag` names the save."""
    means = reauthentication.means_of(runtime, principal)
    with runtime.database.read() as session:
        case = cases.get(session, principal.facility_id, case_id)
        answer, tag = reading_views.state(session, principal, case, means)
    return Response(answer.model_dump_json(), headers={"ETag": tag}, media_type="application/json")


@router.put(
    "/cases/{case_id}/reading",
    response_model=ReadingState,
    summary="Save the caller's unsigned reading",
    responses={
        **describe(
            *CHANGING,
            drafts.NothingToWriteError,
            conditional.PreconditionFailedError,
            conditional.PreconditionRequiredError,
        )
    },
)
def save_reading(request: Request, runtime: RuntimeDep, principal: Reader, case_id: CaseId, form: Form) -> Response:
    """Store the form as it is, consistent or not; `If-Match` with the `ETag` that was read keeps two pages apart."""
    means = reauthentication.means_of(runtime, principal)
    with runtime.database.write() as session:
        case = cases.get(session, principal.facility_id, case_id, lock=True)
        role = drafts.writable(drafts.turn(session, principal, case))
        me = reader_of(principal)
        draft = repository.draft_of(session, case.id, me, role)
        conditional.require_match(request, drafts.tag(case, me, role, draft))
        drafts.save(session, principal, case, role, draft, form)
        answer, tag = reading_views.state(session, principal, case, means)
    return Response(answer.model_dump_json(), headers={"ETag": tag}, media_type="application/json")


@router.post("/cases/{case_id}/sign", summary="Sign the caller's reading", responses={**describe(*SIGNING)})
def sign_reading(request: Request, runtime: RuntimeDep, principal: Reader, case_id: CaseId, sent: SignIn) -> SignedOut:
    """Sign what `If-Match` names. The password, and the code where one is enrolled, are checked in the same request.

    A cytotechnologist's signature prepares the case; a pathologist's makes it the result, or sends it to a second
    reader where a rule asks for one.
    """
    return _sign(request, runtime, principal, case_id, sent, reason=None)


@router.post("/cases/{case_id}/amend", summary="Amend a signed result", responses={**describe(*SIGNING)})
def amend_reading(
    request: Request, runtime: RuntimeDep, principal: Pathologist, case_id: CaseId, sent: AmendIn
) -> SignedOut:
    """Sign a changed reading in the place of the result; the original stays readable and is marked as superseded."""
    return _sign(request, runtime, principal, case_id, sent, reason=sent.reason)


@router.post(
    "/cases/{case_id}/confirm",
    summary="Agree to a consensus or an amendment",
    responses={**describe(*PROVING)},
)
def confirm_reading(
    request: Request, runtime: RuntimeDep, principal: Pathologist, case_id: CaseId, sent: ConfirmIn
) -> SignedOut:
    """Sign that a colleague's consensus or amendment is right: it becomes the result of the case."""
    with runtime.database.read() as session:
        case = cases.get(session, principal.facility_id, case_id)
        signing.check_confirmation(session, principal, case, sent.reading_id)
    factor = reauthentication.confirm(runtime, principal, _proof(request, sent))
    with runtime.database.write() as session:
        found = signing.confirm(session, principal, case_id, sent.reading_id, factor=factor)
        answer = _outcome(session, principal, case_id, found)
    _wake(runtime, found)
    return answer


@router.get("/cases/{case_id}/readings", summary="List the signed readings", responses={**describe(*CHANGING)})
def list_readings(runtime: RuntimeDep, principal: Reader, case_id: CaseId) -> ReadingList:
    """Every signed reading, oldest first, superseded ones included. Reading them is recorded in the audit log.

    While a second reading is outstanding, a reading is shown to its author alone.
    """
    with runtime.database.read() as session:
        case = cases.get(session, principal.facility_id, case_id)
        signed = repository.signed(session, case.id)
        shown = turns.visible(case, signed, principal)
        items = reading_views.readings(session, principal, shown, turns.result(signed))
    if items:
        runtime.read_log.record(principal, Action.READING_READ, f"case:{case_id}", {"readings": len(items)})
    return ReadingList(items=items, hidden=len(shown) < len(signed))


@router.get("/cases/{case_id}/messages", summary="Read the discussion", responses={**describe(*CHANGING)})
def list_messages(runtime: RuntimeDep, principal: Reader, case_id: CaseId) -> MessageList:
    """What the readers of the case wrote to each other. Kept from who may become the second reader."""
    with runtime.database.read() as session:
        case = cases.get(session, principal.facility_id, case_id)
        signed = repository.signed(session, case.id)
        hidden = len(turns.visible(case, signed, principal)) < len(signed)
        rows = [] if hidden else repository.messages(session, case.id)
        items = reading_views.messages(session, principal, rows)
    if items:
        runtime.read_log.record(principal, Action.READING_READ, f"case:{case_id}", {"messages": len(items)})
    return MessageList(items=items, hidden=hidden)


@router.post(
    "/cases/{case_id}/messages",
    status_code=201,
    summary="Write to the other readers",
    responses={**describe(*CHANGING)},
)
def create_message(runtime: RuntimeDep, principal: Reader, case_id: CaseId, sent: MessageIn) -> MessageOut:
    """Add a message to the discussion; it cannot be changed."""
    with runtime.database.write() as session:
        case = cases.get(session, principal.facility_id, case_id, lock=True)
        row = CaseMessage(
            id=str(uuid.uuid4()), facility_id=case.facility_id, case_id=case.id, author=reader_of(principal),
            text=sent.text, created_at=datetime.now(UTC),
        )  # fmt: skip
        session.add(row)
        cases.touch(session, case)
        (answer,) = reading_views.messages(session, principal, [row])
        details: dict[str, str | int | bool] = {"message": row.id}
        subject = f"case:{case.id}"
        audit.append(session, Event(principal.actor, Action.DISCUSSION_WRITE, subject, {}, case.facility_id, details))
    return answer


def _sign(
    request: Request, runtime: Runtime, principal: Principal, case_id: str, sent: SignIn, *, reason: str | None
) -> SignedOut:
    """Check first, so that no code is used up for a form that cannot be signed; then prove, check again, and sign."""
    match = partial(conditional.require_match, request)
    with runtime.database.read() as session:
        case = cases.get(session, principal.facility_id, case_id)
        signing.check(session, principal, case, match, amends=reason is not None)
    factor = reauthentication.confirm(runtime, principal, _proof(request, sent))
    with runtime.database.write() as session:
        found = signing.sign(session, principal, case_id, match, factor=factor, reason=reason)
        answer = _outcome(session, principal, case_id, found)
    _wake(runtime, found)
    return answer


def _outcome(session: Session, principal: Principal, case_id: str, found: Outcome) -> SignedOut:
    case = cases.get(session, principal.facility_id, case_id)
    return reading_views.outcome(session, principal, case, found)


def _proof(request: Request, sent: SignIn) -> Proof:
    return Proof(sent.password, sent.code, request.client.host if request.client else "")


def _wake(runtime: Runtime, found: Outcome) -> None:
    if found.report is not None:
        runtime.jobs.wake(reports.QUEUE, found.report.id)
