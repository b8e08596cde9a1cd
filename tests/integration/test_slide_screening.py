"""A whole slide in a service: progress, partial results, stops, what is stored and what the audit log vouches for."""

from __future__ import annotations

import json
import struct
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from slide_service import URL, runtime_of, settings_for
from spot_slides import spotted, write_slide
from sqlalchemy import func, select, update
from starlette.testclient import TestClient
from waiting import wait_until

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import deep
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening import slide_job, slide_store
from tamsoat.inference_service.screening.slide_result import CELL, SlideResult
from tamsoat.inference_service.screening.tables import Analysis, Finding, Screening, ScreeningPart
from tamsoat.inference_service.settings import Settings

ANALYSES = "/api/v1/analyses"
SIDE_PX = 1300
"""36 tiles of the tiny network, in 4 squares of 16, 8, 8 and 4."""
WAIT_S = 120


@pytest.fixture(scope="module")
def slide_file(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    image = spotted(SIDE_PX, SIDE_PX, np.random.default_rng(7).uniform(10, SIDE_PX - 10, (700, 2)))
    return write_slide(tmp_path_factory.mktemp("slide") / "a.tif", image).read_bytes()


@pytest.fixture
def settings(tiny_bundle: Path, tmp_path: Path) -> Settings:
    settings = settings_for(tiny_bundle, tmp_path, f"sqlite:///{tmp_path}/service.db")
    return settings.model_copy(update={"run_worker": True, "shutdown_grace_s": 0})


def service_on(settings: Settings) -> TestClient:
    return TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False)


def send(client: TestClient, slide: bytes) -> str:
    response = client.post(URL, files={"image": ("a.tif", slide)}, data={"mpp": "0.25"})
    assert response.status_code == 202, response.text
    analysis_id: str = response.json()["analysis_id"]
    return analysis_id


def state_of(client: TestClient, analysis_id: str) -> dict[str, Any]:
    answer: dict[str, Any] = client.get(f"{ANALYSES}/{analysis_id}").json()
    return answer


def wait_for(client: TestClient, analysis_id: str, *states: str) -> dict[str, Any]:
    wait_until(lambda: state_of(client, analysis_id)["state"] in states, what=lambda: state_of(client, analysis_id))
    return state_of(client, analysis_id)


def columns_of(content: bytes) -> tuple[dict[str, Any], dict[str, NDArray[Any]]]:
    """Header and columns, read as the viewer does."""
    (length,) = struct.unpack_from("<I", content)
    head = json.loads(content[4 : 4 + length])
    at, columns = 4 + length, {}
    assert at % 8 == 0
    for column in head["columns"]:
        kind = np.dtype({"f32": "<f4", "u8": "u1", "u32": "<u4"}[column["type"]])
        columns[column["name"]] = np.frombuffer(content, kind, head["count"], at)
        at += head["count"] * kind.itemsize
    assert at == len(content)
    return head, columns


@pytest.fixture
def step_by_step(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Semaphore, list[int]]]:
    """Each square of tiles waits to be released; the list counts the tiles that the network ran."""
    release, run = threading.Semaphore(0), []
    real = slide_job.screen_tiles

    def slow(engine: Any, source: Any, plan: Any, glass: Any, done: int) -> Any:
        for item in real(engine, source, plan, glass, done):
            while not release.acquire(timeout=0.02):
                slide_job.activity.check()
            run.append(len(item.tiles))
            yield item

    monkeypatch.setattr(slide_job, "screen_tiles", slow)
    yield release, run
    release.release(10_000)


def parts_of(runtime: Runtime) -> int:
    with runtime.database.read() as session:
        return session.scalar(select(func.count()).select_from(ScreeningPart)) or 0


def verified(runtime: Runtime) -> deep.Comparison:
    with runtime.database.read() as session:
        assert audit.verify(session).whole
    with runtime.database.read() as session:
        return deep.compare(session)


def test_partial_results_then_the_whole(
    settings: Settings, slide_file: bytes, step_by_step: tuple[threading.Semaphore, list[int]]
) -> None:
    release, run = step_by_step
    with service_on(settings) as client:
        analysis_id = send(client, slide_file)
        url = f"{ANALYSES}/{analysis_id}"
        wait_until(lambda: parts_of(runtime_of(client)) == 1)
        assert columns_of(client.get(f"{url}/findings").content)[0]["count"] == 0
        release.release()
        wait_until(lambda: parts_of(runtime_of(client)) == 2)
        first = client.get(f"{url}/findings")
        head, columns = columns_of(first.content)
        assert (head["complete"], head["parts"]) == (False, 1)
        assert head["count"] > 0
        assert columns["x_px"].max() < 0.8 * SIDE_PX
        again = client.get(f"{url}/findings", headers={"If-None-Match": first.headers["etag"]})
        assert again.status_code == 304
        partial = client.get(f"{url}/map").json()
        assert not partial["complete"]
        assert 0 in partial["quality"]
        assert len(partial["quality"]) == partial["columns"] * partial["rows"]
        assert columns_of(client.get(f"{url}/findings?after_part=1").content)[0]["count"] == 0
        release.release(100)
        whole = wait_for(client, analysis_id, "completed")
        assert whole["kind"] == "slide"
        assert whole["field"]["validated_on"] == "fields"
        assert whole["slide"]["analysed_tiles"] == sum(run)
        head, columns = columns_of(client.get(f"{url}/findings").content)
        assert (head["complete"], head["count"]) == (True, whole["cells_total"])
        assert columns["rank"].tolist() == list(range(head["count"]))
        assert whole["cells"][0]["x_px"] == pytest.approx(float(columns["x_px"][0]), abs=1e-3)
        assert client.get(f"{url}/map").json()["complete"]
        assert parts_of(runtime_of(client)) == 0
        assert verified(runtime_of(client)).first_bad_sequence is None
        with runtime_of(client).database.write() as session:
            session.execute(update(Finding).where(Finding.rank == 3).values(score=0.123))
        assert "was changed" in verified(runtime_of(client)).reason


