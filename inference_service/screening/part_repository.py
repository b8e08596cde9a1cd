"""SQL of the parts of slides that are being screened."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import delete, select
from sqlalchemy.orm import Session

from tamsoat.inference_service.screening.tables import ScreeningPart


def add(
    session: Session,
    analysis_id: str,
    attempt: int,
    part: int,
    tiles: tuple[int, int],
    packed: tuple[bytes, bytes],
) -> None:
    """Insert one part; ``tiles``: the first and how many, ``packed``: findings and quality."""
    session.add(
        ScreeningPart(
            analysis_id=analysis_id,
            attempt=attempt,
            part=part,
            first_tile=tiles[0],
            tiles=tiles[1],
            findings=packed[0],
            quality=packed[1],
            created_at=datetime.now(UTC),
        )
    )


def of_attempt(session: Session, analysis_id: str, attempt: int, after: int = -1) -> list[ScreeningPart]:
    """The parts after number ``after``, in order."""
    query = select(ScreeningPart).where(
        ScreeningPart.analysis_id == analysis_id, ScreeningPart.attempt == attempt, ScreeningPart.part > after
    )
    return list(session.scalars(query.order_by(ScreeningPart.part)))


def first(session: Session, analysis_id: str, attempt: int) -> ScreeningPart | None:
    """Part 0, which holds the plan."""
    return session.get(ScreeningPart, (analysis_id, attempt, 0))


def count(session: Session, analysis_id: str, attempt: int) -> tuple[int, int]:
    """How many parts there are, and how many tiles they hold."""
    query = select(ScreeningPart.tiles).where(
        ScreeningPart.analysis_id == analysis_id, ScreeningPart.attempt == attempt
    )
    tiles = list(session.scalars(query))
    return len(tiles), sum(tiles)


def discard(session: Session, analysis_id: str, *, keep_attempt: int | None = None) -> None:
    """Delete the parts of every attempt but ``keep_attempt``."""
    query = delete(ScreeningPart).where(ScreeningPart.analysis_id == analysis_id)
    if keep_attempt is not None:
        query = query.where(ScreeningPart.attempt != keep_attempt)
    session.execute(query)
