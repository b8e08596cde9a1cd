"""SQL of analyses and findings."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy import Row, bindparam, func, insert, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.screening.tables import Analysis, AnalysisMap, Finding

_FOUND = (
    select(Finding.x_px, Finding.y_px, Finding.category, Finding.score, Finding.probabilities)
    .where(Finding.analysis_number == bindparam("number"))
    .order_by(Finding.rank)
    .limit(bindparam("limit"))
)


def add(session: Session, analysis: Analysis, findings: Sequence[dict[str, object]]) -> None:
    """Insert one analysis with its findings (columns of ``Finding`` but the analysis number)."""
    session.add(analysis)
    session.flush()
    if findings:
        rows = [{**finding, "analysis_number": analysis.number} for finding in findings]
        session.execute(insert(Finding), rows)


def add_findings(session: Session, rows: Sequence[dict[str, object]]) -> None:
    """Insert many findings (all columns of ``Finding``); on PostgreSQL by COPY, much faster than row after row."""
    connection = session.connection()
    if connection.dialect.name != "postgresql":
        session.execute(insert(Finding), rows)
        return
    names = [column.name for column in Finding.__table__.columns]
    driver: Any = connection.connection.driver_connection
    with driver.cursor() as cursor, cursor.copy(f"COPY findings ({', '.join(names)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row([json.dumps(value) if isinstance(value, list) else value for value in map(row.get, names)])


def get(session: Session, facility_id: str, analysis_id: str) -> Analysis | None:
    """The facility's analysis with this public identifier, or None."""
    return session.scalar(select(Analysis).where(Analysis.id == analysis_id, Analysis.facility_id == facility_id))


def findings_of(session: Session, number: int) -> list[Finding]:
    """The findings of one analysis, most suspicious first."""
    query = select(Finding).where(Finding.analysis_number == number).order_by(Finding.rank)
    return list(session.scalars(query))


def found_in(session: Session, number: int, limit: int) -> Sequence[Row[float, float, str, float, list[float]]]:
    """At most ``limit`` of the same as plain values: x, y, category, score, probabilities."""
    return session.execute(_FOUND, {"number": number, "limit": limit}).all()


def found_in_parts(
    session: Session, number: int, size: int
) -> Iterator[Sequence[Row[int, float, float, str, float, list[float]]]]:
    """Rank, x, y, category, score and probabilities, most suspicious first, ``size`` at a time."""
    columns = (Finding.rank, Finding.x_px, Finding.y_px, Finding.category, Finding.score, Finding.probabilities)
    query = select(*columns).where(Finding.analysis_number == number).order_by(Finding.rank)
    yield from session.execute(query, execution_options={"yield_per": size}).partitions(size)


def map_of(session: Session, number: int) -> AnalysisMap | None:
    """The map of a slide's analysis."""
    return session.get(AnalysisMap, number)


def count(session: Session) -> int:
    """How many analyses are stored."""
    return session.scalar(select(func.count()).select_from(Analysis)) or 0
