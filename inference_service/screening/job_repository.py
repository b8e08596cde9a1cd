"""SQL of screenings as jobs."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import func, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.screening.tables import QUEUED, RUNNING, Screening

STALE_S = 60.0
"""A running job that says nothing for so long may have lost its workflow; handing it over again does no harm."""


def get(session: Session, facility_id: str, analysis_id: str, *, lock: bool = False) -> Screening | None:
    """The facility's screening, or None; ``lock`` keeps others from changing it until the transaction ends."""
    query = select(Screening).where(Screening.id == analysis_id, Screening.facility_id == facility_id)
    return session.scalar(query.with_for_update() if lock else query)


def facility_of(session: Session, analysis_id: str) -> str | None:
    """The facility of a screening; None: there is no such screening."""
    return session.scalar(select(Screening.facility_id).where(Screening.id == analysis_id))


def lock_attempt(session: Session, analysis_id: str, attempt: int) -> Screening | None:
    """The screening, locked, where ``attempt`` is still to be done; None where it ended or a later one began."""
    query = select(Screening).where(
        Screening.id == analysis_id, Screening.attempts == attempt, Screening.state.in_((QUEUED, RUNNING))
    )
    return session.scalar(query.with_for_update())


def note_progress(
    session: Session, analysis_id: str, attempt: int, step: str, done: int, total: int
) -> tuple[bool, bool]:
    """Write how far a running attempt is; (whether it is still to be done, whether it shall be cancelled)."""
    query = (
        update(Screening)
        .where(Screening.id == analysis_id, Screening.attempts == attempt, Screening.state == RUNNING)
        .values(step=step, done=done, total=total, updated_at=datetime.now(UTC), version=Screening.version + 1)
        .returning(Screening.cancel_requested)
    )
    row = session.execute(query).one_or_none()
    return row is not None, row is not None and bool(row[0])


def note_beginning(session: Session, analysis_id: str, attempt: int, done: int) -> None:
    """Write that ``done`` tiles had been analysed before the worker that has the attempt began."""
    query = update(Screening).where(Screening.id == analysis_id, Screening.attempts == attempt)
    session.execute(query.values(done_before=done))


def waiting(session: Session, limit: int) -> list[tuple[str, int, int]]:
    """(id, attempt, priority) of jobs to be handed to the workers, the most urgent and then the oldest first."""
    columns = (Screening.id, Screening.attempts, Screening.priority)
    order = (Screening.priority, Screening.number)
    queued = select(*columns).where(Screening.state == QUEUED).order_by(*order).limit(limit)
    silent_since = datetime.now(UTC) - timedelta(seconds=STALE_S)
    stale = (
        select(*columns).where(Screening.state == RUNNING, Screening.updated_at < silent_since).order_by(*order)
    ).limit(limit)
    return [(row[0], row[1], row[2]) for query in (queued, stale) for row in session.execute(query)]


def open_counts(session: Session) -> dict[str, int]:
    """How many jobs wait and how many run, over all facilities."""
    query = (
        select(Screening.state, func.count()).where(Screening.state.in_((QUEUED, RUNNING))).group_by(Screening.state)
    )
    return {QUEUED: 0, RUNNING: 0, **{row[0]: row[1] for row in session.execute(query)}}


def oldest_queued_at(session: Session) -> datetime | None:
    """When the job that has waited longest was requested."""
    return session.scalar(select(func.min(Screening.created_at)).where(Screening.state == QUEUED))
