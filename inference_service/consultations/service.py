"""Ask a colleague in another facility; answer, decline, withdraw. Everything stands in the asking facility's log."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts import repository as accounts
from tamsoat.inference_service.accounts.access import READERS, Principal
from tamsoat.inference_service.accounts.tables import ACTIVE, Account
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import CANCELLED
from tamsoat.inference_service.consultations import repository
from tamsoat.inference_service.consultations.access import reader_id
from tamsoat.inference_service.consultations.schemas import AnswerIn, ConsultationIn, ConsultationOut
from tamsoat.inference_service.consultations.tables import ANSWERED, DECLINED, EXPIRED, OPEN, WITHDRAWN, Consultation
from tamsoat.inference_service.errors import TamsoatError


class ConsultationNotFoundError(TamsoatError):
    """There is no such consultation that this person may see."""

    status = 404
    title = "Consultation not found"
    slug = "consultation-not-found"


class ConsultantNotFoundError(TamsoatError):
    """Nobody who can be asked has this sign-in name: a reader with an active account in another facility."""

    status = 422
    title = "Nobody to ask"
    slug = "consultant-not-found"


class ConsultationEndedError(TamsoatError):
    """The consultation was answered, declined or withdrawn, or its time is over."""

    status = 409
    title = "Consultation has ended"
    slug = "consultation-ended"


class ConsultationOpenError(TamsoatError):
    """This colleague has an open question about the case already."""

    status = 409
    title = "Asked already"
    slug = "consultation-open"


def ask(session: Session, principal: Principal, wanted: ConsultationIn) -> Consultation:
    """Open a case to one named colleague elsewhere until the question ends.

    Raises:
        CaseNotFoundError: the facility has no such case.
        CaseStateError: it was cancelled.
        ConsultantNotFoundError: nobody of that name can be asked. It is not said why: names of other facilities are
            not to be found out.
        ConsultationOpenError: the colleague has an open question about it.
    """
    case = cases.get(session, principal.facility_id, wanted.case_id, lock=True)
    if case.state == CANCELLED:
        raise cases.CaseStateError("the case was cancelled: there is nothing to ask about")
    consultant = _consultant(session, principal, wanted.consultant)
    now = datetime.now(UTC)
    if repository.open_for(session, consultant.id, case.id, now) is not None:
        raise ConsultationOpenError("this colleague has your open question about the case; withdraw it to ask anew")
    made = Consultation(
        id=str(uuid.uuid4()),
        facility_id=case.facility_id,
        case_id=case.id,
        asked_by=reader_id(principal),
        consultant=consultant.id,
        consultant_facility_id=consultant.facility_id,
        question=wanted.question,
        state=OPEN,
        expires_at=now + timedelta(days=wanted.days),
        created_at=now,
    )
    session.add(made)
    cases.touch(session, case)
    _record(session, principal, Action.CONSULTATION_CREATE, made, {"days": wanted.days})
    return made


def answer(session: Session, principal: Principal, found: Consultation, given: AnswerIn) -> None:
    """Store the opinion of the colleague who was asked; the case is closed to them with it.

    Raises:
        ConsultationNotFoundError: somebody else was asked.
        ConsultationEndedError: it was answered, declined or withdrawn meanwhile, or its time is over.
    """
    _end(session, principal, found, ANSWERED, by_consultant=True)
    found.opinion, found.category = given.opinion, given.category.value if given.category else None
    _told(session, found)
    _record(session, principal, Action.CONSULTATION_ANSWER, found, {"category": found.category or "none"})


def decline(session: Session, principal: Principal, found: Consultation, reason: str | None) -> None:
    """The colleague gives no opinion. Raises as :func:`answer`."""
    _end(session, principal, found, DECLINED, by_consultant=True)
    found.opinion = reason
    _told(session, found)
    _record(session, principal, Action.CONSULTATION_END, found, {"how": DECLINED})


def withdraw(session: Session, principal: Principal, found: Consultation) -> None:
    """A reader of the asking facility takes the question back: the case is closed to the colleague at once.

    Raises:
        ConsultationNotFoundError: another facility asked.
        ConsultationEndedError: it is not open any more.
    """
    _end(session, principal, found, WITHDRAWN, by_consultant=False)
    _told(session, found)
    _record(session, principal, Action.CONSULTATION_END, found, {"how": WITHDRAWN})


def get(session: Session, principal: Principal, consultation_id: str, *, lock: bool = False) -> Consultation:
    """The consultation, where the principal's facility asked, or the principal is asked and it is open still.

    Raises:
        ConsultationNotFoundError: neither: what has ended is closed to whoever was asked.
    """
    found = repository.get(session, principal.facility_id, reader_id(principal), consultation_id, lock=lock)
    closed = found is not None and state_of(found, datetime.now(UTC)) != OPEN
    if found is None or (closed and found.facility_id != principal.facility_id):
        raise ConsultationNotFoundError("there is no consultation with this identifier")
    return found


def state_of(found: Consultation, now: datetime) -> str:
    """The state as people see it: an open one whose time is over is ``expired``."""
    return EXPIRED if found.state == OPEN and found.expires_at <= now else found.state


def describe(session: Session, principal: Principal, found: Consultation) -> ConsultationOut:
    """The consultation as it goes over the wire."""
    case = cases.get(session, found.facility_id, found.case_id)
    asker = accounts.by_id(session, found.asked_by)
    consultant = accounts.by_id(session, found.consultant)
    asking = accounts.facility(session, found.facility_id)
    me = reader_id(principal)
    assert consultant is not None
    return ConsultationOut.model_validate(
        {
            "consultation_id": found.id,
            "case_id": found.case_id,
            "case_label": case.label,
            "asking_facility": asking.name if asking else "",
            "asked_by": asker.display_name if asker else None,
            "consultant": consultant.username,
            "consultant_name": consultant.display_name,
            "consultant_facility": consultant.facility.name,
            "question": found.question,
            "state": state_of(found, datetime.now(UTC)),
            "created_at": found.created_at,
            "expires_at": found.expires_at,
            "opinion": found.opinion,
            "category": found.category,
            "answered_at": found.answered_at,
            "mine": found.asked_by == me,
            "asked_of_me": found.consultant == me,
        }
    )


def read_event(principal: Principal, found: Consultation, what: str) -> Event:
    """That somebody saw the question, or the case by it; stands in the asking facility's log."""
    details: dict[str, str | int | bool] = {"case": found.case_id, "what": what}
    return Event(principal.actor, Action.CONSULTATION_READ, f"consultation:{found.id}", {}, found.facility_id, details)


