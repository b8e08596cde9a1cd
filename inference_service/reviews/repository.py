"""SQL of marks, coverage and first impressions."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import delete, insert, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.cases.tables import Case
from tamsoat.inference_service.reviews.tables import BlindRead, Coverage, Mark
from tamsoat.inference_service.uploads.tables import Slide


def slides_of(session: Session, case_id: str) -> list[Slide]:
    """The slides of a case that were not deleted, in the order of their arrival."""
    query = select(Slide).where(Slide.case_id == case_id, Slide.deleted_at.is_(None))
    return list(session.scalars(query.order_by(Slide.created_at, Slide.id)))


def slide_of(session: Session, case_id: str, slide_id: str) -> Slide | None:
    """One of them, or None."""
    query = select(Slide).where(Slide.id == slide_id, Slide.case_id == case_id, Slide.deleted_at.is_(None))
    return session.scalar(query)


def cases_of(session: Session, slide_ids: Sequence[str]) -> dict[str, Case]:
    """The cases of those of the slides that have one."""
    query = select(Slide.id, Case).join(Case, Case.id == Slide.case_id).where(Slide.id.in_(slide_ids))
    return {row.id: row.Case for row in session.execute(query)}


def add_marks(session: Session, rows: Sequence[dict[str, Any]]) -> None:
    """Insert marks: columns of :class:`Mark` but the number."""
    session.execute(insert(Mark), list(rows))


def batch_of(session: Session, batch: str) -> list[Mark]:
    """The marks of one action, in their order."""
    return list(session.scalars(select(Mark).where(Mark.batch == batch).order_by(Mark.position)))


def withdraw(session: Session, batch: str, at: datetime) -> None:
    """Note that an action does not stand any more; what was withdrawn before keeps its moment."""
    session.execute(
        update(Mark)
        .where(Mark.batch == batch, Mark.withdrawn_at.is_(None))
        .values(withdrawn_at=at)
        .execution_options(synchronize_session=False)
    )
    session.expire_all()


def marks_of(session: Session, case_id: str, *, author: str | None = None, withdrawn: bool = False) -> list[Mark]:
    """The marks of a case, oldest first; ``author``: only that reader's; ``withdrawn``: those as well."""
    query = select(Mark).where(Mark.case_id == case_id)
    if author is not None:
        query = query.where(Mark.author == author)
    if not withdrawn:
        query = query.where(Mark.withdrawn_at.is_(None))
    return list(session.scalars(query.order_by(Mark.number)))


def coverage_of(session: Session, case_id: str, slide_id: str, reader: str, *, lock: bool = False) -> Coverage | None:
    """What one reader has looked at, or None; ``lock``: nobody else adds to it until the transaction ends."""
    query = select(Coverage).where(
        Coverage.case_id == case_id, Coverage.slide_id == slide_id, Coverage.reader == reader
    )
    if lock:
        query = query.with_for_update().execution_options(populate_existing=True)
    return session.scalar(query)


def coverages_of(session: Session, case_id: str, reader: str | None = None) -> list[Coverage]:
    """The same for every slide of a case, of one reader or of all."""
    query = select(Coverage).where(Coverage.case_id == case_id)
    if reader is not None:
        query = query.where(Coverage.reader == reader)
    return list(session.scalars(query.order_by(Coverage.slide_id, Coverage.reader)))


def blind_read(session: Session, case_id: str, reader: str) -> BlindRead | None:
    """The reader's first impression of the case, or None."""
    return session.get(BlindRead, (case_id, reader))


def blind_reads_of(session: Session, case_id: str) -> list[BlindRead]:
    """Every first impression of a case."""
    return list(session.scalars(select(BlindRead).where(BlindRead.case_id == case_id).order_by(BlindRead.at)))


def read_before(session: Session, case_ids: Iterable[str], reader: str) -> set[str]:
    """Those of the cases of which the reader has given a first impression."""
    query = select(BlindRead.case_id).where(BlindRead.case_id.in_(list(case_ids)), BlindRead.reader == reader)
    return set(session.scalars(query))


def erase_of_cases(session: Session, case_ids: Iterable[str]) -> None:
    """Remove what people typed about cells, and what they have looked at; marks and first impressions stay."""
    ids = list(case_ids)
    options = {"synchronize_session": False}
    session.execute(update(Mark).where(Mark.case_id.in_(ids)).values(comment=None).execution_options(**options))
    session.execute(delete(Coverage).where(Coverage.case_id.in_(ids)).execution_options(**options))
