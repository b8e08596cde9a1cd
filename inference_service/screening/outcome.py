"""How a screening job ended, and the one transaction that says so to everyone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Self

import structlog
from sqlalchemy.orm import Session

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening import job_repository, part_repository, service, slide_store
from tamsoat.inference_service.screening.answers import AnalysisAnswer
from tamsoat.inference_service.screening.schemas import FieldAssessment, SlideSummary
from tamsoat.inference_service.screening.service import Screened
from tamsoat.inference_service.screening.slide_result import SlideResult
from tamsoat.inference_service.screening.tables import CANCELLED, COMPLETED, FAILED, FIELD, SLIDE, Screening
from tamsoat.inference_service.uploads.tables import Slide
from tamsoat.inference_service.webhooks import service as webhooks

SYSTEM = "system"
SUPERSEDED = "superseded"
_DETAIL_LENGTH = 1000

log = structlog.get_logger("tamsoat.screening")


@dataclass(frozen=True)
class Outcome:
    """What a step hands to the next one: plain values only, DBOS keeps them."""

    state: str
    answer_json: str = ""
    image_sha256: str = ""
    image_bytes: int = 0
    provider: str = ""
    tiles: int = 0
    problem_slug: str | None = None
    problem_title: str | None = None
    problem_detail: str | None = None
    kind: str = FIELD

    @classmethod
    def completed(cls, screened: Screened) -> Self:
        return cls(
            COMPLETED,
            screened.answer.model_dump_json(),
            screened.image_sha256,
            screened.image_bytes,
            screened.provider,
            screened.tiles,
        )

    @classmethod
    def completed_slide(cls, summary: SlideSummary, image_sha256: str, image_bytes: int, provider: str) -> Self:
        """What was found in the tiles is in the parts of the attempt."""
        tiles = summary.slide.analysed_tiles
        return cls(COMPLETED, summary.model_dump_json(), image_sha256, image_bytes, provider, tiles, kind=SLIDE)

    @classmethod
    def failed(cls, error: TamsoatError) -> Self:
        return cls(
            FAILED,
            problem_slug=error.slug,
            problem_title=error.title,
            problem_detail=error.detail[:_DETAIL_LENGTH],
        )

    @classmethod
    def cancelled(cls) -> Self:
        return cls(CANCELLED)

    @classmethod
    def superseded(cls) -> Self:
        return cls(SUPERSEDED)

    def slide_summary(self) -> SlideSummary:
        """The summary of a completed job of a slide."""
        return SlideSummary.model_validate_json(self.answer_json)

    def screened(self) -> Screened:
        """The result of a completed job of a field."""
        answer = AnalysisAnswer.model_validate_json(self.answer_json)
        return Screened(answer, self.image_sha256, self.image_bytes, self.provider, self.tiles)


def record(
    database: Database, analysis_id: str, attempt: int, found: Outcome, slide: SlideResult | None = None
) -> str | None:
    """Write the end of an attempt: result, state, case, webhook event and audit entry, all or nothing.

    Args:
        slide: what was found, where a slide was screened.

    Returns:
        The state that was written; None where the attempt had ended before: nothing is changed then. A job that
        somebody asked to be cancelled ends as cancelled, even where its result was there already.

    Raises:
        StorageFullError, DatabaseUnavailableError: nothing was written.
    """
    with database.write() as session:
        row = job_repository.lock_attempt(session, analysis_id, attempt)
        if row is None or found.state == SUPERSEDED:
            return None
        state = CANCELLED if row.cancel_requested else found.state
        now = datetime.now(UTC)
        row.state, row.step, row.finished_at, row.updated_at = state, None, now, now
        row.version += 1
        if state == COMPLETED:
            _complete(session, row, found, slide)
        elif state == FAILED:
            _fail(session, row, found)
        else:
            _tell_case(session, row)
        if state != COMPLETED:
            part_repository.discard(session, row.id)
        return state


def _tell_case(session: Session, row: Screening) -> None:
    cases.analysed(session, row, session.get(Slide, row.slide_id) if row.slide_id else None)


def _complete(session: Session, row: Screening, found: Outcome, slide: SlideResult | None) -> None:
    field: FieldAssessment
    if slide is None:
        screened = found.screened()
        field = screened.answer.field
        event = service.add_analysis(session, screened, row.requested_by, row.facility_id)
    else:
        field = slide.summary.field
        image = (found.image_sha256, found.image_bytes)
        event = slide_store.add(session, slide, row.id, row.facility_id, image, found.provider, row.requested_by)
    row.done = row.total = found.tiles
    row.triage = field.triage
    data = {
        "analysis_id": row.id,
        "state": row.state,
        "slide_id": row.slide_id,
        "order_id": row.order_id,
        "triage": row.triage,
        "category": field.category,
    }
    webhooks.publish(session, row.facility_id, "analysis.completed", data)
    _tell_case(session, row)
    audit.append(session, event)


def _fail(session: Session, row: Screening, found: Outcome) -> None:
    row.problem_slug, row.problem_title = found.problem_slug, found.problem_title
    row.problem_detail = found.problem_detail
    data = {
        "analysis_id": row.id,
        "state": row.state,
        "slide_id": row.slide_id,
        "order_id": row.order_id,
        "problem": found.problem_slug,
    }
    webhooks.publish(session, row.facility_id, "analysis.failed", data)
    _tell_case(session, row)
    audit.append(
        session,
        Event(
            SYSTEM,
            Action.SCREENING_FAIL,
            f"analysis:{row.id}",
            facility=row.facility_id,
            details={"problem": found.problem_slug or "", "attempt": row.attempts},
        ),
    )
