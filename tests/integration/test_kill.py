"""The server dies, or its disk is full: what was answered is stored and audited once, nothing is stored by halves."""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import signal
import sqlite3
import subprocess
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from service_process import ServerProcess

from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.db.session import Database

REQUESTS = 200
CONCURRENCY = 16


async def _send_all(server: ServerProcess, image: bytes, kill_after: int) -> list[str]:
    """Send the requests and kill the server once ``kill_after`` of them are answered; the identifiers answered."""
    answered: list[str] = []
    waiting = iter(range(REQUESTS))

    async def work(client: httpx.AsyncClient) -> None:
        for _ in waiting:
            try:
                response = await client.post(
                    "/api/v1/inference", files={"image": ("a.jpg", image)}, data={"objective": "40"}
                )
            except httpx.TransportError:
                return
            assert response.status_code == 200, response.text
            answered.append(response.json()["analysis_id"])
            if len(answered) == kill_after:
                server.process.send_signal(signal.SIGKILL)

    async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:
        await asyncio.gather(*(work(client) for _ in range(CONCURRENCY)))
    return answered


@pytest.mark.timeout(900)
@pytest.mark.parametrize("seed", [1, 2])
def test_kill_9_under_load_loses_and_repeats_nothing(
    tiny_bundle: Path, tmp_path: Path, field_jpeg: bytes, seed: int
) -> None:
    database = tmp_path / "killed.db"
    kill_after = random.Random(seed).randint(5, REQUESTS - CONCURRENCY - 5)
    with ServerProcess(tiny_bundle, database) as server:
        answered = asyncio.run(_send_all(server, field_jpeg, kill_after))
        assert server.stop(signal.SIGKILL) == -signal.SIGKILL
    assert kill_after <= len(answered) < REQUESTS, "the server died in the middle"
    assert len(set(answered)) == len(answered)

    with ServerProcess(tiny_bundle, database) as server:
        for analysis_id in random.Random(seed).sample(answered, min(10, len(answered))):
            response = httpx.get(f"{server.url}api/v1/analyses/{analysis_id}", timeout=300)
            assert response.status_code == 200
            assert response.json()["analysis_id"] == analysis_id
        assert server.stop(signal.SIGTERM) == 0
    _assert_whole(database, set(answered))


def _assert_whole(database: Path, answered: set[str]) -> None:
    """Every analysis has its findings and one audit entry; each of ``answered`` is among them; the log is whole."""
    connection = sqlite3.connect(database)
    assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    stored = dict(connection.execute("SELECT id, number FROM analyses").fetchall())
    subjects = [
        subject.removeprefix("analysis:")
        for (subject,) in connection.execute("SELECT subject FROM audit_entries WHERE action = 'analysis:create'")
    ]
    assert answered <= set(stored)
    assert sorted(subjects) == sorted(stored), "one entry for each analysis, one analysis for each entry"
    wrong = connection.execute(
        "SELECT id FROM analyses WHERE cells != (SELECT count(*) FROM findings WHERE analysis_number = number)"
    ).fetchall()
    assert wrong == []
    connection.close()
    opened = Database(f"sqlite:///{database}")
    with opened.read() as session:
        assert audit.verify(session).whole
    opened.close()


def test_sigterm_finishes_what_runs(tiny_bundle: Path, tmp_path: Path, field_jpeg: bytes) -> None:
    async def scenario(server: ServerProcess) -> list[httpx.Response]:
        async with httpx.AsyncClient(base_url=server.url, timeout=300) as client:
            sending = [
                asyncio.create_task(
                    client.post("/api/v1/inference", files={"image": ("a.jpg", field_jpeg)}, data={"objective": "40"})
                )
                for _ in range(6)
            ]
            while float(_metric((await client.get("/metrics")).text, "tamsoat_requests_admitted")) == 0:
                await asyncio.sleep(0.005)
                if all(task.done() for task in sending):
                    break
            server.process.send_signal(signal.SIGTERM)
            return [outcome for outcome in await asyncio.gather(*sending, return_exceptions=True)
                    if isinstance(outcome, httpx.Response)]  # fmt: skip

    with ServerProcess(tiny_bundle, tmp_path / "s.db") as server:
        responses = asyncio.run(scenario(server))
        assert server.stop() == 0
    assert {response.status_code for response in responses} <= {200}
    _assert_whole(tmp_path / "s.db", {response.json()["analysis_id"] for response in responses})


