"""HTTP of the review of a case: marks on cells, coverage, first impressions, single findings."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Depends, Path, Query, Request, Response

from tamsoat.inference_service.accounts.access import READERS, ForbiddenError, NotSignedInError, Principal, allow
from tamsoat.inference_service.accounts.sessions import CsrfError
from tamsoat.inference_service.audit.schemas import Action
from tamsoat.inference_service.cases.service import CaseNotFoundError, CaseStateError
from tamsoat.inference_service.consultations import access as consultations
from tamsoat.inference_service.db.session import DatabaseUnavailableError, StorageFullError
from tamsoat.inference_service.reviews import answers, blinding, coverage, findings, service
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.reviews.schemas import (
    BlindReadIn,
    BlindReadOut,
    CoverageIn,
    CoverageOut,
    FindingOut,
    MarkBatch,
    MarkList,
    NewMarks,
)
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.transport import conditional
from tamsoat.inference_service.transport.problems import InvalidRequestError, describe
from tamsoat.inference_service.transport.text import Text


async def get_runtime(request: Request) -> Runtime:
    """What the process has open."""
    runtime: Runtime = request.app.state.runtime
    return runtime


router = APIRouter(prefix="/api/v1/cases", tags=["reviews"])
RuntimeDep = Annotated[Runtime, Depends(get_runtime)]
Reader = Annotated[Principal, allow(*READERS)]
CaseId = Annotated[Text, Path(max_length=64, description="From the worklist")]
SlideId = Annotated[Text, Path(max_length=64, description="A slide of the case")]
Batch = Annotated[Text, Path(max_length=64, description="What the caller named the action")]
Rank = Annotated[int, Path(ge=0, lt=2**31, description="Place of the finding, 0 is the most suspicious")]

READING = (NotSignedInError, ForbiddenError, InvalidRequestError, DatabaseUnavailableError, CaseNotFoundError)
CHANGING = (*READING, CsrfError, StorageFullError)
KNOWN: dict[int | str, dict[str, Any]] = {304: {"description": "`If-None-Match` names what is stored"}}


class FindingNotFoundError(service.SlideNotOfCaseError):
    """The analysis has no finding of this rank, or is not complete."""

    title = "Finding not found"
    slug = "finding-not-found"


@router.get(
    "/{case_id}/marks",
    response_model=MarkList,
    summary="List the marks on cells of a case",
    responses={**KNOWN, **describe(*READING, StorageFullError)},
)
def list_marks(
    request: Request,
    runtime: RuntimeDep,
    principal: Reader,
    case_id: CaseId,
    withdrawn: Annotated[bool, Query(description="Those that were undone as well: the whole history")] = False,
) -> Response:
    """Every reader's marks, oldest first; while reading blind the own ones only. The AI's findings are not changed."""
    with runtime.database.read() as session:
        case = consultations.may_view(session, principal, case_id)
        found = service.marks_of(session, principal, case, withdrawn=withdrawn)
        answer = answers.marks(session, principal, case, found)
    return conditional.answer(request, answer)


@router.post(
    "/{case_id}/marks",
    status_code=201,
    response_model=MarkBatch,
    summary="Mark cells",
    responses={**describe(*CHANGING, service.SlideNotOfCaseError, service.CaseSignedError, service.MarkRefusedError,
                          service.BatchExistsError, blinding.BlindReadingError)},
)  # fmt: skip
def create_marks(runtime: RuntimeDep, principal: Reader, case_id: CaseId, wanted: NewMarks) -> MarkBatch:
    """Agree with, regrade or dismiss findings, or add a cell that the AI missed; `batch` makes a repeat harmless."""
    with runtime.database.write() as session:
        return answers.batch(service.record(session, principal, case_id, wanted))


@router.post(
    "/{case_id}/marks/{batch}/withdraw",
    response_model=MarkBatch,
    summary="Undo an action",
    responses={**describe(*CHANGING, service.BatchNotFoundError, service.CaseSignedError)},
)
def withdraw_marks(runtime: RuntimeDep, principal: Reader, case_id: CaseId, batch: Batch) -> MarkBatch:
    """Withdraw every mark of one's own action; they stay in the history."""
    with runtime.database.write() as session:
        return answers.batch(service.withdraw(session, principal, case_id, batch))


@router.get(
    "/{case_id}/coverage/{slide_id}",
    response_model=CoverageOut,
    summary="Read what the caller has looked at",
    responses={**KNOWN, **describe(*READING, service.SlideNotOfCaseError, coverage.CoverageUnavailableError)},
)
def read_coverage(
    request: Request, runtime: RuntimeDep, principal: Reader, case_id: CaseId, slide_id: SlideId
) -> Response:
    """The grid of the slide with the squares that the caller has had in view, and their share."""
    with runtime.database.read() as session:
        case = consultations.may_view(session, principal, case_id)
        slide = service.slide_of(session, case, slide_id)
        answer = coverage.read(session, case.id, slide, reader_of(principal))
    return conditional.answer(request, answer)


@router.put(
    "/{case_id}/coverage/{slide_id}",
    response_model=CoverageOut,
    summary="Add to what the caller has looked at",
    responses={**describe(*CHANGING, service.SlideNotOfCaseError, coverage.CoverageUnavailableError,
                          coverage.CoverageGridError)},
)  # fmt: skip
def add_coverage(
    runtime: RuntimeDep, principal: Reader, case_id: CaseId, slide_id: SlideId, seen: CoverageIn
) -> CoverageOut:
    """What was in view is added to what is known; nothing is ever taken away, so a repeat is harmless."""
    with runtime.database.write() as session:
        case = consultations.may_view(session, principal, case_id)
        slide = service.slide_of(session, case, slide_id)
        return coverage.add(session, case.id, slide, reader_of(principal), seen)


@router.post(
    "/{case_id}/blind-read",
    status_code=201,
    response_model=BlindReadOut,
    summary="Give a first impression",
    responses={**describe(*CHANGING, CaseStateError)},
)
def create_blind_read(runtime: RuntimeDep, principal: Reader, case_id: CaseId, wanted: BlindReadIn) -> BlindReadOut:
    """What the reader holds the case for before the AI is shown; from then on the AI is shown to this reader."""
    with runtime.database.write() as session:
        case = service.own_case(session, principal, case_id, lock=True)
        made = blinding.record(session, principal, case, wanted.category.value)
        return answers.blind_read(made)


@router.get(
    "/{case_id}/slides/{slide_id}/findings/{rank}",
    response_model=FindingOut,
    summary="Read one finding with its probabilities",
    responses={**KNOWN, **describe(*READING, StorageFullError, service.SlideNotOfCaseError, FindingNotFoundError,
                                   blinding.BlindReadingError)},
)  # fmt: skip
def read_finding(
    request: Request, runtime: RuntimeDep, principal: Reader, case_id: CaseId, slide_id: SlideId, rank: Rank
) -> Response:
    """What the AI says of one nucleus: calibrated probabilities per category, and how sure it is of the nucleus."""
    with runtime.database.read() as session:
        case = consultations.may_view(session, principal, case_id)
        blinding.require_unblinded(session, principal, case)
        found = findings.finding(session, service.slide_of(session, case, slide_id), rank)
        if found is None:
            raise FindingNotFoundError("the slide's analysis has no finding of this rank, or is not complete")
        answer = answers.finding(*found)
        order_id = case.order_id
    if order_id is not None:
        runtime.read_log.record(principal, Action.CASE_READ, f"case:{case_id}", {"rank": rank})
    return conditional.answer(request, answer)
