"""What the API shows of analyses."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from pydantic_core import to_json
from sqlalchemy.orm import Session

from tamsoat.inference_service.errors import PROBLEM_TYPE_PREFIX
from tamsoat.inference_service.screening import job_repository, list_repository, repository
from tamsoat.inference_service.screening.answers import (
    AnalysisPage,
    AnalysisSummary,
    JobProblem,
    JobProgress,
    JobState,
)
from tamsoat.inference_service.screening.list_repository import Filters
from tamsoat.inference_service.screening.service import AnalysisNotFoundError
from tamsoat.inference_service.screening.tables import FAILED, PRIORITIES, QUEUED, RUNNING, SLIDE, Analysis, Screening

SHOWN_CELLS = 1000
"""Most cells in the JSON of an analysis; all of them come in columns from ``/findings``."""
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


def body(session: Session, row: Screening, analysis: Analysis | None) -> bytes:
    """The JSON of the :class:`AnalysisView` of one analysis; only the members that apply are there.

    Stored values were checked when they were stored, so they are written without building models of them: this is
    the answer that is asked for most.
    """
    members: dict[str, Any] = {"analysis_id": row.id, "state": row.state}
    if row.state == FAILED:
        members["problem"] = _problem(row)
    if row.slide_id is not None:
        members |= {
            "progress": _progress(row),
            "slide_id": row.slide_id,
            "order_id": row.order_id,
            "priority": _NAMES[row.priority],
            "attempts": row.attempts,
            "created_at": row.created_at,
        }
    if analysis is not None:
        shown = analysis.cells if row.slide_id is None else SHOWN_CELLS  # the answer to who waited is told as given
        members |= _result(session, analysis, shown)
        if row.slide_id is not None:
            members |= {"kind": analysis.kind, "cells_total": analysis.cells}
    return to_json(members)


def _result(session: Session, analysis: Analysis, shown: int) -> dict[str, Any]:
    """What ``service.rebuild`` makes, as plain values, with at most ``shown`` cells."""
    names = analysis.categories
    of_slide = {"validated_on": "fields"} if analysis.kind == SLIDE else {}
    return {
        "image": f"sha256:{analysis.image_sha256}",
        "width_px": analysis.width_px,
        "height_px": analysis.height_px,
        "mpp": analysis.mpp,
        "model": {"name": analysis.model_name, "version": analysis.model_version, "digest": analysis.model_digest},
        "quality": {"usable": analysis.usable, "reasons": analysis.reasons},
        "field": {
            "category": analysis.category,
            "abnormal_probability": analysis.abnormal_probability,
            "triage": analysis.triage,
            **of_slide,
        },
        **({"slide": analysis.slide_facts} if analysis.kind == SLIDE else {}),
        "cells": [
            {
                "x_px": x_px,
                "y_px": y_px,
                "category": category,
                "score": score,
                "probabilities": dict(zip(names, probabilities, strict=True)),
            }
            for x_px, y_px, category, score, probabilities in repository.found_in(session, analysis.number, shown)
        ],
        "seconds": analysis.seconds,
    }


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


def without_results(page: AnalysisPage, slide_ids: Collection[str], *, leave_out: bool) -> AnalysisPage:
    """The page without what was found on these slides; ``leave_out``: without their lines, whose place tells it."""
    nothing = dict.fromkeys(("usable", "category", "abnormal_probability", "cells", "triage"))
    items = [
        item.model_copy(update=nothing) if item.slide_id in slide_ids else item
        for item in page.items
        if not (leave_out and item.slide_id in slide_ids)
    ]
    return page.model_copy(update={"items": items})


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
    done = row.done - row.done_before
    if row.state != RUNNING or row.started_at is None or done <= 0:
        return None
    spent_s = (datetime.now(UTC) - row.started_at).total_seconds()
    return round(max(0.0, spent_s * (row.total - row.done) / done), 1)


def _problem(row: Screening) -> JobProblem | None:
    if row.state != FAILED or row.problem_slug is None:
        return None
    return JobProblem(
        type=PROBLEM_TYPE_PREFIX + row.problem_slug, title=row.problem_title or "", detail=row.problem_detail or ""
    )
