"""The states of a case, and everything that changes one. Nobody else writes to the table.

What may follow what stands in :data:`NEXT`; docs/worklist.md says what each state means and which audit event goes
with each change.
"""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Any

import structlog
from sqlalchemy.orm import Session

from tamsoat.datasets.categories import AI_INDEX
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import repository
from tamsoat.inference_service.cases.repository import SlideResult
from tamsoat.inference_service.cases.tables import (
    ANALYSING,
    CANCELLED,
    CLOSED,
    DISCUSSION,
    IN_REVIEW,
    READY,
    SECOND_REVIEW,
    SIGNED,
    Case,
    FacilityReviewSettings,
)
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.orders import repository as orders
from tamsoat.inference_service.orders import service as ordering
from tamsoat.inference_service.orders.tables import Order
from tamsoat.inference_service.screening.tables import FINAL_STATES, PRIORITIES, Screening
from tamsoat.inference_service.uploads import repository as uploads
from tamsoat.inference_service.uploads.tables import Slide

NEXT: dict[str, frozenset[str]] = {
    ANALYSING: frozenset({READY, IN_REVIEW, CANCELLED}),
    READY: frozenset({ANALYSING, IN_REVIEW, SECOND_REVIEW, SIGNED, CANCELLED}),
    IN_REVIEW: frozenset({ANALYSING, READY, SECOND_REVIEW, DISCUSSION, SIGNED, CANCELLED}),
    SECOND_REVIEW: frozenset({IN_REVIEW, DISCUSSION, SIGNED, CANCELLED}),
    DISCUSSION: frozenset({SECOND_REVIEW, SIGNED, CANCELLED}),
    SIGNED: frozenset({SECOND_REVIEW, DISCUSSION}),
    CANCELLED: frozenset({ANALYSING, READY}),
}
"""State → what may follow it. A signed case goes back only where an amendment needs a second reader."""

UNTOUCHED = (ANALYSING, READY)
"""No reader has begun."""
TRIAGE_RANK = {"urgent": 1, "review": 2, None: 3, "routine": 4}
"""Of the model; without a result a case comes before those that the model holds for normal."""
UNREADABLE = "unreadable"
"""Condition of a slide that will never be screened."""

log = structlog.get_logger("tamsoat.cases")


class CaseNotFoundError(TamsoatError):
    """There is no such case in this facility."""

    status = 404
    title = "Case not found"
    slug = "case-not-found"


class CaseStateError(TamsoatError):
    """The case is in a state in which this cannot be done."""

    status = 409
    title = "Not possible in this state of the case"
    slug = "case-state"


def get(session: Session, facility_id: str, case_id: str, *, lock: bool = False) -> Case:
    """The facility's case; ``lock`` keeps others from changing it until the transaction ends.

    Raises:
        CaseNotFoundError: there is none.
    """
    case = repository.get(session, facility_id, case_id, lock=lock)
    if case is None:
        raise CaseNotFoundError("there is no case with this identifier")
    return case


def settings_of(session: Session, facility_id: str) -> FacilityReviewSettings:
    """How the facility reads its cases; a row of the defaults, not stored, where nobody has changed anything."""
    found = repository.settings_of(session, facility_id)
    return found or FacilityReviewSettings(
        facility_id=facility_id, blind_first=False, negative_share=0.1, disagreement_steps=2, version=0,
        updated_at=datetime.fromtimestamp(0, UTC),
    )  # fmt: skip


def urgency_of(priority: int, triage: str | None) -> int:
    """Rank in the worklist, the lower the sooner: first the priority of the order, then the triage of the model."""
    return priority * 10 + TRIAGE_RANK.get(triage, TRIAGE_RANK[None])


def touch(session: Session, case: Case) -> None:
    """Note that something of the case changed: its version grows, and open worklists look again."""
    case.version += 1
    case.updated_at = datetime.now(UTC)
    session.flush()


def set_state(session: Session, case: Case, state: str, **fields: Any) -> None:
    """Bring a locked case into ``state`` (its own one too) and set ``fields``; the caller appends the audit event.

    A signed case gives its order the result, which webhooks and audit log are told here.

    Raises:
        CaseStateError: ``state`` does not follow the present one.
    """
    if state != case.state and state not in NEXT[case.state]:
        raise CaseStateError(f"the case is {case.state}: it cannot become {state}")
    for name, value in fields.items():
        setattr(case, name, value)
    now = datetime.now(UTC)
    if state == READY and case.ready_at is None:
        case.ready_at = now
    if state == SIGNED and case.signed_at is None:
        case.signed_at = now
    case.state, case.open = state, state not in CLOSED
    case.urgency = urgency_of(case.priority, case.triage)
    touch(session, case)
    if state == SIGNED and case.order_id is not None:
        _result_is_there(session, case.order_id)


def taken_by(case: Case, reader: str) -> dict[str, Any]:
    """Fields for :func:`set_state`: whoever begins to read a case that nobody has taken has it from now on."""
    return {} if case.assigned_to else {"assigned_to": reader, "assigned_at": datetime.now(UTC)}


