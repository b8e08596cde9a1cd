"""Connections and transactions.

SQLite runs in WAL mode with foreign keys on and ``synchronous=FULL``: what was committed survives a power
cut. A transaction that writes takes the write lock when it begins (``BEGIN IMMEDIATE``), so it never fails
half-way because another writer was faster. On PostgreSQL the same order is kept by locking the head of the
audit log.
"""

from __future__ import annotations

import errno
import sqlite3
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.orm import Session

from tamsoat.inference_service.errors import EXIT_OUTPUT, EXIT_USAGE, TamsoatError

WRITE_OPTION = "tamsoat_write"
SILENT_HOLDER_OPTION = "-c idle_in_transaction_session_timeout=20000"
"""PostgreSQL ends a transaction whose process has said nothing for 20 s: a paused process, or a machine that lost its
power, must not keep the others from the rows that it locked. Workers do not wait for it, see ``jobs.repository.fence``.
"""
PASSING_STATES = ("25P03", "40001", "40P01", "55P03", "57P01", "57P02", "57P03")
"""SQLSTATEs of PostgreSQL by which a transaction ends without a fault of its own: silent for too long, serialization,
deadlock, a lock that did not become free in time, ended by an administrator or by other workers, crash, starting."""
FULL_DISK_ERRNOS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)


class DatabaseUnavailableError(TamsoatError):
    """The database did not answer, or stayed locked for longer than the settings allow."""

    status = 503
    title = "Database unavailable"
    slug = "database-unavailable"
    exit_code = EXIT_OUTPUT


class StorageFullError(TamsoatError):
    """The disk, or the quota, is full."""

    status = 507
    title = "Storage full"
    slug = "storage-full"
    exit_code = EXIT_OUTPUT

    DETAIL = "nothing was stored: the disk of the server is full or cannot be written; free space and send it again"


class UnstorableTextError(TamsoatError):
    """A text holds the character NUL, which PostgreSQL neither stores nor compares."""

    status = 422
    title = "Request is not valid"
    slug = "request-invalid"


class DatabaseDamagedError(TamsoatError):
    """The database file is not one, or is damaged."""

    status = 500
    title = "Database damaged"
    slug = "database-damaged"
    exit_code = 1


class DatabaseUrlError(TamsoatError):
    """The database URL cannot be used on this machine."""

    status = 500
    title = "Database settings cannot be used"
    slug = "database-settings"
    exit_code = EXIT_USAGE


class DatabaseMissingError(DatabaseUrlError):
    """The database that was asked for does not exist."""

    title = "Database missing"
    slug = "database-missing"
    exit_code = 1


class Database:
    """One connection pool; hands out reading and writing transactions.

    Thread-safe. ``wait_s`` bounds every wait for a lock or for a connection. A SQLite file is created where it
    is missing, unless ``must_exist``. ``token`` (a UUID) marks the sessions of one start of a process on PostgreSQL,
    see :func:`session_name`; pools of one process share it.

    Raises:
        DatabaseUrlError: the URL is malformed, its driver is missing, or its folder cannot be made.
        DatabaseMissingError: the SQLite file is missing and ``must_exist`` was asked for.
    """

    def __init__(
        self, url: str, *, wait_s: float = 10.0, pool_size: int = 10, must_exist: bool = False, token: str | None = None
    ) -> None:
        parsed = _parse(url)
        if must_exist and parsed.get_backend_name() == "sqlite" and not Path(parsed.database or "").is_file():
            raise DatabaseMissingError(f"{parsed.database}: no such database; check TAMSOAT_DATABASE_URL")
        self.token = token or str(uuid.uuid4())
        self.engine = _make_engine(parsed, wait_s, pool_size, self.token)
        self._writing = self.engine.execution_options(**{WRITE_OPTION: True})

    @contextmanager
    def read(self) -> Iterator[Session]:
        """A session that only reads; it ends without a commit."""
        with translated_errors(), Session(self.engine, expire_on_commit=False) as session:
            yield session

    @contextmanager
    def write(self) -> Iterator[Session]:
        """A session that is committed when the block ends and rolled back when it raises.

        Raises:
            StorageFullError: the disk is full; nothing of the block was stored.
            DatabaseUnavailableError: no lock or no connection in time; nothing of the block was stored.
        """
        with translated_errors(), Session(self._writing, expire_on_commit=False) as session, session.begin():
            yield session

    def ping(self) -> None:
        """Answer, or raise DatabaseUnavailableError."""
        with self.read() as session:
            session.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every pooled connection. On SQLite the last one folds the write-ahead log into the file."""
        self.engine.dispose()


@contextmanager
def translated_errors() -> Iterator[None]:
    """Turn the database's operational errors into ones that a person can act on; let the others pass."""
    try:
        yield
    except DBAPIError as error:
        translated = translate(error)
        if translated is None:
            raise
        raise translated from error
    except PoolTimeoutError as error:
        raise DatabaseUnavailableError("every database connection is in use; try again in a moment") from error


