"""The audit log: append-only in the database, and any change behind the database's back is found and named."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from pathlib import Path

import pytest
from audit_log import ENTRIES, check, event, open_without_triggers
from sqlalchemy import text
from sqlalchemy.exc import IntegrityError
from typer.testing import CliRunner

from tamsoat.inference_service.audit import repository, service
from tamsoat.inference_service.audit.schemas import Verification
from tamsoat.inference_service.cli.audit import app as audit_cli
from tamsoat.inference_service.cli.db import app as db_cli
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.errors import TamsoatError


def test_whole_log_is_whole(audit_db: Path) -> None:
    assert check(audit_db) == Verification(ENTRIES)


def test_empty_log_is_whole(tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path}/new.db")
    migrations.upgrade(database)
    with database.read() as session:
        assert service.verify(session).whole
    database.close()


def test_hash_is_an_rfc_6962_leaf_over_canonical_json(audit_db: Path) -> None:
    columns = "sequence, occurred_at, actor, action, subject, digests, previous_hash, entry_hash"
    rows = sqlite3.connect(audit_db).execute(f"SELECT {columns} FROM audit_entries ORDER BY sequence").fetchall()
    sequence, occurred_at, actor, action, subject, digests, previous_hash, stored = rows[1]
    leaf = json.dumps(
        {
            "sequence": sequence,
            "occurred_at": occurred_at,
            "actor": actor,
            "action": action,
            "subject": subject,
            "digests": json.loads(digests),
            "previous_hash": previous_hash,
        },
        sort_keys=True,
        separators=(",", ":"),
        ensure_ascii=False,
    )
    assert stored == hashlib.sha256(b"\x00" + leaf.encode()).hexdigest()
    assert previous_hash == rows[0][-1]
    assert rows[0][-2] == "0" * 64


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE audit_entries SET actor = 'x' WHERE sequence = 3",
        "DELETE FROM audit_entries WHERE sequence = 3",
        "DELETE FROM audit_entries",
        "INSERT INTO audit_entries (sequence, occurred_at, actor, action, subject, digests, previous_hash, entry_hash)"
        " SELECT 99, occurred_at, actor, action, subject, digests, previous_hash, entry_hash"
        " FROM audit_entries WHERE sequence = 3",
        "INSERT OR REPLACE INTO audit_entries SELECT * FROM audit_entries WHERE sequence = 3",
        "UPDATE audit_head SET sequence = 3",
        "UPDATE audit_head SET entry_hash = 'x', sequence = sequence + 1",
        "DELETE FROM audit_head",
        "INSERT INTO audit_head VALUES (2, 0, '')",
        "INSERT OR REPLACE INTO audit_head VALUES (1, 0, '')",
    ],
)
def test_database_refuses_changes(audit_db: Path, statement: str) -> None:
    database = Database(f"sqlite:///{audit_db}")
    with pytest.raises(IntegrityError, match=r"append-only|audit_head"), database.write() as session:
        session.execute(text(statement))
    database.close()
    assert check(audit_db).whole


def test_truncated_end_and_missing_head_are_found(audit_db: Path) -> None:
    connection = open_without_triggers(audit_db)
    connection.execute("DELETE FROM audit_entries WHERE sequence > 30")
    assert check(audit_db).first_bad_sequence == 31
    connection.execute("DELETE FROM audit_head")
    assert not check(audit_db).whole
    connection.close()


def test_nothing_is_recorded_after_the_head_was_removed(audit_db: Path) -> None:
    connection = open_without_triggers(audit_db)
    connection.execute("DELETE FROM audit_head")
    connection.close()
    database = Database(f"sqlite:///{audit_db}")
    with pytest.raises(service.AuditBrokenError), database.write() as session:
        service.append(session, event(1))
    database.close()


def test_concurrent_writers_get_consecutive_places(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/many.db"
    first = Database(url)
    migrations.upgrade(first)
    numbers: list[int] = []

    def work(database: Database) -> None:
        for number in range(15):
            with database.write() as session:
                numbers.append(service.append(session, event(number)))

    databases = [first, Database(url)]  # two pools stand for two processes
    threads = [threading.Thread(target=work, args=(databases[index % 2],)) for index in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(numbers) == list(range(1, 91))
    with first.read() as session:
        assert service.verify(session) == Verification(90)
    for database in databases:
        database.close()


def test_entry_is_rolled_back_with_its_change(audit_db: Path) -> None:
    database = Database(f"sqlite:///{audit_db}")

    def change() -> None:
        with database.write() as session:
            service.append(session, event(1))
            raise RuntimeError("the change failed")

    with pytest.raises(RuntimeError):
        change()
    with database.read() as session:
        head = repository.read_head(session)
        assert head is not None
        assert head.sequence == ENTRIES
    database.close()


def test_command_exits_0_when_whole_and_1_with_the_first_bad_sequence(audit_db: Path, tmp_path: Path) -> None:
    runner = CliRunner()
    arguments = ["verify", "--database-url", f"sqlite:///{audit_db}"]
    whole = runner.invoke(audit_cli, arguments)
    assert whole.exit_code == 0
    assert str(ENTRIES) in whole.output
    connection = open_without_triggers(audit_db)
    connection.execute("UPDATE audit_entries SET actor = 'x' WHERE sequence = 17")
    connection.close()
    broken = runner.invoke(audit_cli, arguments)
    assert broken.exit_code == 1
    assert "17" in broken.output
    missing = runner.invoke(audit_cli, ["verify", "--database-url", f"sqlite:///{tmp_path}/none.db"])
    assert isinstance(missing.exception, TamsoatError)
    assert missing.exception.exit_code == 1
    assert not (tmp_path / "none.db").exists()


def test_damaged_file_is_reported(tmp_path: Path) -> None:
    path = tmp_path / "garbage.db"
    path.write_bytes(b"this is no database" * 100)
    result = CliRunner().invoke(audit_cli, ["verify", "--database-url", f"sqlite:///{path}"])
    assert isinstance(result.exception, TamsoatError)
    assert result.exception.exit_code == 1
    assert "damaged" in str(result.exception)


def test_upgrade_command_creates_and_keeps(tmp_path: Path) -> None:
    arguments = ["upgrade", "--database-url", f"sqlite:///{tmp_path}/deep/er/new.db"]
    assert "none -> " in CliRunner().invoke(db_cli, arguments).output
    assert CliRunner().invoke(db_cli, arguments).exit_code == 0


def test_database_of_a_newer_version_is_refused(audit_db: Path) -> None:
    connection = sqlite3.connect(audit_db, isolation_level=None)
    connection.execute("UPDATE alembic_version SET version_num = '9999'")
    connection.close()
    database = Database(f"sqlite:///{audit_db}")
    with pytest.raises(migrations.SchemaTooNewError, match="9999"):
        migrations.upgrade(database)
    database.close()


def test_migrations_make_the_tables_that_the_code_expects(audit_db: Path) -> None:
    from alembic.autogenerate import compare_metadata
    from alembic.runtime.migration import MigrationContext

    from tamsoat.inference_service.db.tables import metadata

    database = Database(f"sqlite:///{audit_db}")
    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    database.close()