def take_slide(session: Session, slide: Slide, *, priority: str = "routine", example: bool = False) -> Case:
    """Give a new slide its case: the one of its order, else a new one; sets ``slide.case_id``.

    Appends to the audit log where it makes a case. A case that nobody has begun to read waits again until the slide
    is screened. An order that was signed and takes another slide gets another case.
    """
    case = None
    if slide.order_id is not None:
        uploads.lock(session, f"case:{slide.order_id}")
        case = repository.of_order(session, slide.order_id, unfinished=True)
    made = case is None
    if case is None:
        case = _make(session, slide, PRIORITIES[priority], example)
    slide.case_id = case.id
    session.flush()
    if made:
        details: dict[str, str | int | bool] = {"slide": slide.id}
        if case.order_id:
            details["order"] = case.order_id
        audit.append(
            session, Event(slide.created_by, Action.CASE_CREATE, f"case:{case.id}", {}, case.facility_id, details)
        )
    else:
        refresh(session, case)
    return case


def analysed(session: Session, screening: Screening, slide: Slide | None) -> None:
    """A screening ended or waits again: the case of its slide follows. Before the audit event of the change.

    Nothing happens where ``screening`` is not the one that counts for the slide any more, or its image was not kept.
    """
    if slide is not None and slide.analysis_id == screening.id:
        slide_changed(session, slide)


def slide_changed(session: Session, slide: Slide) -> None:
    """Something of a slide changed (deleted, cannot be read, screened again): its case follows."""
    session.flush()
    case = repository.lock_any(session, slide.case_id) if slide.case_id is not None else None
    if case is not None:
        refresh(session, case)


def refresh(session: Session, case: Case) -> None:
    """Work out from the slides of a locked case what the model found in the worst of them, and whether all are done.

    A case that a reader has begun keeps its state; a signed one is not changed at all.
    """
    if case.state == SIGNED:
        return
    results = repository.slide_results(session, case.id)
    state = case.state
    if state in (*UNTOUCHED, CANCELLED):
        if not results:
            state = CANCELLED
        elif state != CANCELLED or not _order_cancelled(session, case):
            state = READY if all(_ended(result) for result in results) else ANALYSING
    set_state(session, case, state, **_worst(results))


def order_changed(session: Session, order: Order) -> None:
    """The order's priority changed, or it was cancelled: its case follows. Before the audit event."""
    session.flush()
    case = repository.of_order(session, order.id, unfinished=True)
    if case is None:
        return
    if order.status == "cancelled":
        set_state(session, case, CANCELLED)
    elif case.priority != PRIORITIES[order.priority]:
        set_state(session, case, case.state, priority=PRIORITIES[order.priority])


def _result_is_there(session: Session, order_id: str) -> None:
    try:
        ordering.mark_resulted(session, order_id)
    except ordering.OrderNotFoundError:
        log.warning("order_gone", order_id=order_id)


def _make(session: Session, slide: Slide, priority: int, example: bool) -> Case:
    order = orders.get(session, slide.facility_id, slide.order_id) if slide.order_id else None
    rank = min(priority, PRIORITIES[order.priority]) if order else priority
    now = datetime.now(UTC)
    case = Case(
        id=str(uuid.uuid4()),
        facility_id=slide.facility_id,
        label=str(uuid.uuid4()),
        order_id=slide.order_id,
        priority=rank,
        urgency=urgency_of(rank, None),
        state=ANALYSING,
        open=True,
        created_at=now,
        updated_at=now,
        version=1,
        example=example,
    )
    session.add(case)
    session.flush()
    case.label = _label(session, case)
    session.flush()
    return case


def _label(session: Session, case: Case) -> str:
    accession = repository.accession_of(session, case.order_id) if case.order_id else None
    given = f"{case.created_at:%y}-{case.number:06d}"
    choices = (accession, given, f"{given}-{case.id[:4]}", f"{given}-{case.id[:8]}")
    return next(text for text in choices if text and not repository.label_taken(session, case.facility_id, text))


def _ended(result: SlideResult) -> bool:
    return result.condition == UNREADABLE if result.screening is None else result.screening in FINAL_STATES


def _order_cancelled(session: Session, case: Case) -> bool:
    order = orders.get(session, case.facility_id, case.order_id) if case.order_id else None
    return order is not None and order.status == "cancelled"


def _worst(results: list[SlideResult]) -> dict[str, Any]:
    done = [result for result in results if result.category is not None]
    if not done:
        return {"triage": None, "ai_category": None, "suspicion": None, "usable": None}
    return {
        "triage": min((result.triage for result in done), key=lambda triage: TRIAGE_RANK.get(triage, 3)),
        "ai_category": max((result.category or "" for result in done), key=lambda name: AI_INDEX.get(name, -1)),
        "suspicion": max(result.suspicion or 0.0 for result in done),
        "usable": all(result.usable for result in done),
    }
