"""Who reads a case: taking it, giving it back."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service
from tamsoat.inference_service.cases.service import CaseStateError
from tamsoat.inference_service.cases.tables import CLOSED, DISCUSSION, IN_REVIEW, READY, SECOND_REVIEW, Case
from tamsoat.inference_service.consultations.access import reader_id
from tamsoat.inference_service.errors import TamsoatError


class CaseTakenError(TamsoatError):
    """A colleague has this case; it can be taken over."""

    status = 409
    title = "Case belongs to a colleague"
    slug = "case-taken"


class OwnSecondReadingError(TamsoatError):
    """The first reader of a case cannot be its second reader."""

    status = 409
    title = "First reader cannot read second"
    slug = "own-second-reading"


def assign(session: Session, principal: Principal, case: Case, *, take_over: bool) -> None:
    """Make the principal the reader of a locked case; while it waits for a second reader, the second reader.

    Raises:
        CaseStateError: it is signed or cancelled.
        CaseTakenError: a colleague has it, and ``take_over`` was not said.
        OwnSecondReadingError: the principal is its first reader.
    """
    me = reader_id(principal)
    if case.state in CLOSED:
        raise CaseStateError(f"the case is {case.state}: there is nothing to read any more")
    second = case.state in (SECOND_REVIEW, DISCUSSION)
    if second and case.assigned_to == me:
        raise OwnSecondReadingError("you are the first reader of this case: a colleague has to read it second")
    holder = case.second_reader if second else case.assigned_to
    if holder == me:
        return
    if holder is not None and not take_over:
        raise CaseTakenError("a colleague has this case; ask before you take it over")
    if second:
        service.set_state(session, case, case.state, second_reader=me)
    else:
        service.set_state(session, case, case.state, assigned_to=me, assigned_at=datetime.now(UTC))
    _record(session, principal, case, "take-over" if holder else "take", second=second, previous=holder)


def release(session: Session, principal: Principal, case: Case) -> None:
    """Give a locked case back, so that somebody else reads it; a draft stays with its author.

    Raises:
        CaseStateError: the principal does not have it, or it is signed or cancelled.
    """
    me = reader_id(principal)
    if case.state in CLOSED:
        raise CaseStateError(f"the case is {case.state}: it stays as it is")
    if case.state in (SECOND_REVIEW, DISCUSSION) and case.second_reader == me:
        service.set_state(session, case, case.state, second_reader=None)
        _record(session, principal, case, "release", second=True)
        return
    if case.assigned_to != me or case.state in (SECOND_REVIEW, DISCUSSION):
        raise CaseStateError("you do not have this case")
    service.set_state(session, case, case.state, assigned_to=None, assigned_at=None)
    if case.state == IN_REVIEW:
        service.set_state(session, case, READY)
        service.refresh(session, case)
    _record(session, principal, case, "release", second=False)


def _record(
    session: Session, principal: Principal, case: Case, what: str, *, second: bool, previous: str | None = None
) -> None:
    details: dict[str, str | int | bool] = {"change": what, "second": second}
    if previous is not None:
        details["previous"] = previous
    event = Event(principal.actor, Action.CASE_ASSIGN, f"case:{case.id}", {}, case.facility_id, details)
    audit.append(session, event)