def test_an_orderly_stop_and_a_new_worker_repeat_nothing(
    settings: Settings, slide_file: bytes, step_by_step: tuple[threading.Semaphore, list[int]]
) -> None:
    release, run = step_by_step
    with service_on(settings) as client:
        analysis_id = send(client, slide_file)
        release.release(2)
        wait_until(lambda: parts_of(runtime_of(client)) == 3)
    before = sum(run)
    release.release(100)
    with service_on(settings) as client:
        whole = wait_for(client, analysis_id, "completed")
        assert 0 < before < whole["slide"]["analysed_tiles"] == sum(run)
        with runtime_of(client).database.read() as session:
            assert session.scalar(select(Screening.done_before)) == before
        assert verified(runtime_of(client)).first_bad_sequence is None
    with service_on(settings.model_copy(update={"run_worker": False})) as client:
        assert state_of(client, analysis_id)["cells_total"] == whole["cells_total"]


def test_a_cancelled_slide_leaves_no_parts_and_can_be_tried_again(
    settings: Settings, slide_file: bytes, step_by_step: tuple[threading.Semaphore, list[int]]
) -> None:
    release, run = step_by_step
    with service_on(settings) as client:
        analysis_id = send(client, slide_file)
        release.release()
        wait_until(lambda: parts_of(runtime_of(client)) == 2)
        assert client.post(f"{ANALYSES}/{analysis_id}/cancel").status_code == 200
        release.release()
        wait_for(client, analysis_id, "cancelled")
        assert parts_of(runtime_of(client)) == 0
        done = sum(run)
        assert client.post(f"{ANALYSES}/{analysis_id}/retry").status_code == 200
        release.release(100)
        whole = wait_for(client, analysis_id, "completed")
        assert sum(run) - done == whole["slide"]["analysed_tiles"]


def test_a_worker_that_was_replaced_writes_nothing_more(
    settings: Settings, slide_file: bytes, step_by_step: tuple[threading.Semaphore, list[int]]
) -> None:
    release, _ = step_by_step
    with service_on(settings) as client:
        runtime = runtime_of(client)
        analysis_id = send(client, slide_file)
        wait_until(lambda: parts_of(runtime) == 1)
        with runtime.database.write() as session:
            session.execute(update(Screening).values(executor="another"))
        with pytest.raises(slide_job.HandedBackError):
            slide_job._write_part(runtime, analysis_id, 1, 1, (0, 0), (b"", b""))
        assert parts_of(runtime) == 1
        with runtime.database.write() as session:
            session.execute(update(Screening).values(executor=slide_job.activity.executor_id))
        release.release(100)
        wait_for(client, analysis_id, "completed")


@pytest.mark.parametrize("count", [12_000, pytest.param(100_000, marks=pytest.mark.long)])
def test_many_findings_are_stored_read_and_vouched_for(
    database_url: str, tiny_bundle: Path, tmp_path: Path, slide_file: bytes, count: int
) -> None:
    settings = settings_for(tiny_bundle, tmp_path, database_url).model_copy(update={"run_worker": True})
    with service_on(settings) as client:
        runtime = runtime_of(client)
        analysis_id = _with_many(client, runtime, slide_file, count)
        whole = state_of(client, analysis_id)
        assert (len(whole["cells"]), whole["cells_total"]) == (1000, count)
        head, columns = columns_of(client.get(f"{ANALYSES}/{analysis_id}/findings").content)
        assert head["count"] == count
        assert columns["x_px"][-1] == pytest.approx(count - 1, rel=1e-6)
        with runtime.database.read() as session:
            assert session.scalar(select(func.count()).select_from(Finding)) == count
            analysis = session.scalar(select(Analysis))
            assert analysis is not None
            assert slide_store.stored_digest(session, analysis)
        assert verified(runtime).first_bad_sequence is None


def _with_many(client: TestClient, runtime: Runtime, slide: bytes, count: int) -> str:
    """Screen a slide whose result then has ``count`` findings."""
    real: Callable[..., SlideResult | None] = slide_job.load

    def many(*arguments: Any) -> SlideResult | None:
        result = real(*arguments)
        assert result is not None
        cells = np.zeros(count, CELL)
        cells["x_px"], cells["score"] = np.arange(count), 0.5
        cells["probabilities"][:, 0] = 1.0
        summary = result.summary.model_copy(update={"cells_total": count})
        return SlideResult(result.categories, summary, cells, result.map)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(slide_job, "load", many)
        analysis_id = send(client, slide)
        wait_for(client, analysis_id, "completed")
    return analysis_id
