"""The drill of the operations guide on a running service: back up under load, destroy, restore, go on."""

from __future__ import annotations

import itertools
import shutil
import signal
import threading
import time
from pathlib import Path

import httpx
import pytest
from bad_inputs import good_jpeg
from postgresql_cluster import Cluster
from service_process import ServerProcess
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.operations.backup import check, create
from tamsoat.inference_service.operations.backup.plan import Plan
from tamsoat.inference_service.operations.backup.restore import restore
from tamsoat.inference_service.settings import Settings

PASSPHRASE = "một câu rất dài, dễ nhớ"
SENT_BEFORE = 12
FINAL = ("completed", "failed", "cancelled")


def _quiet(_part: str, _done_bytes: int, _total_bytes: int) -> None:
    return None


class _Sender:
    """Sends slides, each with bytes of its own, and notes which were accepted."""

    def __init__(self, url: str) -> None:
        self.accepted: list[str] = []
        self._url, self._stop, self._numbers = url, threading.Event(), itertools.count()
        self._threads = [threading.Thread(target=self._work) for _ in range(2)]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join(WAIT_S)

    def _work(self) -> None:
        image = good_jpeg()
        while not self._stop.is_set():
            content = image + f"slide {next(self._numbers)}".encode()  # behind the end of the image
            try:
                answer = httpx.post(
                    f"{self._url}api/v1/slides",
                    files={"image": ("a.jpg", content)},
                    data={"mpp": "0.25"},
                    timeout=WAIT_S,
                )
            except httpx.TransportError:
                return
            if answer.status_code == 202:
                self.accepted.append(answer.json()["analysis_id"])


@pytest.mark.timeout(900)
@pytest.mark.parametrize("kind", [pytest.param("sqlite", marks=pytest.mark.long), "postgresql"])
def test_what_was_accepted_before_the_backup_is_there_and_gets_done(
    kind: str, tiny_bundle: Path, tmp_path: Path, request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tamsoat.inference_service.operations.backup.sealed.SCRYPT_N", 2**10)

    def url(folder: Path) -> str:
        if kind == "sqlite":
            return f"sqlite:///{folder}/tamsoat.db"
        cluster: Cluster = request.getfixturevalue("postgresql_cluster")
        return cluster.new_database()

    def start(settings: Settings) -> ServerProcess:
        return ServerProcess(
            tiny_bundle,
            tmp_path / "unused.db",
            database_url=settings.database_url,
            data_dir=settings.data_folder,
            threads=1,
            worker_concurrency=1,
        )

    live = Settings(database_url=url(tmp_path / "live"), data_dir=tmp_path / "live")
    with start(live) as server:
        sender = _Sender(server.url)
        sender.start()
        wait_until(lambda: len(sender.accepted) >= SENT_BEFORE, what=lambda: server.output)
        before = list(sender.accepted)
        made = create.create(live, Plan(tmp_path / "backups", PASSPHRASE), _quiet)
        server.stop(signal.SIGKILL)
        sender.stop()
    shutil.rmtree(tmp_path / "live")
    check.verify(made.path, _quiet)

    again = Settings(database_url=url(tmp_path / "again"), data_dir=tmp_path / "again")
    restore(again, made.path, _quiet, passphrase=PASSPHRASE)
    with start(again) as server:
        deadline_s = time.monotonic() + 300
        for analysis_id in before:
            while (answer := httpx.get(f"{server.url}api/v1/analyses/{analysis_id}", timeout=WAIT_S)).json()[
                "state"
            ] not in FINAL:
                assert time.monotonic() < deadline_s, server.output
                time.sleep(0.1)
            assert answer.json()["state"] == "completed", answer.text
        assert server.stop(signal.SIGTERM) == 0
    database = Database(again.database_url)
    with database.read() as session:
        assert audit.verify(session).whole
    database.close()
