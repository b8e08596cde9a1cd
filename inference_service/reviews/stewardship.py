"""What becomes of a review with its patient: told in her export, freed of personal words when she is erased."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reviews import repository
from tamsoat.inference_service.reviews.tables import BlindRead, Coverage, Mark


def collect(session: Session, order_ids: Sequence[str]) -> list[dict[str, Any]]:
    """For every case of the orders: its marks (withdrawn ones too), coverage and first impressions."""
    return [
        {
            "case_id": case_id,
            "marks": [_mark(row) for row in repository.marks_of(session, case_id, withdrawn=True)],
            "coverage": [_coverage(row) for row in repository.coverages_of(session, case_id)],
            "first_impressions": [_impression(row) for row in repository.blind_reads_of(session, case_id)],
        }
        for case_id in _cases_of(session, order_ids)
    ]


def erase(session: Session, order_ids: Sequence[str]) -> None:
    """Remove comments on cells and what readers have looked at; categories stay, they are part of the result."""
    repository.erase_of_cases(session, _cases_of(session, order_ids))


def _cases_of(session: Session, order_ids: Sequence[str]) -> list[str]:
    return list(session.scalars(select(Case.id).where(Case.order_id.in_(order_ids)).order_by(Case.number)))


def _mark(row: Mark) -> dict[str, Any]:
    return {"slide_id": row.slide_id, "analysis_id": row.analysis_id, "author": row.author, "kind": row.kind,
            "rank": row.rank, "x_px": row.x_px, "y_px": row.y_px, "category": row.category, "comment": row.comment,
            "created_at": row.created_at.isoformat(),
            "withdrawn_at": row.withdrawn_at.isoformat() if row.withdrawn_at else None}  # fmt: skip


def _coverage(row: Coverage) -> dict[str, Any]:
    seen = int(np.unpackbits(np.frombuffer(row.bits, np.uint8)).sum())
    return {"slide_id": row.slide_id, "reader": row.reader, "share": seen / (row.columns * row.rows),
            "updated_at": row.updated_at.isoformat()}  # fmt: skip


def _impression(row: BlindRead) -> dict[str, Any]:
    return {"reader": row.reader, "category": row.category, "at": row.at.isoformat()}
