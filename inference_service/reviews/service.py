"""Marks on cells: who may make which, and that an action is stored once and withdrawn as a whole."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import ForbiddenError, Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import CLOSED, IN_REVIEW, READY, Case
from tamsoat.inference_service.consultations import access as consultations
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.reports import reading_repository as readings
from tamsoat.inference_service.reports import turns
from tamsoat.inference_service.reviews import blinding, findings, repository
from tamsoat.inference_service.reviews.coverage import CoverageShare, coverage_share
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.reviews.schemas import NewMarks
from tamsoat.inference_service.reviews.tables import Mark
from tamsoat.inference_service.reviews.vocabulary import MarkKind
from tamsoat.inference_service.uploads import repository as uploads
from tamsoat.inference_service.uploads.tables import Slide

__all__ = ["CoverageShare", "coverage_share", "latest", "marks_of", "own_case", "record", "slide_of", "withdraw"]


class CaseSignedError(TamsoatError):
    """The case is signed or cancelled: its marks do not change any more."""

    status = 409
    title = "Case is closed"
    slug = "case-closed"


class SlideNotOfCaseError(TamsoatError):
    """The case has no such slide."""

    status = 404
    title = "Slide not found"
    slug = "slide-not-found"


class MarkRefusedError(TamsoatError):
    """The mark is about a cell that cannot be there."""

    status = 422
    title = "Mark refused"
    slug = "mark-refused"


class BatchExistsError(TamsoatError):
    """Another action was stored under this identifier."""

    status = 409
    title = "Action exists"
    slug = "mark-batch-exists"


class BatchNotFoundError(TamsoatError):
    """The caller has made no such action in this case."""

    status = 404
    title = "Action not found"
    slug = "mark-batch-not-found"


def own_case(session: Session, principal: Principal, case_id: str, *, lock: bool = False) -> Case:
    """A case in which the caller may do something: one of the own facility.

    Raises:
        CaseNotFoundError: the caller may not even see it.
        ForbiddenError: it was opened to the caller for an opinion; it is read, not changed.
    """
    case = consultations.may_view(session, principal, case_id)
    if case.facility_id != principal.facility_id:
        raise ForbiddenError("a case of another facility is open to you for reading only; give your opinion instead")
    return cases.get(session, principal.facility_id, case_id, lock=True) if lock else case


def slide_of(session: Session, case: Case, slide_id: str) -> Slide:
    """A slide of the case.

    Raises:
        SlideNotOfCaseError: it has none with this identifier.
    """
    slide = repository.slide_of(session, case.id, slide_id)
    if slide is None:
        raise SlideNotOfCaseError("the case has no slide with this identifier")
    return slide


def record(session: Session, principal: Principal, case_id: str, wanted: NewMarks) -> list[Mark]:
    """Store one action with its audit entry; a repeat of the same action is answered as the first time.

    Raises:
        CaseNotFoundError, SlideNotOfCaseError: there is no such case or slide.
        ForbiddenError: the case belongs to another facility.
        CaseSignedError: the case is signed or cancelled.
        BlindReadingError: findings are not shown to this reader yet.
        MarkRefusedError: a rank or a point is not there, or the ranks are not final yet.
        BatchExistsError: another action has the identifier.
    """
    case = own_case(session, principal, case_id, lock=True)
    uploads.lock(session, f"marks:{wanted.batch}")
    stored = repository.batch_of(session, str(wanted.batch))
    if stored:
        if not _is_the_same(stored, principal, case, wanted):
            raise BatchExistsError("another action was stored under this identifier: make a new one for each action")
        return stored
    if case.state in CLOSED:
        raise CaseSignedError(f"the case is {case.state}: marks are not added any more; amend the report instead")
    slide = slide_of(session, case, wanted.slide_id)
    repository.add_marks(session, _rows(session, principal, case, slide, wanted))
    _begin(session, principal, case)
    details: dict[str, str | int | bool] = {"kind": wanted.kind.value, "count": max(1, len(wanted.ranks))}
    details["slide"] = slide.id
    if wanted.category is not None:
        details["category"] = wanted.category.value
    _log(session, principal, case, Action.MARK_CREATE, details)
    return repository.batch_of(session, str(wanted.batch))


def withdraw(session: Session, principal: Principal, case_id: str, batch: str) -> list[Mark]:
    """Undo one's own action as a whole; the marks stay readable. Undoing it again changes nothing.

    Raises:
        CaseNotFoundError, BatchNotFoundError: there is no such case, or no such action of the caller in it.
        ForbiddenError, CaseSignedError: see :func:`record`.
    """
    case = own_case(session, principal, case_id, lock=True)
    stored = repository.batch_of(session, batch)
    if not stored or stored[0].case_id != case.id or stored[0].author != reader_of(principal):
        raise BatchNotFoundError("you have made no such action in this case")
    if all(mark.withdrawn_at is not None for mark in stored):
        return stored
    if case.state in CLOSED:
        raise CaseSignedError(f"the case is {case.state}: marks are not withdrawn any more; amend the report instead")
    repository.withdraw(session, batch, datetime.now(UTC))
    cases.touch(session, case)
    _log(session, principal, case, Action.MARK_WITHDRAW, {"kind": stored[0].kind, "count": len(stored)})
    return repository.batch_of(session, batch)


def marks_of(session: Session, principal: Principal, case: Case, *, withdrawn: bool = False) -> list[Mark]:
    """The marks that the caller may see, oldest first.

    Only the own ones while reading blind, and while a second reading is outstanding: marks would tell the second
    reader what the first one found.
    """
    kept = blinding.is_blinded(session, principal, case) or _second_reading_is_due(session, principal, case)
    return repository.marks_of(session, case.id, author=reader_of(principal) if kept else None, withdrawn=withdrawn)


def _second_reading_is_due(session: Session, principal: Principal, case: Case) -> bool:
    own = case.facility_id == principal.facility_id
    return own and turns.is_kept_from_others(case, readings.signed(session, case.id))


def latest(session: Session, case_id: str, reader: str) -> list[Mark]:
    """What stands for one reader: the latest mark on each finding that was not withdrawn, and every added cell."""
    standing: dict[tuple[str | None, int | str], Mark] = {}
    for mark in repository.marks_of(session, case_id, author=reader):
        key = mark.id if mark.rank is None else mark.rank
        standing[mark.analysis_id, key] = mark
    return sorted(standing.values(), key=lambda mark: mark.number)


def _rows(session: Session, principal: Principal, case: Case, slide: Slide, wanted: NewMarks) -> list[dict[str, Any]]:
    common = {
        "facility_id": case.facility_id,
        "case_id": case.id,
        "slide_id": slide.id,
        "analysis_id": wanted.analysis_id,
        "author": reader_of(principal),
        "kind": wanted.kind.value,
        "category": wanted.category.value if wanted.category else None,
        "comment": wanted.comment,
        "batch": str(wanted.batch),
        "created_at": datetime.now(UTC),
        "withdrawn_at": None,
    }
    if wanted.kind is MarkKind.ADD:
        places: Mapping[int | None, tuple[float, float]] = {None: _inside(slide, wanted)}
    else:
        blinding.require_unblinded(session, principal, case)
        places = _found(session, slide, wanted)
    return [
        {**common, "id": str(uuid.uuid4()), "position": position, "rank": rank, "x_px": place[0], "y_px": place[1]}
        for position, (rank, place) in enumerate(places.items())
    ]


def _inside(slide: Slide, wanted: NewMarks) -> tuple[float, float]:
    x_px, y_px = wanted.x_px or 0.0, wanted.y_px or 0.0
    if slide.width_px is None or slide.height_px is None:
        raise MarkRefusedError("the slide has not been opened yet: its size is not known")
    if x_px > slide.width_px or y_px > slide.height_px:
        raise MarkRefusedError(f"the slide is {slide.width_px} x {slide.height_px} px: the cell lies outside")
    return x_px, y_px


def _found(session: Session, slide: Slide, wanted: NewMarks) -> dict[int | None, tuple[float, float]]:
    if wanted.analysis_id != slide.analysis_id:
        raise MarkRefusedError("this is not the analysis of the slide that counts now: load the case again")
    places = findings.places(session, slide, wanted.ranks)
    if places is None:
        raise MarkRefusedError("the screening of the slide has not ended: ranks of findings are not final yet")
    missing = [rank for rank in wanted.ranks if rank not in places]
    if missing:
        raise MarkRefusedError(f"the analysis has no finding of rank {missing[0]}")
    return {rank: places[rank] for rank in wanted.ranks}


def _is_the_same(stored: list[Mark], principal: Principal, case: Case, wanted: NewMarks) -> bool:
    first = stored[0]
    category = wanted.category.value if wanted.category else None
    said = (case.id, reader_of(principal), wanted.slide_id, wanted.kind.value, category, wanted.comment)
    about = [mark.rank for mark in stored] == wanted.ranks or (first.x_px, first.y_px) == (wanted.x_px, wanted.y_px)
    return about and said == (
        first.case_id, first.author, first.slide_id, first.kind, first.category, first.comment,
    )  # fmt: skip


def _begin(session: Session, principal: Principal, case: Case) -> None:
    """The first mark begins the review."""
    if case.state == READY:
        cases.set_state(session, case, IN_REVIEW, **cases.taken_by(case, reader_of(principal)))
        _log(session, principal, case, Action.REVIEW_START, {"blind": False})
    else:
        cases.touch(session, case)


def _log(
    session: Session, principal: Principal, case: Case, action: Action, details: Mapping[str, str | int | bool]
) -> None:
    event = Event(principal.actor, action, f"case:{case.id}", facility=case.facility_id, details=details)
    audit.append(session, event)
