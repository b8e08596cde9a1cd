"""SQL of workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import CursorResult, delete, func, select, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.jobs.tables import Worker


def now(session: Session) -> datetime:
    """The clock of the database: workers on several machines compare their beats by it."""
    if session.get_bind().dialect.name != "postgresql":
        return datetime.now(UTC)
    moment: datetime = session.execute(select(func.clock_timestamp())).scalar_one()
    return moment.astimezone(UTC)


def get(session: Session, executor_id: str) -> Worker | None:
    """The row of a worker, locked until the transaction ends."""
    return session.get(Worker, executor_id, with_for_update=True)


def beat(session: Session, executor_id: str, incarnation: str) -> bool:
    """Say that the worker lives; False where its row is gone or belongs to a later start."""
    query = update(Worker).where(Worker.executor_id == executor_id, Worker.incarnation == incarnation)
    return _rows(session, query.values(seen_at=now(session))) == 1


def silent(session: Session, timeout_s: float) -> list[Worker]:
    """Workers that were not seen for ``timeout_s`` seconds."""
    limit = now(session) - timedelta(seconds=timeout_s)
    return list(session.scalars(select(Worker).where(Worker.seen_at < limit)))


def bury(session: Session, worker: Worker) -> bool:
    """Remove the row of a dead worker, unless it moved meanwhile; True for exactly one of all who try."""
    query = delete(Worker).where(
        Worker.executor_id == worker.executor_id,
        Worker.incarnation == worker.incarnation,
        Worker.seen_at == worker.seen_at,
    )
    return _rows(session, query.execution_options(synchronize_session=False)) == 1


def leave(session: Session, executor_id: str, incarnation: str) -> None:
    """Remove the row of a worker that stops in order."""
    session.execute(delete(Worker).where(Worker.executor_id == executor_id, Worker.incarnation == incarnation))


def known(session: Session) -> list[Worker]:
    """Every worker that is not known to be dead."""
    return list(session.scalars(select(Worker).order_by(Worker.executor_id)))


def _rows(session: Session, query: object) -> int:
    result = session.execute(query)  # type: ignore[call-overload]
    assert isinstance(result, CursorResult)
    return int(result.rowcount)