def _metric(text: str, name: str) -> str:
    return next(line.split()[1] for line in text.splitlines() if line.startswith(f"{name} "))


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 2 MiB; skips where none can be mounted (the limit on file sizes is tested everywhere)."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=2m", "tmpfs", str(folder)], capture_output=True, check=False
    )
    if mounted.returncode:
        pytest.skip("mounting a small tmpfs needs root")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def _fill(server: ServerProcess, image: bytes) -> tuple[set[str], httpx.Response]:
    """Send images until one is not answered 200; the identifiers before, and that answer."""
    answered: set[str] = set()
    with httpx.Client(base_url=server.url, timeout=300) as client:
        for _ in range(3000):
            response = client.post("/api/v1/inference", files={"image": ("a.jpg", image)}, data={"objective": "40"})
            if response.status_code != 200:
                return answered, response
            answered.add(response.json()["analysis_id"])
    raise AssertionError("the disk never filled up")


def _assert_full(response: httpx.Response) -> None:
    assert response.status_code == 507, response.text
    assert response.headers["content-type"] == "application/problem+json"
    assert response.json()["type"] == "urn:tamsoat:problem:storage-full"


@pytest.mark.timeout(900)
def test_full_disk_is_a_507_and_stores_nothing_by_halves(
    tiny_bundle: Path, small_disk: Path, tmp_path: Path, field_jpeg: bytes
) -> None:
    database = small_disk / "full.db"
    with ServerProcess(tiny_bundle, database) as server:
        answered, response = _fill(server, field_jpeg)
        _assert_full(response)
        assert httpx.get(server.url + "healthz").status_code == 200
        for analysis_id in answered:
            assert httpx.get(f"{server.url}api/v1/analyses/{analysis_id}").status_code == 200
        server.stop(signal.SIGKILL)
    rescued = tmp_path / "rescued"
    shutil.copytree(small_disk, rescued)
    _assert_whole(rescued / "full.db", answered)


@pytest.mark.timeout(900)
def test_limit_on_file_size_is_a_507_and_recovers(tiny_bundle: Path, tmp_path: Path, field_jpeg: bytes) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (2_000_000, resource.RLIM_INFINITY))\n"
    database = tmp_path / "limited.db"
    with ServerProcess(tiny_bundle, database, prelude=limit) as server:
        answered, response = _fill(server, field_jpeg)
        _assert_full(response)
        server.stop(signal.SIGKILL)
    _assert_whole(database, answered)
    with ServerProcess(tiny_bundle, database) as server:
        response = httpx.post(
            server.url + "api/v1/inference",
            files={"image": ("a.jpg", field_jpeg)},
            data={"objective": "40"},
            timeout=300,
        )
        assert response.status_code == 200
        answered.add(response.json()["analysis_id"])
        server.stop()
    _assert_whole(database, answered)


def test_upload_that_fills_the_temporary_folder_is_a_507(tiny_bundle: Path, tmp_path: Path) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1_500_000, resource.RLIM_INFINITY))\n"
    with ServerProcess(tiny_bundle, tmp_path / "s.db", prelude=limit) as server:
        response = httpx.post(
            server.url + "api/v1/inference",
            files={"image": ("a.jpg", bytes(4_000_000))},
            data={"objective": "40"},
            timeout=300,
        )
        _assert_full(response)
        assert httpx.get(server.url + "api/v1/analyses").json()["items"] == []


@pytest.mark.parametrize("name", ["model.onnx", "card.md", "evaluation.json", "SHA256SUMS"])
def test_altered_bundle_is_refused_at_start(tiny_bundle: Path, tmp_path: Path, name: str) -> None:
    bundle = tmp_path / "bundle"
    shutil.copytree(tiny_bundle, bundle)
    content = bytearray((bundle / name).read_bytes())
    content[len(content) // 2] ^= 1
    (bundle / name).write_bytes(content)
    with pytest.raises(RuntimeError, match=r"exit 4") as raised:
        ServerProcess(bundle, tmp_path / "s.db")
    assert "error: " in str(raised.value)
    assert "Traceback" not in str(raised.value)
    assert not (tmp_path / "s.db").exists()


def test_taken_port_is_said_so(tiny_bundle: Path, tmp_path: Path) -> None:
    with ServerProcess(tiny_bundle, tmp_path / "one.db") as server:
        with pytest.raises(RuntimeError, match="is taken by another program") as raised:
            ServerProcess(tiny_bundle, tmp_path / "two.db", port=httpx.URL(server.url).port or 0)
        assert "Traceback" not in str(raised.value)


def test_log_lines_are_json_with_the_request_id(tiny_bundle: Path, tmp_path: Path) -> None:
    with ServerProcess(tiny_bundle, tmp_path / "s.db", log_level="info") as server:
        httpx.get(server.url + "api/v1/analyses", headers={"X-Request-ID": "trace-me-please"})
        server.stop()
        lines = [json.loads(line) for line in server.output.splitlines() if line.startswith("{")]
    (request,) = [line for line in lines if line["event"] == "request"]
    assert request["request_id"] == "trace-me-please"
    assert (request["route"], request["status"], request["level"]) == ("/api/v1/analyses", 200, "info")
    assert [line["event"] for line in lines][-1] == "service_stopped"
