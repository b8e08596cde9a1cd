"""Is the database reachable, whole, at the right schema, with room for connections?"""

from __future__ import annotations

import os
from pathlib import Path

from sqlalchemy import text
from sqlalchemy.orm import Session

from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.operations.backup.snapshot import sqlite_path
from tamsoat.inference_service.operations.doctor.finding import Context, Finding, fail, graded, ok, reading, warn

LARGE_LOG_BYTES = 512 * 2**20
LEAST_FREE_CONNECTIONS = 5


def check_database(context: Context) -> list[Finding]:
    """Schema, integrity, connections, protection of the connection."""
    database = context.database
    if database is None:
        return []
    findings = [_schema(database)]
    if database.engine.dialect.name == "sqlite":
        return findings + reading(context, lambda session: _sqlite(session, sqlite_path(database)))
    pool = context.settings.database_pool
    return findings + reading(context, lambda session: _postgresql(session, pool))


def _schema(database: Database) -> Finding:
    stored, known = migrations.current_revision(database), migrations.head_revision()
    name = "database-schema"
    if stored == known:
        return ok(name, f"revision {stored}")
    if stored is None:
        return fail(name, "the database is empty", "run `tamsoat db upgrade`, or check TAMSOAT_DATABASE_URL")
    if stored < known:
        return warn(name, f"revision {stored}, this program expects {known}", "run `tamsoat db upgrade`")
    return fail(name, f"revision {stored} is newer than this program ({known})", "install the version that wrote it")


def _sqlite(session: Session, path: Path) -> list[Finding]:
    findings = []
    outcome = str(session.execute(text("PRAGMA quick_check(1)")).scalar_one())
    findings.append(
        graded(
            "database-integrity",
            f"quick check: {outcome}",
            "stop the service, keep the file, and restore the newest backup (docs/operations.md)",
            failing=outcome != "ok",
            warning=False,
        )
    )
    log = Path(f"{path}-wal")
    size_bytes = log.stat().st_size if log.exists() else 0
    findings.append(
        graded(
            "database-log",
            f"write-ahead log {size_bytes / 2**20:.1f} MiB",
            "a reader that never ends keeps it from being folded in: restart the service",
            failing=False,
            warning=size_bytes > LARGE_LOG_BYTES,
        )
    )
    open_to = path.parent.stat().st_mode & 0o007 and path.stat().st_mode & 0o004
    findings.append(
        graded(
            "database-permissions",
            f"{path}: {'any user of this machine may read it' if open_to else 'closed to other users'}",
            f"run: chmod o= {path.parent}",
            failing=False,
            warning=bool(open_to) and os.name == "posix",
        )
    )
    return findings


def _postgresql(session: Session, pool: int) -> list[Finding]:
    def value(query: str) -> str:
        return str(session.execute(text(query)).scalar_one())

    used = int(value("SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend'"))
    most = int(value("SHOW max_connections")) - int(value("SHOW superuser_reserved_connections"))
    encrypted = value("SELECT coalesce((SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()), false)") == "True"
    local = value("SELECT coalesce(host(inet_server_addr()), 'socket')") in ("127.0.0.1", "::1", "socket")
    return [
        graded(
            "database-connections",
            f"{most - used} of {most} connections are free",
            f"raise max_connections: every server and worker may take {pool} (TAMSOAT_DATABASE_POOL) and as many for "
            "its jobs",
            failing=most - used < 1,
            warning=most - used < LEAST_FREE_CONNECTIONS,
        ),
        graded(
            "database-durability",
            f"PostgreSQL {value('SHOW server_version')}, fsync {value('SHOW fsync')}, "
            f"synchronous_commit {value('SHOW synchronous_commit')}",
            "set fsync and synchronous_commit to on: otherwise a power cut loses what was answered as stored",
            failing=value("SHOW fsync") != "on",
            warning=value("SHOW synchronous_commit") == "off",
        ),
        graded(
            "database-transport",
            "the connection is encrypted" if encrypted else f"the connection is not encrypted (local: {local})",
            "add ?sslmode=verify-full to TAMSOAT_DATABASE_URL",
            failing=False,
            warning=not encrypted and not local,
        ),
    ]
