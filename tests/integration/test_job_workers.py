"""Several workers on one PostgreSQL: names, heartbeats, takeover, and a database that goes away."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest
from bad_inputs import good_jpeg
from job_outage import run_outage
from job_processes import Load, Program, Starter, examine, free_port, listen_by_webhook, wait_until_done
from postgresql_cluster import programs, running_cluster
from sqlalchemy import select

from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.jobs import identity
from tamsoat.inference_service.jobs.identity import WorkerIdTakenError
from tamsoat.inference_service.jobs.liveness import Liveness
from tamsoat.inference_service.jobs.tables import Worker


def test_a_name_stays_after_a_restart_and_is_never_shared(tmp_path: Path) -> None:
    with identity.claim(tmp_path, "") as first, identity.claim(tmp_path, "") as second:
        assert first.executor_id != second.executor_id
    with identity.claim(tmp_path, "") as again, identity.claim(tmp_path / "other", "") as elsewhere:
        assert again.executor_id == first.executor_id
        assert elsewhere.executor_id != again.executor_id
    with identity.claim(tmp_path, "mine"), pytest.raises(WorkerIdTakenError):
        identity.claim(tmp_path, "mine")


def test_the_same_name_on_another_machine_is_refused_while_it_lives(database_url: str, tmp_path: Path) -> None:
    database = Database(database_url)
    migrations.upgrade(database)
    with identity.claim(tmp_path / "a", "mine") as here, identity.claim(tmp_path / "b", "mine") as there:
        Liveness(database, here, 1, timeout_s=0.5).join()
        with pytest.raises(WorkerIdTakenError):
            Liveness(database, there, 1, timeout_s=0.5).join()
        Liveness(database, here, 1, timeout_s=0.5).join()  # its own restart
        time.sleep(0.6)
        Liveness(database, there, 1, timeout_s=0.5).join()
    database.close()


def test_only_a_worker_that_has_been_steady_buries_others(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Liveness, "recover", lambda self: None)
    database = Database(database_url)
    migrations.upgrade(database)

    def names() -> set[str]:
        with database.read() as session:
            return set(session.scalars(select(Worker.executor_id)))

    with identity.claim(tmp_path, "a") as a, identity.claim(tmp_path, "b") as b:
        first, second = (Liveness(database, who, 1, timeout_s=0.4) for who in (a, b))
        first.join()
        second.join()
        time.sleep(0.5)  # nobody beats: the database was away
        first.beat()
        assert names() == {"a", "b"}
        for _ in range(5):
            time.sleep(0.1)
            first.beat()
        assert names() == {"a"}
        second.beat()  # it was only paused
        assert names() == {"a", "b"}
        second.leave()
        assert names() == {"a"}
    database.close()


@pytest.mark.timeout(120)
def test_a_dead_and_a_paused_worker_are_replaced(tiny_bundle: Path, tmp_path: Path, postgresql_url: str) -> None:
    port = free_port()
    settings: dict[str, object] = {
        "model": tiny_bundle, "database_url": postgresql_url, "threads": 1, "worker_heartbeat_s": 0.5,
        "worker_timeout_s": 5, "webhook_networks": "127.0.0.0/8", "decode_workers": 1,
        "storage_url": f"file://{tmp_path}/files", "keys_file": tmp_path / "keys.json",
    }  # fmt: skip
    database = Database(postgresql_url)
    server_only: dict[str, object] = {"port": port, "data_dir": tmp_path / "server", "run_worker": "false"}
    with (
        Starter() as starter,
        Program(starter, "serve", tmp_path / "server.log", **server_only, **settings),
    ):
        listen_by_webhook(f"http://127.0.0.1:{port}")
        workers = [
            Program(starter, "worker", tmp_path / f"{name}.log", data_dir=tmp_path / name, worker_id=name, **settings)
            for name in "abc"
        ]
        with workers[0] as dead, workers[1] as paused, workers[2]:
            with Load(f"http://127.0.0.1:{port}", [good_jpeg()]) as load:
                while len(load.accepted) < 15:
                    time.sleep(0.01)
                dead.kill()
                os.kill(paused.pid, signal.SIGSTOP)
                wait_for_burial(database, {"c"})
            wait_until_done(database, 60)
            os.kill(paused.pid, signal.SIGCONT)
            wait_for_burial(database, {"b", "c"})
            time.sleep(0.5)
            verdict = examine(database, load.accepted)
    assert verdict.clean, verdict
    assert verdict.takeovers == 2
    database.close()


def wait_for_burial(database: Database, left: set[str]) -> None:
    """Until exactly ``left`` count as alive."""
    deadline_s = time.monotonic() + 30
    while True:
        with database.read() as session:
            names = set(session.scalars(select(Worker.executor_id)))
        if names == left:
            return
        assert time.monotonic() < deadline_s, names
        time.sleep(0.05)


@pytest.mark.timeout(180)
def test_postgresql_away_for_three_seconds(tiny_bundle: Path, tmp_path: Path) -> None:
    folder = programs()
    if folder is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    with running_cluster(folder) as cluster:
        outage = run_outage(tiny_bundle, tmp_path, cluster, [good_jpeg()], 3.0)
    print(outage.row())
    assert outage.verdict.clean, outage
    assert (outage.unclear, outage.restarts) == (0, 0)
    assert outage.answered_503 > 0
