"""Screening jobs in one process: from a sent slide to its result, and everything that may come between."""

from __future__ import annotations

import itertools
import json
import threading
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from bad_inputs import png_bomb, truncated_jpeg
from sqlalchemy import delete, select
from starlette.testclient import TestClient
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import repository as audit_repository
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.screening import outcome, workflow
from tamsoat.inference_service.screening.answers import JobState
from tamsoat.inference_service.screening.outcome import Outcome
from tamsoat.inference_service.screening.tables import Analysis, Finding, Screening
from tamsoat.inference_service.screening.watch import Watch
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.slides.errors import DecodeCrashedError
from tamsoat.inference_service.storage.store import StorageUnavailableError

ANALYSES, SLIDES = "/api/v1/analyses", "/api/v1/slides"
_numbers = itertools.count()


def different(jpeg: bytes) -> bytes:
    """The same picture under another digest: bytes after the end of a JPEG are not looked at."""
    return jpeg + b"%d" % next(_numbers)


def send(client: TestClient, image: bytes, **fields: str) -> str:
    """Send a slide; the identifier of its analysis."""
    response = client.post(SLIDES, files={"image": ("a.jpg", image)}, data={"objective": "40"} | fields)
    assert response.status_code == 202, response.text
    analysis_id: str = response.json()["analysis_id"]
    assert response.headers["location"] == f"{ANALYSES}/{analysis_id}"
    return analysis_id


def state_of(client: TestClient, analysis_id: str) -> dict[str, Any]:
    response = client.get(f"{ANALYSES}/{analysis_id}")
    assert response.status_code == 200, response.text
    answer: dict[str, Any] = response.json()
    return answer


def wait_for(client: TestClient, analysis_id: str, *states: str) -> dict[str, Any]:
    """The analysis once it is in one of ``states``."""
    answers: list[dict[str, Any]] = []

    def there() -> bool:
        answers[:] = [state_of(client, analysis_id)]
        return answers[0]["state"] in states

    wait_until(there, what=lambda: answers)
    return answers[0]


def wait_for_workflows(analysis_ids: Iterable[str], status: str) -> None:
    """Until DBOS has the first attempt of each in ``status``."""
    from dbos import DBOS

    names = [f"screening:{analysis_id}:1" for analysis_id in analysis_ids]

    def found() -> list[str]:
        rows = DBOS.list_workflows(workflow_ids=names, load_input=False, load_output=False) if names else []
        return [row.status for row in rows]

    wait_until(lambda: found() == [status] * len(names), what=found)


def runtime_of(client: TestClient) -> Runtime:
    runtime: Runtime = client.app.state.runtime  # type: ignore[attr-defined]
    return runtime


def actions_on(runtime: Runtime, analysis_id: str) -> list[str]:
    with runtime.database.read() as session:
        return [row.action for row in audit_repository.find_by_subject(session, f"analysis:{analysis_id}")]


@contextmanager
def held(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[threading.Event, threading.Event]]:
    """Jobs stop inside the engine, between two tiles: (one is there, let them go on)."""
    real = workflow.service.analyse
    there, go = threading.Event(), threading.Event()

    def slow(*arguments: Any) -> Any:
        progress: Callable[..., None] = arguments[-1]
        there.set()
        while not go.is_set():
            progress(1, 4, now=True)
            time.sleep(0.02)
        return real(*arguments)

    monkeypatch.setattr(workflow.service, "analyse", slow)
    try:
        yield there, go
    finally:
        go.set()