def translate(error: DBAPIError) -> TamsoatError | None:
    """Return the error to show for ``error``, or None when it is a fault of the program."""
    origin = error.orig
    words = str(origin).lower()
    if isinstance(origin, sqlite3.OperationalError):
        if "disk is full" in words or "disk i/o error" in words or "readonly database" in words:
            return StorageFullError(StorageFullError.DETAIL)
        if "locked" in words or "busy" in words:
            return DatabaseUnavailableError("the database is busy with other work; try again in a moment")
        if "unable to open database file" in words:
            return DatabaseUnavailableError("the database file cannot be opened; check the folder and its permissions")
        return None
    if isinstance(origin, sqlite3.DatabaseError) and ("not a database" in words or "malformed" in words):
        return DatabaseDamagedError("the database file is damaged: restore it from a backup")
    if "nul (0x00)" in words:
        return UnstorableTextError("a text must not hold the character NUL")
    if getattr(origin, "sqlstate", None) in ("53100", "53200"):
        return StorageFullError(StorageFullError.DETAIL)
    if (
        error.connection_invalidated
        or getattr(origin, "sqlstate", None) in PASSING_STATES
        or type(origin).__name__ in ("OperationalError", "InterfaceError")
    ):
        return DatabaseUnavailableError("the database does not answer; try again in a moment")
    return None


def is_full_disk(error: BaseException | None) -> bool:
    """Whether ``error`` is the operating system saying that nothing more can be written."""
    return isinstance(error, OSError) and error.errno in FULL_DISK_ERRNOS


def _parse(url: str) -> URL:
    try:
        parsed = make_url(url)
        if parsed.drivername == "postgresql":
            parsed = parsed.set(drivername="postgresql+psycopg")
        parsed.get_dialect()
    except (ArgumentError, NoSuchModuleError) as error:
        raise DatabaseUrlError(
            "TAMSOAT_DATABASE_URL is not a usable URL (example: sqlite:///var/tamsoat.db)"
        ) from error
    if parsed.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseUrlError(f"{parsed.get_backend_name()} is not supported: use sqlite or postgresql+psycopg")
    return parsed


def session_name(token: str) -> str:
    """What PostgreSQL calls the sessions of a process (``application_name``; it keeps 63 bytes)."""
    return f"tamsoat {token}"


def _make_engine(url: URL, wait_s: float, pool_size: int, token: str) -> Engine:
    if url.get_backend_name() == "sqlite":
        return _make_sqlite_engine(url, wait_s, pool_size)
    try:
        return create_engine(
            url, pool_size=pool_size, max_overflow=0, pool_timeout=wait_s, pool_pre_ping=True, hide_parameters=True,
            connect_args={
                "connect_timeout": max(1, int(wait_s)), "application_name": session_name(token),
                "options": f"{SILENT_HOLDER_OPTION} -c lock_timeout={max(1, int(wait_s * 1000))}",
            },
        )  # fmt: skip
    except ModuleNotFoundError as error:
        raise DatabaseUrlError(f"the driver {error.name} is missing: pip install 'psycopg[binary]'") from error


def _make_sqlite_engine(url: URL, wait_s: float, pool_size: int) -> Engine:
    if not url.database or url.database == ":memory:":
        raise DatabaseUrlError("an in-memory database keeps nothing: name a file, as in sqlite:///var/tamsoat.db")
    folder = Path(url.database).parent
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise DatabaseUrlError(f"{folder}: cannot be created: {error.strerror}") from error
    engine = create_engine(
        url,
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=wait_s,
        hide_parameters=True,
        connect_args={"timeout": wait_s},
    )
    event.listen(engine, "connect", _prepare_sqlite)
    event.listen(engine, "begin", _begin_sqlite)
    return engine


def _prepare_sqlite(connection: Any, _record: object) -> None:
    # Python's own implicit BEGIN comes too late to take the write lock; _begin_sqlite does it instead.
    connection.isolation_level = None
    for pragma in ("journal_mode=WAL", "foreign_keys=ON", "synchronous=FULL"):
        connection.execute(f"PRAGMA {pragma}").close()


def _begin_sqlite(connection: Connection) -> None:
    writing = connection.get_execution_options().get(WRITE_OPTION, False)
    connection.exec_driver_sql("BEGIN IMMEDIATE" if writing else "BEGIN")
