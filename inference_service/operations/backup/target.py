"""Where a backup is restored to: an empty place, or one whose content is set aside first."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from tamsoat.inference_service.db.session import Database, translated_errors
from tamsoat.inference_service.errors import EXIT_USAGE, TamsoatError
from tamsoat.inference_service.jobs.system_database import jobs_file
from tamsoat.inference_service.operations.backup import postgresql
from tamsoat.inference_service.operations.backup.snapshot import sqlite_path
from tamsoat.inference_service.settings import Settings


class RestoreTargetError(TamsoatError):
    """The backup cannot be restored to this place."""

    title = "Backup cannot be restored here"
    slug = "restore-target"
    exit_code = EXIT_USAGE


@dataclass(frozen=True)
class Target:
    """The place that the settings name."""

    settings: Settings
    database: Database

    @property
    def sqlite(self) -> bool:
        return self.database.engine.dialect.name == "sqlite"

    @property
    def folder(self) -> Path:
        return self.settings.data_folder

    def occupants(self) -> list[Path]:
        """Files and folders that a restore would write over (PostgreSQL's tables are not among them)."""
        paths = [self.settings.keys_path]
        if not self.settings.storage_url.startswith("s3"):
            paths.append(local_files(self.settings))
        if self.sqlite:
            main = sqlite_path(self.database)
            jobs = jobs_file(self.settings.database_url)
            for path in (main, *([jobs] if jobs else [])):
                paths += [path, Path(f"{path}-wal"), Path(f"{path}-shm")]
        return [path for path in paths if path.is_file() or (path.is_dir() and any(path.iterdir()))]

    def check_empty(self) -> None:
        """Raise RestoreTargetError where something is here already."""
        occupants = self.occupants()
        if occupants:
            raise RestoreTargetError(
                f"{occupants[0]}: is here already; restore into an empty place, or add --replace to set it aside"
            )
        if not self.sqlite and self._tables():
            raise RestoreTargetError(
                "the PostgreSQL database holds tables already; restore into an empty one, or add --replace to set them "
                "aside"
            )

    def check_idle(self) -> None:
        """Raise RestoreTargetError while a service, a worker or a person works on the database."""
        if self.sqlite:
            busy = _sqlite_in_use(sqlite_path(self.database))
        else:
            with translated_errors(), self.database.engine.connect() as connection:
                busy = postgresql.other_sessions(connection) > 0
        if busy:
            raise RestoreTargetError("the database is in use: stop the service, its workers and everything else first")

    def set_aside(self) -> str:
        """Move what is here out of the way and say where to."""
        stamp = f"{datetime.now(UTC):%Y%m%dt%H%M%Sz}"
        aside = self.folder / f"replaced-{stamp}"
        occupants = self.occupants()
        if occupants:
            aside.mkdir(parents=True, mode=0o700)
        for path in occupants:
            shutil.move(path, aside / path.name)
        names = [str(aside)] if occupants else []
        if not self.sqlite and self._tables():
            with translated_errors(), self.database.engine.begin() as connection:
                names += [f"schema {name}" for name in postgresql.set_aside(connection, stamp)]
        return ", ".join(names)

    def _tables(self) -> int:
        with translated_errors(), self.database.engine.connect() as connection:
            return postgresql.tables(connection)


def local_files(settings: Settings) -> Path:
    """The folder of the slide files where they are on this machine."""
    if settings.storage_url.startswith("file://"):
        return Path(settings.storage_url.removeprefix("file://"))
    return settings.data_folder / "files"


def _sqlite_in_use(path: Path) -> bool:
    """Whether another connection has the database open: exclusive locking needs to be alone."""
    if not path.is_file():
        return False
    try:
        with closing(sqlite3.connect(path, timeout=1, isolation_level=None)) as connection:
            connection.execute("PRAGMA locking_mode=EXCLUSIVE")
            connection.execute("BEGIN EXCLUSIVE")
            connection.execute("ROLLBACK")
    except sqlite3.OperationalError as error:
        return "locked" in str(error)
    except sqlite3.DatabaseError:
        return False  # damaged: the reason for the restore
    return False