def _consultant(session: Session, principal: Principal, username: str) -> Account:
    account = accounts.by_username(session, username.strip().lower())
    roles = {row.role for row in account.role_rows} if account is not None else set()
    fits = roles & {role.value for role in READERS}
    if account is None or account.status != ACTIVE or account.facility_id == principal.facility_id or not fits:
        raise ConsultantNotFoundError(
            "no reader of another facility can be asked under this sign-in name: check it with your colleague"
        )
    return account


def _end(session: Session, principal: Principal, found: Consultation, state: str, *, by_consultant: bool) -> None:
    now = datetime.now(UTC)
    theirs = found.consultant == reader_id(principal) if by_consultant else found.facility_id == principal.facility_id
    if not theirs:
        raise ConsultationNotFoundError("there is no consultation with this identifier")
    if state_of(found, now) != OPEN:
        raise ConsultationEndedError(f"the consultation is {state_of(found, now)}")
    found.state, found.answered_at = state, now


def _told(session: Session, found: Consultation) -> None:
    """The case's own facility sees the change at once."""
    cases.touch(session, cases.get(session, found.facility_id, found.case_id, lock=True))


def _record(
    session: Session, principal: Principal, action: Action, found: Consultation, more: dict[str, str | int | bool]
) -> None:
    session.flush()
    details = {"case": found.case_id, "consultant": found.consultant, **more}
    audit.append(session, Event(principal.actor, action, f"consultation:{found.id}", {}, found.facility_id, details))
