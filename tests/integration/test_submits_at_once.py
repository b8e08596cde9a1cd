"""Fifty identical submits at once, over two server processes on PostgreSQL: one record, one answer for everybody."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import httpx
import pytest
from machine_clients import make_client
from postgresql_cluster import Cluster
from service_process import ServerProcess
from sqlalchemy import func, select, text

from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.screening.tables import Analysis

REPOSITORY = Path(__file__).resolve().parents[2]
CALLERS = 50
PATIENCE_S = 300.0


@dataclass
class Running:
    """Two servers on one PostgreSQL, and what a command beside them needs."""

    servers: list[ServerProcess]
    database_url: str
    data_dir: Path


@pytest.fixture(scope="module")
def running(
    tiny_bundle: Path, tmp_path_factory: pytest.TempPathFactory, postgresql_cluster: Cluster
) -> Iterator[Running]:
    folder, url = tmp_path_factory.mktemp("two"), postgresql_cluster.new_database()
    settings = {"database_url": url, "data_dir": folder, "threads": 1, "queued_requests": 20, "run_worker": False}
    start = partial(ServerProcess, tiny_bundle, folder / "unused.db", start_s=240.0, **settings)
    with ThreadPoolExecutor(2) as pool, ExitStack() as stack:
        starting = [pool.submit(start) for _ in range(2)]
        yield Running([stack.enter_context(server.result()) for server in starting], url, folder)


def test_fifty_identical_submits_make_one_record(running: Running, field_jpeg: bytes) -> None:
    servers, database = running.servers, Database(running.database_url)
    with httpx.Client(base_url=servers[0].url) as http:
        bearer = make_client(database, "local").headers(http)
    barrier = threading.Barrier(CALLERS)
    refused: list[int] = []

    def submit(number: int) -> httpx.Response:
        """As a real client does: the same request again after 409 and 503, when the server says so."""
        deadline_s = time.monotonic() + PATIENCE_S
        with httpx.Client(base_url=servers[number % 2].url, timeout=PATIENCE_S) as http:
            barrier.wait()
            while True:
                answer = http.post(
                    "api/v1/inference",
                    files={"image": ("a.jpg", field_jpeg)},
                    data={"objective": "40"},
                    headers={**bearer, "Idempotency-Key": "order-4711"},
                )
                if answer.status_code not in (409, 503) or time.monotonic() > deadline_s:
                    return answer
                refused.append(answer.status_code)
                time.sleep(float(answer.headers["retry-after"]) / 2)

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(submit, range(CALLERS)))
    assert {answer.status_code for answer in answers} == {200}, refused
    assert len({answer.content for answer in answers}) == 1
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    with database.read() as session:
        assert session.execute(select(func.count()).select_from(Analysis)).scalar_one() == 1
        created = select(func.count()).select_from(AuditEntry).where(AuditEntry.action == "analysis:create")
        assert session.execute(created).scalar_one() == 1
        assert session.execute(text("SELECT count(*) FROM idempotent_requests")).scalar_one() == 1
    database.close()


def test_the_walk_through_of_the_documentation(running: Running, field_jpeg: bytes, tmp_path: Path) -> None:
    """The curl lines of docs/clients.md, word by word, against a running server."""
    page = (REPOSITORY / "docs" / "clients.md").read_text(encoding="utf-8")
    (script,) = re.findall(r"```bash\n(.*?)```", page, re.DOTALL)
    (tmp_path / "field.jpg").write_bytes(field_jpeg)
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TAMSOAT_")} | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "TAMSOAT": running.servers[0].url.rstrip("/"),
        "TAMSOAT_DATABASE_URL": running.database_url,
        "TAMSOAT_DATA_DIR": str(running.data_dir),
    }
    facility = "tamsoat admin facility create 79001 'Test' > facility.txt\n"
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", facility + script],
        cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=500,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    analysis, _, page_of_analyses = done.stdout.partition("}{")
    assert '"analysis_id"' in analysis, done.stdout
    assert page_of_analyses.count('"analysis_id"') == 1, done.stdout
