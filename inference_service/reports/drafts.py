"""The unsigned reading: begun, saved as one types, never lost to another tab or person."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import IN_REVIEW, READY, Case
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.orders.vocabulary import SpecimenState
from tamsoat.inference_service.reports import reading_repository as repository
from tamsoat.inference_service.reports import sealing, turns
from tamsoat.inference_service.reports.consistency import Context
from tamsoat.inference_service.reports.form import Form
from tamsoat.inference_service.reports.tables import AMENDMENT, CONSENSUS, DRAFT, PRIMARY, SECOND, Reading
from tamsoat.inference_service.reports.turns import Turn
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.transport import conditional


class NothingToWriteError(TamsoatError):
    """The caller cannot write a reading of this case now: it is somebody else's turn, or the case is cancelled."""

    status = 409
    title = "Nothing to write"
    slug = "reading-not-due"

    def __init__(self, detail: str, words: dict[str, str] | None = None) -> None:
        super().__init__(detail)
        self.words = words or {}

    def members(self) -> dict[str, object]:
        return {"messages": self.words} if self.words else {}


def turn(session: Session, principal: Principal, case: Case) -> Turn:
    """What this person can do about the case now."""
    return turns.turn_of(case, repository.signed(session, case.id), principal)


def context_of(session: Session, case: Case) -> Context:
    """What the rules need to know of patient and specimen."""
    if case.order_id is None:
        return Context()
    order = orders.get(session, case.facility_id, case.order_id)
    states = {specimen.state for specimen in orders.specimens_of(session, [case.order_id])}
    return Context(order.age_years if order else None, states == {SpecimenState.REJECTED.value})


def tag(case: Case, reader: str, role: str | None, draft: Reading | None) -> str:
    """The entity tag of a draft: of this case, person, role and save; version 0 before the first save."""
    return conditional.etag_of(case.id, reader, role, draft.id if draft else "", draft.version if draft else 0)


def starting_form(session: Session, principal: Principal, case: Case, role: str | None) -> tuple[Form, str]:
    """What the form shows before anything was written in this role, and where that comes from.

    Nothing is ever decided beforehand: a first or second reading starts empty, or with what the same person had
    written as another reading and not signed. A consensus starts with the own reading, an amendment with the result.
    """
    signed = repository.signed(session, case.id)
    me = reader_of(principal)
    if role == AMENDMENT:
        found = turns.result(signed)
        return (sealing.parse(found), "result") if found else (Form(), "empty")
    if role == CONSENSUS:
        own = next((reading for reading in reversed(signed) if reading.reader == me), None)
        return (sealing.parse(own), "own") if own else (Form(), "empty")
    if role == SECOND:
        unsigned = repository.draft_of(session, case.id, me, PRIMARY)
        return (sealing.parse(unsigned), "own") if unsigned else (Form(), "empty")
    return Form(), "empty"


def save(session: Session, principal: Principal, case: Case, role: str, draft: Reading | None, form: Form) -> Reading:
    """Store what was typed for a locked case; the first save begins the review. Caller compared the entity tag."""
    now = datetime.now(UTC)
    category = form.category()
    if draft is None:
        draft = Reading(
            id=str(uuid.uuid4()), facility_id=case.facility_id, case_id=case.id, reader=reader_of(principal),
            role=role, state=DRAFT, blind=False, needs_confirmation=False, created_at=now, version=0,
        )  # fmt: skip
        session.add(draft)
    draft.form = form.model_dump_json()
    draft.category = category.value if category else None
    draft.version += 1
    draft.updated_at = now
    session.flush()
    if case.state == READY:
        cases.set_state(session, case, IN_REVIEW, **cases.taken_by(case, draft.reader))
        audit.append(
            session,
            Event(principal.actor, Action.REVIEW_START, f"case:{case.id}", {}, case.facility_id, {"blind": False}),
        )
    return draft


def writable(due: Turn) -> str:
    """The role in which something may be written.

    Raises:
        NothingToWriteError: there is none.
    """
    if due.role is None:
        words = turns.said_so(due.refusal or turns.FOR_PATHOLOGISTS)
        raise NothingToWriteError(words["en"], words)
    return due.role
