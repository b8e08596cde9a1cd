"""SQL of workers."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import CursorResult, delete, func, select, text, update
from sqlalchemy.orm import Session

from tamsoat.inference_service.db.session import session_name
from tamsoat.inference_service.jobs.tables import Worker

BURIAL_WAIT_S = 3
"""A worker that is paused but not yet silent for long enough may hold what the burial of another one needs."""


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


def fence(session: Session, worker: Worker) -> int:
    """End the database sessions of a worker that is still as silent as ``worker`` says; how many there were.

    A paused process keeps its locks, and once it is continued may go on in the middle of a transaction. Waits for
    nothing, and may be done by several at once. SQLite has no sessions, and its one process is not buried by itself.

    Raises:
        sqlalchemy.exc.ProgrammingError: PostgreSQL does not let us.
    """
    if session.get_bind().dialect.name != "postgresql":
        return 0
    ended = text(
        "SELECT pg_terminate_backend(a.pid) FROM pg_stat_activity a, workers w WHERE a.datname = current_database() "
        "AND a.application_name = :name AND a.pid <> pg_backend_pid() "
        "AND w.executor_id = :executor_id AND w.incarnation = :incarnation AND w.seen_at = :seen_at"
    )
    values = {
        "name": session_name(worker.incarnation),
        "executor_id": worker.executor_id,
        "incarnation": worker.incarnation,
        "seen_at": worker.seen_at,
    }
    return len(session.execute(ended, values).all())


def wait_briefly(session: Session) -> None:
    """Let this transaction give up soon where another one is in its way (PostgreSQL)."""
    if session.get_bind().dialect.name == "postgresql":
        session.execute(text(f"SET LOCAL lock_timeout = '{BURIAL_WAIT_S}s'"))


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
