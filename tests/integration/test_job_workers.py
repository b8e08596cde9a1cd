"""Several workers on one PostgreSQL: names, heartbeats, takeover, and a database that goes away."""

from __future__ import annotations

import os
import signal
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from bad_inputs import good_jpeg
from job_outage import run_outage
from job_processes import Load, Program, Starter, describe_open, examine, free_port, listen_by_webhook, wait_until_done
from postgresql_cluster import programs, running_cluster
from sqlalchemy import select, text
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.schemas import Action, Event, Verification
from tamsoat.inference_service.db import migrations
from tamsoat.inference_service.db.session import Database, DatabaseUnavailableError, session_name
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
        Liveness(database, here, 1, timeout_s=3600).join()
        with pytest.raises(WorkerIdTakenError):
            Liveness(database, there, 1, timeout_s=3600).join()
        Liveness(database, here, 1, timeout_s=3600).join()  # its own restart
        time.sleep(0.2)
        Liveness(database, there, 1, timeout_s=0.1).join()
    database.close()


def test_only_a_worker_that_has_been_steady_buries_others(database_url: str, tmp_path: Path) -> None:
    database, second_database = Database(database_url), Database(database_url)
    migrations.upgrade(database)

    with identity.claim(tmp_path, "a") as a, identity.claim(tmp_path, "b") as b:
        first, second = Liveness(database, a, 1, timeout_s=1), Liveness(second_database, b, 1, timeout_s=1)
        first.join()
        second.join()
        time.sleep(1.2)  # nobody beats: the database was away
        first.beat()
        first.bury_silent()
        assert workers(database) == {"a", "b"}

        def buried() -> bool:
            first.beat()
            first.bury_silent()
            return workers(database) == {"a"}

        wait_until(buried)
        second.beat()  # it was only paused
        assert workers(database) == {"a", "b"}
        second.leave()
        assert workers(database) == {"a"}
    for opened in (database, second_database):
        opened.close()


def test_a_buried_worker_holds_no_lock_any_more(postgresql_url: str, tmp_path: Path) -> None:
    """Paused in two transactions, one of which waits for the other: both are ended at its burial, not one by one."""
    paused, steady = Database(postgresql_url, wait_s=WAIT_S), Database(postgresql_url)
    migrations.upgrade(steady)
    entry = Event("system", Action.SERVICE_START, "service:test")

    def in_the_middle() -> None:
        with paused.write() as session:
            session.execute(text("SET LOCAL idle_in_transaction_session_timeout = 0"))
            audit.append(session, entry)
            assert ended.wait(WAIT_S)

    ended = threading.Event()
    with (
        identity.claim(tmp_path, "a") as a,
        identity.claim(tmp_path, "b") as b,
        ThreadPoolExecutor(2) as pool,
    ):
        silent, alive = Liveness(paused, a, 1, timeout_s=1), Liveness(steady, b, 1, timeout_s=1)
        silent.join()
        alive.join()
        held = [pool.submit(in_the_middle) for _ in range(2)]
        wait_until(lambda: sessions(steady, paused.token) == {("active", "Lock"), ("idle in transaction", "Client")})

        def buried() -> bool:
            alive.beat()
            alive.bury_silent()
            return workers(steady) == {"b"}

        wait_until(buried)
        with steady.write() as session:
            audit.append(session, entry)
        ended.set()
        for one in held:
            with pytest.raises(DatabaseUnavailableError):
                one.result(WAIT_S)
    with steady.read() as session:
        assert audit.verify(session) == Verification(2)  # the burial, and the entry after it
    for database in (paused, steady):
        database.close()


def sessions(database: Database, token: str) -> set[tuple[str, str]]:
    """What the sessions of a process do that are in a transaction."""
    query = "SELECT state, wait_event_type FROM pg_stat_activity WHERE application_name = :name AND state <> 'idle'"
    with database.read() as session:
        return {(row[0], row[1]) for row in session.execute(text(query), {"name": session_name(token)})}


def workers(database: Database) -> set[str]:
    """Who counts as alive."""
    with database.read() as session:
        return set(session.scalars(select(Worker.executor_id)))


@pytest.mark.alone
@pytest.mark.timeout(900)
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
                wait_until(lambda: len(load.accepted) >= 15)
                dead.kill()
                os.kill(paused.pid, signal.SIGSTOP)
                wait_for_alive(database, {"c"})
            wait_until_done(database, WAIT_S)
            os.kill(paused.pid, signal.SIGCONT)
            wait_for_alive(database, {"b", "c"})
            time.sleep(0.5)  # what it had half done
            verdict = examine(database, load.accepted)
    assert verdict.clean, verdict
    assert verdict.takeovers >= 2  # on a busy machine a worker may be slow to beat, too
    database.close()


def wait_for_alive(database: Database, names: set[str]) -> None:
    """Until exactly these count as alive."""
    wait_until(lambda: workers(database) == names, what=lambda: describe_open(database))


@pytest.mark.alone
@pytest.mark.timeout(900)
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
