"""Findings of the AI, as far as a review asks for single ones; they are read, never changed."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import select
from sqlalchemy.orm import Session

from tamsoat.inference_service.screening.tables import Analysis, Finding, Screening
from tamsoat.inference_service.uploads.tables import Slide

CHUNK = 500
"""Ranks asked for in one statement; SQLite bounds the number of parameters."""


def analysis_of(session: Session, slide: Slide) -> Analysis | None:
    """The completed analysis of a slide; None while it is screened, or where that failed."""
    if slide.analysis_id is None:
        return None
    query = select(Analysis).where(Analysis.id == slide.analysis_id, Analysis.facility_id == slide.facility_id)
    return session.scalar(query)


def screening_of(session: Session, slide: Slide) -> Screening | None:
    """How far the screening of a slide is; None where none was asked for."""
    if slide.analysis_id is None:
        return None
    return session.scalar(
        select(Screening).where(Screening.id == slide.analysis_id, Screening.facility_id == slide.facility_id)
    )


def places(session: Session, slide: Slide, ranks: Sequence[int]) -> dict[int, tuple[float, float]] | None:
    """Centres (px at full resolution) of the findings with these ranks; None: the analysis is not complete."""
    analysis = analysis_of(session, slide)
    if analysis is None:
        return None
    found: dict[int, tuple[float, float]] = {}
    for start in range(0, len(ranks), CHUNK):
        query = select(Finding.rank, Finding.x_px, Finding.y_px).where(
            Finding.analysis_number == analysis.number, Finding.rank.in_(ranks[start : start + CHUNK])
        )
        found |= {rank: (x_px, y_px) for rank, x_px, y_px in session.execute(query)}
    return found


def finding(session: Session, slide: Slide, rank: int) -> tuple[Finding, dict[str, float]] | None:
    """One finding with its probability per category; None where there is none."""
    analysis = analysis_of(session, slide)
    if analysis is None:
        return None
    row = session.get(Finding, (analysis.number, rank))
    return None if row is None else (row, dict(zip(analysis.categories, row.probabilities, strict=True)))
