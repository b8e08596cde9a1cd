"""Where DBOS keeps its own tables: a SQLite file beside ours, or a schema in the same PostgreSQL.

Our tables say what is to be done; DBOS's say who is at it and how far. A lost SQLite file is made anew and filled from
our tables, so it is written without waiting for the disk at every commit and need not be backed up.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import URL, make_url

from tamsoat.inference_service.db.session import SILENT_HOLDER_OPTION, session_name

SCHEMA = "dbos"
APPLICATION = "tamsoat"
VERSION = "1"
"""Of the workflows: raised when their steps change in a way that a half-done workflow of before cannot follow."""

_BUSY_MS = 30_000
_SILENCE_MS = 10_000


def jobs_file(database_url: str) -> Path | None:
    """DBOS's SQLite file, ``<database>.jobs.db``; None on PostgreSQL."""
    url = make_url(database_url)
    if url.get_backend_name() != "sqlite":
        return None
    path = Path(url.database or "")
    return path.with_name(f"{path.stem}.jobs.db")


def open_engine(database_url: str, *, pool_size: int, wait_s: float, token: str) -> Engine:
    """An engine on DBOS's tables, to be handed to DBOS and disposed of after it; ``token`` as in ``Database``."""
    path = jobs_file(database_url)
    if path is not None:
        engine = create_engine(f"sqlite:///{path}", pool_size=pool_size, max_overflow=0, hide_parameters=True)
        event.listen(engine, "connect", _prepare_sqlite)
        return engine
    url: URL = make_url(database_url).set(drivername="postgresql+psycopg")
    return create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=wait_s,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "connect_timeout": max(1, int(wait_s)),
            "tcp_user_timeout": _SILENCE_MS,
            "application_name": session_name(token),
            "options": SILENT_HOLDER_OPTION,
        },
    )


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # As DBOS does for its own engines: writers take the lock when they begin.
    connection.isolation_level = "IMMEDIATE"
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON"):
        connection.execute(f"PRAGMA {pragma}").close()
