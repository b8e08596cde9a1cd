"""The same storage on a real PostgreSQL: migrations, triggers, one writer at a time, an outage that passes."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from audit_log import event
from bad_inputs import good_jpeg
from postgresql_cluster import Cluster
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from starlette.testclient import TestClient

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import service
from tamsoat.inference_service.audit.schemas import Verification
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database, DatabaseUnavailableError
from tamsoat.inference_service.settings import Settings


def test_processes_that_start_together_migrate_once(postgresql_url: str) -> None:
    databases = [Database(postgresql_url) for _ in range(3)]
    threads = [threading.Thread(target=migrations.upgrade, args=(database,)) for database in databases]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert migrations.current_revision(databases[0]) == migrations.head_revision()
    for database in databases:
        database.close()


def test_writers_take_turns_and_triggers_refuse(postgresql_url: str) -> None:
    databases = [Database(postgresql_url), Database(postgresql_url)]
    migrations.upgrade(databases[0])

    def work(database: Database) -> None:
        for number in range(10):
            with database.write() as session:
                service.append(session, event(number))

    threads = [threading.Thread(target=work, args=(databases[index % 2],)) for index in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    for statement in (
        "UPDATE audit_entries SET actor = 'x'",
        "DELETE FROM audit_entries",
        "TRUNCATE audit_entries",
        "UPDATE audit_head SET sequence = 3",
        "DELETE FROM audit_head",
        "TRUNCATE audit_head",
    ):
        with pytest.raises(DBAPIError, match="append-only"), databases[0].write() as session:
            session.execute(text(statement))
    with databases[0].read() as session:
        assert service.verify(session) == Verification(40)
    for database in databases:
        database.close()


def test_outage_is_a_503_and_passes(postgresql_cluster: Cluster, tiny_bundle: Path, tmp_path: Path) -> None:
    settings = Settings(
        model=tiny_bundle,
        database_url=postgresql_cluster.new_database(),
        data_dir=tmp_path,
        threads=1,
        log_level="error",
    )
    with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:

        def post() -> object:
            return client.post("/api/v1/inference", files={"image": ("a.jpg", good_jpeg())}, data={"objective": "40"})

        first = post()
        assert first.status_code == 200  # type: ignore[attr-defined]
        answered = first.json()  # type: ignore[attr-defined]
        assert client.get(f"/api/v1/analyses/{answered['analysis_id']}").json() == answered | {"state": "completed"}
        postgresql_cluster.stop()
        refused = post()
        assert refused.status_code == 503  # type: ignore[attr-defined]
        assert "retry-after" in refused.headers  # type: ignore[attr-defined]
        assert client.get("/readyz").status_code == 503
        postgresql_cluster.start()
        assert post().status_code == 200  # type: ignore[attr-defined]
        assert client.get("/readyz").status_code == 200


def test_a_silent_holder_of_a_lock_is_ended(postgresql_url: str) -> None:
    """A worker that is paused in the middle of a transaction must not stop the others for ever."""
    database = Database(postgresql_url)
    with database.read() as session:
        limit = session.execute(text("SHOW idle_in_transaction_session_timeout")).scalar_one()
    assert limit == "20s"
    migrations.upgrade(database)
    other = Database(postgresql_url)
    with pytest.raises(DatabaseUnavailableError), database.write() as held:  # noqa: PT012
        held.execute(text("SET LOCAL idle_in_transaction_session_timeout = '500ms'"))
        service.append(held, event(1))
        with other.write() as session:  # waits for the head of the log until the silent one is ended
            service.append(session, event(2))
    with other.read() as session:
        assert service.verify(session) == Verification(1)
    for opened in (database, other):
        opened.close()
