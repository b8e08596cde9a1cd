"""Ask for a slide to be screened: the row that makes the job, with its audit entry."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime
from typing import Protocol

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.screening.tables import PRIORITIES, QUEUED, Screening

QUEUE = "screening"
"""Name of the job queue; ``runtime.jobs.wake(QUEUE, analysis_id)`` after the commit."""


class ScreenedSlide(Protocol):
    """What is needed of a slide: :class:`tamsoat.inference_service.uploads.tables.Slide` is one."""

    id: str
    sha256: str
    mpp: float | None
    order_id: str | None


def request_screening(session: Session, principal: Principal, slide: ScreenedSlide, *, priority: str) -> str:
    """Add the job to the caller's writing transaction and return the identifier of the analysis to come.

    Appends to the audit log, which holds its lock until the transaction ends: call it last. Wake the workers after
    the commit; where that is forgotten or lost they notice by themselves within seconds.

    Args:
        priority: ``stat``, ``urgent`` or ``routine``.
    """
    assert slide.mpp is not None, "a slide is screened once its scale is known"
    analysis_id = str(uuid.uuid4())
    now = datetime.now(UTC)
    session.add(
        Screening(
            id=analysis_id,
            facility_id=principal.facility_id,
            slide_id=slide.id,
            order_id=slide.order_id,
            mpp=slide.mpp,
            priority=PRIORITIES[priority],
            state=QUEUED,
            done=0,
            total=0,
            attempts=1,
            crashes=0,
            cancel_requested=False,
            requested_by=principal.actor,
            created_at=now,
            updated_at=now,
            version=1,
        )
    )
    session.flush()
    audit.append(
        session,
        Event(
            principal.actor,
            Action.SCREENING_REQUEST,
            f"analysis:{analysis_id}",
            {"image": slide.sha256},
            principal.facility_id,
            {"slide": slide.id, "priority": priority},
        ),
    )
    return analysis_id
