"""Reading blind first: where a facility wants it, a reader says what the slide shows before the AI is shown.

Until then nothing of the AI leaves the server for that reader: every endpoint that shows AI output of a case calls
:func:`require_unblinded` or leaves out what :func:`blinded` names. Readers are people with a role of ``READERS`` in
the case's own facility; machine clients, researchers and a consulted colleague elsewhere are not kept back.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import READERS, Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.cases.tables import CLOSED, IN_REVIEW, READY, Case
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.reviews import repository
from tamsoat.inference_service.reviews.reader import reader_of
from tamsoat.inference_service.reviews.tables import BlindRead
from tamsoat.inference_service.uploads import repository as uploads


class BlindReadingError(TamsoatError):
    """The facility reads blind first, and this reader has not yet given a first impression of the case."""

    status = 403
    title = "First impression wanted"
    slug = "blind-reading"


def require_unblinded(session: Session, principal: Principal, case: Case) -> None:
    """Refuse to show AI output of ``case`` to a reader who has to give a first impression first.

    Raises:
        BlindReadingError: that is so.
    """
    if is_blinded(session, principal, case):
        raise BlindReadingError("give your first impression of the case; what the AI proposes is shown afterwards")


def is_blinded(session: Session, principal: Principal, case: Case) -> bool:
    """Whether the AI output of ``case`` is kept from this reader."""
    return bool(blinded(session, principal, [case]))


def blinded(session: Session, principal: Principal, listed: Sequence[Case]) -> set[str]:
    """Identifiers of those of ``listed`` of which this reader must not see AI output yet."""
    own = [case.id for case in listed if case.facility_id == principal.facility_id and case.state not in CLOSED]
    if not own or not _reads_blind(session, principal):
        return set()
    return set(own) - repository.read_before(session, own, reader_of(principal))


def require_unblinded_slide(session: Session, principal: Principal, slide_id: str | None) -> None:
    """The same by slide, for whoever shows an analysis; a slide without a case is nobody's to read blind.

    Raises:
        BlindReadingError: the AI output of its case is kept from this reader.
    """
    if slide_id is not None and slide_id in blinded_slides(session, principal, [slide_id]):
        raise BlindReadingError("give your first impression of the case; what the AI proposes is shown afterwards")


def blinded_slides(session: Session, principal: Principal, slide_ids: Sequence[str]) -> set[str]:
    """Those of the slides whose AI output is kept from this reader."""
    if not slide_ids or not _reads_blind(session, principal):
        return set()
    case_of = repository.cases_of(session, slide_ids)
    hidden = blinded(session, principal, list({case.id: case for case in case_of.values()}.values()))
    return {slide_id for slide_id, case in case_of.items() if case.id in hidden}


def _reads_blind(session: Session, principal: Principal) -> bool:
    if principal.kind == "client" or not principal.has(*READERS):
        return False
    return cases.settings_of(session, principal.facility_id).blind_first


def record(session: Session, principal: Principal, case: Case, category: str) -> BlindRead:
    """Store the first impression of a reader of the case's facility; a repeat with the same category is answered again.

    Raises:
        CaseStateError: the case is closed, or another impression is stored already: it does not change.
    """
    reader = reader_of(principal)
    uploads.lock(session, f"blind:{case.id}:{reader}")
    found = repository.blind_read(session, case.id, reader)
    if found is not None:
        if found.category != category:
            raise cases.CaseStateError(f"your first impression is {found.category}; it does not change any more")
        return found
    if case.state in CLOSED:
        raise cases.CaseStateError(f"the case is {case.state}: there is no first impression to give any more")
    made = BlindRead(case_id=case.id, reader=reader, category=category, at=datetime.now(UTC))
    session.add(made)
    if case.state == READY:
        cases.set_state(session, case, IN_REVIEW, **cases.taken_by(case, reader))
    session.flush()
    event = Event(
        principal.actor, Action.REVIEW_START, f"case:{case.id}", facility=case.facility_id,
        details={"blind": True, "category": category},
    )  # fmt: skip
    audit.append(session, event)
    return made
