"""Who may look at a case: its facility, and whoever was asked about it for as long as the question is open."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.consultations import repository
from tamsoat.inference_service.consultations.tables import Consultation


def reader_id(principal: Principal) -> str:
    """What cases, readings and consultations call this person: the account's identifier, or ``local``."""
    return principal.actor.removeprefix("account:")


def may_view(session: Session, principal: Principal, case_id: str) -> Case:
    """The case, where it is of the principal's facility or an open question about it waits for this account.

    Who looks by a question sees neither the patient nor the order, and changes nothing: ask :func:`asked`.

    Raises:
        CaseNotFoundError: neither.
    """
    question = asked(session, principal, case_id)
    facility_id = principal.facility_id if question is None else question.facility_id
    return cases.get(session, facility_id, case_id)


def asked(session: Session, principal: Principal, case_id: str) -> Consultation | None:
    """The open question about this case that waits for this account; None: there is none, or its time is over."""
    if principal.kind != "account":
        return None
    return repository.open_for(session, reader_id(principal), case_id, datetime.now(UTC))
