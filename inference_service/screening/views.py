"""What the API shows of analyses."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from sqlalchemy.orm import Session

from tamsoat.inference_service.errors import PROBLEM_TYPE_PREFIX
from tamsoat.inference_service.screening import job_repository, list_repository, repository, service
from tamsoat.inference_service.screening.answers import (
    AnalysisPage,
    AnalysisSummary,
    AnalysisView,
    JobProblem,
    JobProgress,
    JobState,
)
from tamsoat.inference_service.screening.list_repository import Filters
from tamsoat.inference_service.screening.service import AnalysisNotFoundError
from tamsoat.inference_service.screening.tables import FAILED, PRIORITIES, QUEUED, RUNNING, Analysis, Screening

_NAMES = {rank: name for name, rank in PRIORITIES.items()}
_OF_RESULT = (
    "image_sha256", "width_px", "height_px", "model_name", "model_version", "model_digest", "provider", "usable",
    "category", "abnormal_probability", "cells", "seconds",
)  # fmt: skip


def find(session: Session, facility_id: str, analysis_id: str) -> tuple[Screening, Analysis | None]:
    """One screening and its result.

    Raises:
        AnalysisNotFoundError: the facility has none.
    """
    found = list_repository.read(session, facility_id, analysis_id)
    if found is None:
        raise AnalysisNotFoundError("there is no analysis with this identifier")
    return found


def view(session: Session, row: Screening, analysis: Analysis | None) -> AnalysisView:
    """One analysis in full; only the members that apply are set."""
    members: dict[str, Any] = {}
    if analysis is not None:
        answer = service.rebuild(analysis, repository.findings_of(session, analysis.number))
        members = {name: getattr(answer, name) for name in type(answer).model_fields}
    members |= {"analysis_id": row.id, "state": row.state}
    if row.slide_id is not None:
        members |= {
            "slide_id": row.slide_id,
            "order_id": row.order_id,
            "priority": _NAMES[row.priority],
            "attempts": row.attempts,
            "created_at": row.created_at,
            "progress": _progress(row),
        }
    if row.state == FAILED:
        members["problem"] = _problem(row)
    return AnalysisView.model_construct(set(members), **members)


def state(row: Screening) -> JobState:
    """State, progress and problem."""
    return JobState(analysis_id=row.id, state=row.state, progress=_progress(row), problem=_problem(row))  # type: ignore[arg-type]


def page(session: Session, facility_id: str, filters: Filters, limit: int, before: str | None) -> AnalysisPage:
    """A page of the facility's analyses, newest first; ``before`` is the last identifier of the page before.

    Raises:
        AnalysisNotFoundError: ``before`` names no analysis.
    """
    last = None
    if before is not None:
        last = job_repository.get(session, facility_id, before)
        if last is None:
            raise AnalysisNotFoundError("`before` names no analysis")
    rows = list_repository.newest(session, facility_id, filters, limit + 1, last)
    items = [_summary(row, analysis) for row, analysis in rows[:limit]]
    return AnalysisPage(items=items, next_before=items[-1].analysis_id if len(rows) > limit else None)


def _summary(row: Screening, analysis: Analysis | None) -> AnalysisSummary:
    return AnalysisSummary(
        analysis_id=row.id,
        state=row.state,  # type: ignore[arg-type]
        priority=_NAMES[row.priority],  # type: ignore[arg-type]
        slide_id=row.slide_id,
        order_id=row.order_id,
        created_at=row.created_at,
        finished_at=row.finished_at,
        progress=_progress(row) if row.state in (QUEUED, RUNNING) else None,
        problem=_problem(row),
        mpp=row.mpp,
        triage=row.triage,  # type: ignore[arg-type]
        **{name: getattr(analysis, name, None) for name in _OF_RESULT},
    )


def _progress(row: Screening) -> JobProgress:
    return JobProgress(step=row.step, done=row.done, total=row.total, seconds_left=_seconds_left(row))  # type: ignore[arg-type]


def _seconds_left(row: Screening) -> float | None:
    """As long per remaining tile as it took per tile so far."""
    if row.state != RUNNING or row.started_at is None or not row.done:
        return None
    spent_s = (datetime.now(UTC) - row.started_at).total_seconds()
    return round(max(0.0, spent_s * (row.total - row.done) / row.done), 1)


def _problem(row: Screening) -> JobProblem | None:
    if row.state != FAILED or row.problem_slug is None:
        return None
    return JobProblem(
        type=PROBLEM_TYPE_PREFIX + row.problem_slug, title=row.problem_title or "", detail=row.problem_detail or ""
    )
