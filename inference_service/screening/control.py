"""Cancel a screening job, or have it tried again."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy.orm import Session

from tamsoat.inference_service.accounts.access import Principal
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event
from tamsoat.inference_service.cases import service as cases
from tamsoat.inference_service.errors import TamsoatError
from tamsoat.inference_service.screening import job_repository
from tamsoat.inference_service.screening.service import AnalysisNotFoundError
from tamsoat.inference_service.screening.tables import CANCELLED, FAILED, QUEUED, RUNNING, Screening
from tamsoat.inference_service.uploads.tables import Slide


class AnalysisFinishedError(TamsoatError):
    """The job has ended already: there is nothing to cancel."""

    status = 409
    title = "Analysis has ended"
    slug = "analysis-finished"


class AnalysisNotRetriableError(TamsoatError):
    """Only a job that failed or was cancelled can be tried again."""

    status = 409
    title = "Analysis cannot be retried"
    slug = "analysis-not-retriable"


def cancel(session: Session, principal: Principal, analysis_id: str) -> Screening:
    """Cancel a waiting job at once, a running one at the next tile; once this is committed it never completes.

    Raises:
        AnalysisNotFoundError: the facility has none.
        AnalysisFinishedError: it completed or failed before.
    """
    row = _lock(session, principal, analysis_id)
    if row.state == CANCELLED or (row.state == RUNNING and row.cancel_requested):
        return row
    if row.state not in (QUEUED, RUNNING):
        raise AnalysisFinishedError(f"the analysis is {row.state} already")
    now = datetime.now(UTC)
    row.cancel_requested = True
    row.version += 1
    row.updated_at = now
    if row.state == QUEUED:
        row.state, row.finished_at = CANCELLED, now
    _record(session, principal, Action.SCREENING_CANCEL, row)
    return row


def retry(session: Session, principal: Principal, analysis_id: str) -> Screening:
    """Begin a new attempt of a failed or cancelled job, under the same identifier.

    Raises:
        AnalysisNotFoundError: the facility has none.
        AnalysisNotRetriableError: it is in another state.
    """
    row = _lock(session, principal, analysis_id)
    if row.state not in (FAILED, CANCELLED):
        raise AnalysisNotRetriableError(f"the analysis is {row.state}")
    row.state, row.step, row.done, row.total, row.done_before = QUEUED, None, 0, 0, 0
    row.problem_slug = row.problem_title = row.problem_detail = None
    row.attempts += 1
    row.crashes = 0
    row.cancel_requested = False
    row.executor = row.started_at = row.finished_at = None
    row.updated_at = datetime.now(UTC)
    row.version += 1
    _record(session, principal, Action.SCREENING_RETRY, row)
    return row


def _lock(session: Session, principal: Principal, analysis_id: str) -> Screening:
    row = job_repository.get(session, principal.facility_id, analysis_id, lock=True)
    if row is None:
        raise AnalysisNotFoundError("there is no analysis with this identifier")
    return row


def _record(session: Session, principal: Principal, action: Action, row: Screening) -> None:
    cases.analysed(session, row, session.get(Slide, row.slide_id) if row.slide_id else None)
    session.flush()
    details: dict[str, str | int | bool] = {"attempt": row.attempts, "state": row.state}
    audit.append(
        session, Event(principal.actor, action, f"analysis:{row.id}", facility=row.facility_id, details=details)
    )