@contextmanager
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Jobs stop inside the engine; each release lets one of them end."""
    real, finish = workflow.service.analyse, threading.Semaphore(0)

    def slow(*arguments: Any) -> Any:
        progress: Callable[..., None] = arguments[-1]
        while not finish.acquire(timeout=0.02):
            progress(1, 4)
        return real(*arguments)

    monkeypatch.setattr(workflow.service, "analyse", slow)
    try:
        yield finish
    finally:
        finish.release(1_000)


def test_a_slide_becomes_a_result_with_one_audit_entry(working_client: TestClient, field_jpeg: bytes) -> None:
    direct = working_client.post(
        "/api/v1/inference", files={"image": ("a.jpg", field_jpeg)}, data={"objective": "40"}
    ).json()
    analysis_id = send(working_client, field_jpeg, priority="urgent")
    answer = wait_for(working_client, analysis_id, "completed")
    for member in ("image", "width_px", "height_px", "mpp", "model", "quality", "field", "cells"):
        assert answer[member] == direct[member], member
    assert answer["priority"] == "urgent"
    assert answer["attempts"] == 1
    assert answer["progress"]["done"] == answer["progress"]["total"] > 0
    assert "problem" not in answer
    runtime = runtime_of(working_client)
    assert actions_on(runtime, analysis_id) == ["screening:request", "analysis:create"]
    with runtime.database.read() as session:
        assert audit.verify(session).whole
    metrics = working_client.get("/metrics").text
    assert 'tamsoat_jobs_finished_total{state="completed"} 1.0' in metrics
    assert 'tamsoat_jobs_open{state="queued"} 0.0' in metrics
    assert f'tamsoat_worker_seen_seconds{{executor="{runtime.jobs.executor_id}"}}' in metrics


def test_an_image_larger_than_a_field_waits_for_its_pyramid(client: TestClient) -> None:
    response = client.post(SLIDES, files={"image": ("a.png", png_bomb(12_000))}, data={"objective": "40"})
    slide = response.json()
    assert (response.status_code, slide["condition"], slide["analysis_id"]) == (202, "building", None)
    assert response.headers["location"] == f"{SLIDES}/{slide['slide_id']}"


def test_poison_ends_in_a_clear_failed_state(working_client: TestClient) -> None:
    analysis_id = send(working_client, truncated_jpeg())
    answer = wait_for(working_client, analysis_id, "failed")
    assert answer["problem"]["type"] == "urn:tamsoat:problem:image-damaged"
    assert answer["problem"]["detail"]
    assert "cells" not in answer
    assert actions_on(runtime_of(working_client), analysis_id) == ["screening:request", "screening:fail"]


def test_a_decoder_that_dies_is_tried_three_times(
    working_client: TestClient, field_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    tries: list[object] = []

    def die(*arguments: object) -> None:
        tries.append(arguments)
        raise DecodeCrashedError("image: decoding it ended abnormally")

    monkeypatch.setattr(runtime_of(working_client).decoder, "decode", die)
    monkeypatch.setattr(workflow, "FIRST_PAUSE_S", 0.01)
    answer = wait_for(working_client, send(working_client, field_jpeg), "failed")
    assert answer["problem"]["type"].endswith(DecodeCrashedError.slug)
    assert len(tries) == 3


def test_trouble_that_passes_is_waited_for(
    working_client: TestClient, field_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = runtime_of(working_client)
    real, failures = runtime.store.local_path, itertools.count()

    def sometimes(sha256: str) -> Any:
        number = next(failures)
        if number < 5:
            raise (OSError(28, "No space left on device"), StorageUnavailableError("away"))[number % 2]
        return real(sha256)

    monkeypatch.setattr(runtime.store, "local_path", sometimes)
    monkeypatch.setattr(workflow, "FIRST_PAUSE_S", 0.01)
    assert wait_for(working_client, send(working_client, field_jpeg), "completed")["attempts"] == 1
    assert next(failures) == 6


def test_cancel_and_retry(working_client: TestClient, field_jpeg: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    with held(monkeypatch) as (there, go):
        first, second, waiting = (send(working_client, different(field_jpeg)) for _ in range(3))
        assert there.wait(WAIT_S)
        wait_for(working_client, second, "running")
        # Two run at once, so the third has to wait and is cancelled where it stands.
        answer = working_client.post(f"{ANALYSES}/{waiting}/cancel")
        assert (answer.status_code, answer.json()["state"]) == (200, "cancelled")
        assert working_client.post(f"{ANALYSES}/{first}/cancel").json()["state"] == "running"
        wait_for(working_client, first, "cancelled")
        assert working_client.post(f"{ANALYSES}/{second}/retry").status_code == 409
        go.set()
        wait_for(working_client, second, "completed")
    refused = working_client.post(f"{ANALYSES}/{second}/cancel")
    assert (refused.status_code, refused.json()["type"]) == (409, "urn:tamsoat:problem:analysis-finished")
    for cancelled in (first, waiting):
        assert working_client.post(f"{ANALYSES}/{cancelled}/retry").json()["state"] == "queued"
        assert wait_for(working_client, cancelled, "completed")["attempts"] == 2
        assert actions_on(runtime_of(working_client), cancelled) == [
            "screening:request", "screening:cancel", "screening:retry", "analysis:create",
        ]  # fmt: skip


def test_stat_comes_before_urgent_before_routine(
    service_settings: Settings, field_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = service_settings.model_copy(update={"run_worker": True, "worker_concurrency": 1})
    with one_by_one(monkeypatch) as finish, TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
        busy = [send(client, different(field_jpeg)) for _ in range(2)]  # one runs, one is at hand
        wait_for_workflows(busy, "PENDING")
        sent = {p: send(client, different(field_jpeg), priority=p) for p in ("routine", "urgent", "stat")}
        waiting = dict(sent)
        wait_for_workflows(waiting.values(), "ENQUEUED")
        for priority in ("stat", "urgent", "routine"):
            finish.release()  # each end makes room for exactly one of those that wait
            wait_for_workflows([waiting.pop(priority)], "PENDING")
            wait_for_workflows(waiting.values(), "ENQUEUED")
        finish.release(2)
        for analysis_id in (*busy, *sent.values()):
            wait_for(client, analysis_id, "completed")
        with runtime_of(client).database.read() as session:
            began = {row.id: row.started_at for row in session.execute(select(Screening.id, Screening.started_at))}
    order = sorted(sent, key=lambda priority: str(began[sent[priority]]))
    assert order == ["stat", "urgent", "routine"]


def test_a_second_execution_changes_nothing(working_client: TestClient, field_jpeg: bytes) -> None:
    analysis_id = send(working_client, field_jpeg)
    before = wait_for(working_client, analysis_id, "completed")
    runtime = runtime_of(working_client)
    with runtime.database.read() as session:
        analysis = session.scalars(select(Analysis)).one()
        screened = workflow.service.Screened(workflow.service.rebuild(analysis, []), "0" * 64, 1, "CPU", 9)
    assert outcome.record(runtime.database, analysis_id, 1, Outcome.completed(screened)) is None
    assert outcome.record(runtime.database, analysis_id, 2, Outcome.completed(screened)) is None
    wait_for_workflows([analysis_id], "SUCCESS")
    assert state_of(working_client, analysis_id) == before


def test_a_job_whose_workflow_ended_without_it_is_begun_anew(working_client: TestClient, field_jpeg: bytes) -> None:
    analysis_id = send(working_client, field_jpeg)
    wait_for(working_client, analysis_id, "completed")
    runtime = runtime_of(working_client)
    with runtime.database.write() as session:  # as after a restore of an older database
        row = session.scalars(select(Screening)).one()
        row.state, row.attempts = "queued", 1
        analysis = session.scalars(select(Analysis)).one()
        session.execute(delete(Finding))
        session.delete(analysis)
    runtime.jobs._worker._handed_over.clear()  # type: ignore[union-attr]
    runtime.jobs.wake("screening", analysis_id)
    wait_for(working_client, analysis_id, "completed")


def test_events_end_with_the_final_state(
    working_client: TestClient, field_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    with held(monkeypatch) as (there, go):
        analysis_id = send(working_client, field_jpeg)
        assert there.wait(WAIT_S)
        real_read = Watch._read

        def read(watch: Watch, ids: list[str]) -> dict[str, tuple[int, JobState]]:
            """The job goes on once the stream has seen how far it is."""
            found = real_read(watch, ids)
            if any(state.state == "running" and state.progress.total == 4 for _, state in found.values()):
                go.set()
            return found

        monkeypatch.setattr(Watch, "_read", read)
        with working_client.stream("GET", f"{ANALYSES}/{analysis_id}/events") as response:
            assert response.headers["content-type"].startswith("text/event-stream")
            lines = [line for line in response.iter_lines() if line]
    events = [json.loads(line.removeprefix("data: ")) for line in lines if line.startswith("data: ")]
    assert [event["state"] for event in events][-1] == "completed"
    running = [event for event in events if event["state"] == "running" and event["progress"]["total"] == 4]
    assert running, events
    assert running[0]["progress"]["done"] == 1
    assert running[0]["progress"]["seconds_left"] is not None
    last = [line.removeprefix("id: ") for line in lines if line.startswith("id: ")][-1]
    with working_client.stream(
        "GET", f"{ANALYSES}/{analysis_id}/events", headers={"Last-Event-ID": str(int(last) - 1)}
    ) as response:
        again = [line for line in response.iter_lines() if line.startswith("id: ")]
    assert again == [f"id: {last}"]


def test_list_is_narrowed_by_every_filter(working_client: TestClient, field_jpeg: bytes) -> None:
    good = send(working_client, field_jpeg, priority="stat")
    bad = send(working_client, truncated_jpeg())
    done = wait_for(working_client, good, "completed")
    wait_for(working_client, bad, "failed")

    def listed(**query: str) -> list[str]:
        response = working_client.get(ANALYSES, params=query)
        assert response.status_code == 200, response.text
        return [item["analysis_id"] for item in response.json()["items"]]

    assert listed() == [bad, good]
    assert listed(state="failed") == [bad]
    assert listed(state="completed", priority="stat", triage=done["field"]["triage"]) == [good]
    assert listed(triage="review" if done["field"]["triage"] != "review" else "urgent") == []
    assert listed(slide_id=done["slide_id"]) == [good]
    assert listed(order_id="none") == []
    assert listed(created_from=done["created_at"]) == [bad, good]
    assert listed(created_before=done["created_at"]) == []
    assert listed(limit="1", before=bad) == [good]
    assert working_client.get(ANALYSES, params={"created_from": "2026-01-01T00:00:00"}).status_code == 422
    failed = working_client.get(ANALYSES, params={"state": "failed"}).json()["items"][0]
    assert failed["problem"]["type"].endswith("image-damaged")
    assert failed["category"] is None


def test_a_stop_hands_running_jobs_back(
    service_settings: Settings, field_jpeg: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = service_settings.model_copy(update={"run_worker": True, "shutdown_grace_s": 0})
    with held(monkeypatch) as (there, go):
        with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
            ids = [send(client, different(field_jpeg)) for _ in range(3)]
            assert there.wait(WAIT_S)
        # The stop has not waited for the jobs, which go on only now.
        go.set()
        with TestClient(create_app(settings), base_url="http://127.0.0.1") as client:
            for analysis_id in ids:
                wait_for(client, analysis_id, "completed")
            with runtime_of(client).database.read() as session:
                assert set(session.scalars(select(Screening.crashes))) == {0}
                assert audit.verify(session).whole
