"""One moment of the database: its copy, what the audit log held then, and which files it names."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.engine import make_url
from sqlalchemy.orm import Session

from tamsoat.inference_service.db.session import Database, translated_errors
from tamsoat.inference_service.operations import repository
from tamsoat.inference_service.operations.backup import postgresql
from tamsoat.inference_service.operations.backup.archive import Advance
from tamsoat.inference_service.operations.backup.manifest import (
    POSTGRESQL_DUMP,
    SQLITE_DATABASE,
    SQLITE_JOBS,
    AuditState,
    StoredFile,
)

PAGES_AT_ONCE = 2048


@dataclass(frozen=True)
class Snapshot:
    """Attributes: ``copies``: name in the backup and file; ``files``: what the slide rows name."""

    copies: list[tuple[str, Path]]
    audit: AuditState
    files: list[StoredFile]


def database_bytes(database: Database, jobs: Path) -> int:
    """About how large the copy will be, for the time left."""
    if database.engine.dialect.name == "sqlite":
        return sum(path.stat().st_size for path in (sqlite_path(database), jobs) if path.is_file())
    with database.read() as session:
        return int(session.execute(text("SELECT pg_database_size(current_database())")).scalar_one())


def sqlite_path(database: Database) -> Path:
    """The file of a SQLite database."""
    return Path(make_url(database.engine.url).database or "")


@contextmanager
def taken(database: Database, jobs: Path, scratch: Path, advance: Advance) -> Iterator[Snapshot]:
    """Copy the database into ``scratch`` while it is written to.

    ``jobs``: the file of the jobs beside a SQLite database; on PostgreSQL they are in the same one. The jobs are
    copied first: the rows that a job refers to are then in the later copy, and a row whose job is missing gets a new
    one at start, because steps are idempotent.
    """
    if database.engine.dialect.name == "sqlite":
        copies = []
        for name, source in ((SQLITE_JOBS, jobs), (SQLITE_DATABASE, sqlite_path(database))):
            if source.is_file():
                target = scratch / Path(name).name
                copy_sqlite(source, target, advance)
                copies.append((name, target))
        copied = Database(f"sqlite:///{scratch / Path(SQLITE_DATABASE).name}", pool_size=1)
        try:
            with copied.read() as session:
                snapshot = _described(session, copies)
        finally:
            copied.close()
        yield snapshot
        return
    target = scratch / Path(POSTGRESQL_DUMP).name
    with translated_errors(), database.engine.connect() as connection:
        connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"))
        connection.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))  # pg_dump takes its time
        exported = str(connection.execute(text("SELECT pg_export_snapshot()")).scalar_one())
        with Session(connection) as session:
            snapshot = _described(session, [(POSTGRESQL_DUMP, target)])
        postgresql.dump(database, exported, target, advance)
    yield snapshot


def _described(session: Session, copies: list[tuple[str, Path]]) -> Snapshot:
    return Snapshot(copies, repository.audit_state(session), repository.stored_files(session))


def copy_sqlite(source: Path, target: Path, advance: Advance) -> None:
    """Copy a SQLite database that others write to (sqlite3's backup API).

    A write-ahead database is copied in parts inside one reading transaction, which holds nobody up; any other in
    one go, because its readers hold up its writers.

    Raises:
        DatabaseUnavailableError, StorageFullError: as the translated errors of the database say.
    """
    with (
        closing(sqlite3.connect(source.resolve().as_uri() + "?mode=rw", uri=True, timeout=60)) as reading,
        closing(sqlite3.connect(target)) as writing,
    ):
        reading.isolation_level = None
        wal = reading.execute("PRAGMA journal_mode").fetchone()[0] == "wal"
        page_bytes = int(reading.execute("PRAGMA page_size").fetchone()[0])
        done_pages = 0

        def progress(_status: int, remaining: int, total: int) -> None:
            nonlocal done_pages
            advance((total - remaining - done_pages) * page_bytes)
            done_pages = total - remaining

        if wal:
            reading.execute("BEGIN")
            reading.execute("SELECT count(*) FROM sqlite_master").fetchone()
        reading.backup(writing, pages=PAGES_AT_ONCE if wal else -1, progress=progress)
        if reading.in_transaction:
            reading.execute("ROLLBACK")
        # The copy is one file without a log beside it; the service turns the log on again when it opens it.
        writing.execute("PRAGMA journal_mode=DELETE")
