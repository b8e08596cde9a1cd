"""PostgreSQL's own programs, pg_dump and pg_restore; the password goes by the environment alone."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from pathlib import Path

from psycopg.conninfo import make_conninfo
from sqlalchemy import Connection, make_url, text

from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import EXIT_OUTPUT, TamsoatError
from tamsoat.inference_service.operations.backup.archive import Advance

POLL_S = 0.2
SCHEMAS = ("public", "dbos")
"""Where the service and its jobs keep their tables."""
REPLACED = "replaced_"
"""Prefix of schemas that a restore has set aside; they are not backed up again."""


class PostgresqlToolError(TamsoatError):
    """pg_dump or pg_restore is missing or failed."""

    status = 500
    title = "PostgreSQL's program failed"
    slug = "postgresql-tool"
    exit_code = EXIT_OUTPUT


def dump(database: Database, snapshot: str, target: Path, advance: Advance) -> None:
    """Write everything that ``snapshot`` (of pg_export_snapshot) sees to ``target``, in pg_dump's custom format.

    Raises:
        PostgresqlToolError: pg_dump is missing, older than the server, or failed.
    """
    options = ["--format=custom", "--no-owner", "--no-privileges", f"--snapshot={snapshot}", f"--file={target}"]
    options.append(f"--exclude-schema={REPLACED}*")
    _run("pg_dump", database, options, target, advance)


def load(database: Database, source: Path) -> None:
    """Read a dump into an empty database, all or nothing.

    Raises:
        PostgresqlToolError: pg_restore is missing or failed; nothing was restored.
    """
    _run("pg_restore", database, ["--no-owner", "--no-privileges", "--single-transaction", "--exit-on-error"], source)


def check_dump(source: Path) -> None:
    """Have pg_restore read the whole dump without a database.

    Raises:
        PostgresqlToolError: it is damaged, or pg_restore is missing.
    """
    command = [_program("pg_restore"), "--file=/dev/null", str(source)]
    outcome = subprocess.run(command, capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)
    if outcome.returncode:
        raise PostgresqlToolError(f"pg_restore cannot read the dump: {_last_line(outcome.stderr)}")


def tables(connection: Connection) -> int:
    """How many tables the service's schemas hold."""
    query = text("SELECT count(*) FROM pg_tables WHERE schemaname IN ('public', 'dbos')")
    return int(connection.execute(query).scalar_one())


def other_sessions(connection: Connection) -> int:
    """How many other connections the database has, of the service or of people."""
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND backend_type = 'client backend'"
    )
    return int(connection.execute(text(query)).scalar_one())


def set_aside(connection: Connection, stamp: str) -> list[str]:
    """Rename the service's schemas, so that a restore finds an empty database and nothing is lost; their new names."""
    renamed = []
    for schema in SCHEMAS:
        if connection.execute(text("SELECT 1 FROM pg_namespace WHERE nspname = :name"), {"name": schema}).first():
            name = f"{REPLACED}{schema}_{stamp}".lower()
            connection.execute(text(f'ALTER SCHEMA "{schema}" RENAME TO "{name}"'))
            renamed.append(name)
    connection.execute(text("CREATE SCHEMA IF NOT EXISTS public"))
    return renamed


def drop_restored(connection: Connection) -> None:
    """Remove what a restore has just read in; the database was empty before."""
    for schema in SCHEMAS:
        connection.execute(text(f'DROP SCHEMA IF EXISTS "{schema}" CASCADE'))
    connection.execute(text("CREATE SCHEMA public"))


def _run(name: str, database: Database, options: list[str], file: Path, advance: Advance | None = None) -> None:
    url = make_url(database.engine.url)
    parameters = {key: value for key, value in url.translate_connect_args(username="user").items() if key != "password"}
    parameters["dbname"] = parameters.pop("database", url.database)
    conninfo = make_conninfo("", **{**parameters, **url.query})
    environment = {**os.environ, **({"PGPASSWORD": url.password} if url.password else {})}
    command = [_program(name), f"--dbname={conninfo}", *options]
    if name == "pg_restore":
        command.append(str(file))
    with subprocess.Popen(
        command, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    ) as process:
        seen_bytes = 0
        while advance is not None and process.poll() is None:
            time.sleep(POLL_S)
            size_bytes = file.stat().st_size if file.exists() else 0
            advance(size_bytes - seen_bytes)
            seen_bytes = size_bytes
        _, errors = process.communicate()
    if process.returncode:
        raise PostgresqlToolError(f"{name} failed: {_last_line(errors)}")


def _program(name: str) -> str:
    """The newest program of that name: an older pg_dump refuses a newer server."""
    versions = [path for path in Path("/usr/lib/postgresql").glob(f"*/bin/{name}") if path.parts[4].isdecimal()]
    newest = max(versions, key=lambda path: int(path.parts[4]), default=None)
    found = str(newest) if newest else shutil.which(name)
    if found is None:
        raise PostgresqlToolError(f"{name} is not installed (Debian: apt-get install postgresql-client)")
    return found


def _last_line(errors: str) -> str:
    lines = [line for line in errors.strip().splitlines() if line and not line.lstrip().startswith("Command was:")]
    return lines[-1][:300] if lines else "it gave no reason"
