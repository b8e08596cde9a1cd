"""``Idempotency-Key``: one effect however often a request is sent, on both databases."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import httpx
import pytest
from fastapi import APIRouter
from machine_clients import TestMachineClient, make_client
from pydantic import BaseModel
from small_service import small_service
from sqlalchemy import select, text
from starlette.testclient import TestClient
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.accounts.access import Principal, Role, allow
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings
from tamsoat.inference_service.transport import idempotency, idempotency_store
from tamsoat.inference_service.transport.idempotency import IdempotentRoute, idempotency_key
from tamsoat.inference_service.transport.idempotency_tables import IdempotentRequest

CALLERS = 50


class Note(BaseModel):
    text: str


class Stored(BaseModel):
    number: int
    text: str


class Notes:
    """A noun of a test: a table of its own, and an endpoint that fails on demand."""

    def __init__(self) -> None:
        self.gates: list[threading.Event] = []
        """One for each of the next requests, which do nothing until it is set."""
        self.inside = 0
        self.fail: Exception | None = None
        self.fail_after_commit = False
        self.database: Database

    def router(self) -> APIRouter:
        router = APIRouter(route_class=IdempotentRoute)

        @router.post("/notes", status_code=201, dependencies=[idempotency_key(required_for_clients=True)])
        def create(
            note: Note, request_principal: Annotated[Principal, allow(Role.INTEGRATOR, scope="system/Media.c")]
        ) -> Stored:
            self.inside += 1
            assert not self.gates or self.gates.pop(0).wait(WAIT_S)
            with self.database.write() as session:
                number = session.execute(text("SELECT count(*) FROM notes")).scalar_one() + 1
                session.execute(text("INSERT INTO notes VALUES (:text)"), {"text": note.text})
                stored = Stored(number=number, text=note.text)
                idempotency.keep(session, stored, status=201, headers={"Location": f"/notes/{number}"})
                if self.fail is not None:
                    raise self.fail
            if self.fail_after_commit:
                raise RuntimeError("died after the commit")
            return stored

        return router

    def count(self) -> int:
        with self.database.read() as session:
            return int(session.execute(text("SELECT count(*) FROM notes")).scalar_one())


@pytest.fixture
def settings(tmp_path: Path, database_url: str) -> Settings:
    return Settings(database_url=database_url, data_dir=tmp_path, log_level="error")


@pytest.fixture
def notes() -> Notes:
    return Notes()


@contextmanager
def serving(settings: Settings, notes: Notes) -> Iterator[TestClient]:
    with small_service(settings, [notes.router()]) as http:
        notes.database = http.app.state.runtime.database  # type: ignore[attr-defined]
        with notes.database.write() as session:
            session.execute(text("CREATE TABLE IF NOT EXISTS notes (text VARCHAR(100))"))
        yield http


@pytest.fixture
def http(settings: Settings, notes: Notes) -> Iterator[TestClient]:
    with serving(settings, notes) as http:
        yield http


@pytest.fixture
def his(http: TestClient) -> TestMachineClient:
    return make_client(http.app.state.runtime.database, "local")  # type: ignore[attr-defined]


@pytest.fixture
def bearer(http: TestClient, his: TestMachineClient) -> dict[str, str]:
    return his.headers(http)


def send(http: httpx.Client, bearer: dict[str, str], key: str | None, text: str = "a") -> httpx.Response:
    headers = bearer if key is None else {**bearer, "Idempotency-Key": key}
    return http.post("/notes", json={"text": text}, headers=headers)


def send_until_answered(http: httpx.Client, bearer: dict[str, str], key: str) -> httpx.Response:
    while (answer := send(http, bearer, key)).status_code in (409, 503):
        time.sleep(float(answer.headers["retry-after"]) / 4)
    return answer


def test_the_rules_of_the_draft(http: TestClient, notes: Notes, bearer: dict[str, str]) -> None:
    missing = send(http, bearer, None)
    assert (missing.status_code, missing.json()["type"]) == (400, "urn:tamsoat:problem:idempotency-key")
    for malformed in ("", '""', "k" * 300):
        assert send(http, bearer, malformed).status_code == 400
    first = send(http, bearer, "k1")
    assert first.status_code == 201
    again = send(http, bearer, '"k1"')  # the draft writes the key as a structured string
    assert (again.status_code, again.content) == (201, first.content)
    assert (again.headers["location"], again.headers["idempotency-replayed"]) == ("/notes/1", "true")
    other = send(http, bearer, "k1", "b")
    assert (other.status_code, other.json()["type"]) == (422, "urn:tamsoat:problem:idempotency-key-reused")
    assert send(http, bearer, "k2").json() == {"number": 2, "text": "a"}
    assert notes.count() == 2


def test_a_key_belongs_to_its_caller(http: TestClient, notes: Notes, bearer: dict[str, str]) -> None:
    other = make_client(http.app.state.runtime.database, "local").headers(http)  # type: ignore[attr-defined]
    assert send(http, bearer, "k").json()["number"] == 1
    assert send(http, other, "k", "b").json()["number"] == 2
    assert send(http, {}, "k").status_code == 401
    assert send(http, {"Authorization": "Bearer x"}, "k").status_code == 401


def test_a_failed_request_leaves_the_key_free(http: TestClient, notes: Notes, bearer: dict[str, str]) -> None:
    notes.fail = RuntimeError("disk gone")
    assert send(http, bearer, "k").status_code == 500
    assert http.post("/notes", json={}, headers={**bearer, "Idempotency-Key": "k"}).status_code == 422
    notes.fail = None
    assert send(http, bearer, "k").status_code == 201
    assert notes.count() == 1


def test_what_dies_after_its_commit_is_not_executed_again(
    http: TestClient, notes: Notes, bearer: dict[str, str]
) -> None:
    notes.fail_after_commit = True
    assert send(http, bearer, "k").status_code == 500
    notes.fail_after_commit = False
    again = send(http, bearer, "k")
    assert (again.status_code, again.json()) == (201, {"number": 1, "text": "a"})
    assert notes.count() == 1


def test_a_dead_first_request_blocks_the_key_until_its_lease_ends(
    http: TestClient, notes: Notes, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_store, "LEASE_S", 1.5)
    acquire, release = idempotency_store.acquire, idempotency_store.release
    monkeypatch.setattr(idempotency_store, "release", lambda *_: None)  # as after a kill
    notes.fail = RuntimeError("killed")
    assert send(http, bearer, "k").status_code == 500
    monkeypatch.setattr(idempotency_store, "release", release)
    assert acquire is idempotency_store.acquire
    notes.fail = None
    with notes.database.read() as session:
        lease_until = session.execute(select(IdempotentRequest.lease_until)).scalar_one()
    assert send(http, bearer, "k").status_code == 201
    assert datetime.now(UTC) >= lease_until
    assert notes.count() == 1


def test_a_stalled_first_request_cannot_commit_after_a_takeover(
    http: TestClient, notes: Notes, bearer: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(idempotency_store, "LEASE_S", 0.6)
    monkeypatch.setattr(idempotency_store, "renew", lambda *_: True)  # as if the process had been stopped
    gates = threading.Event(), threading.Event()
    notes.gates = list(gates)
    with ThreadPoolExecutor(2) as pool:
        first = pool.submit(send, http, bearer, "k")
        wait_until(lambda: notes.inside == 1)
        second = pool.submit(send, http, bearer, "k")
        wait_until(lambda: notes.inside == 2)  # the lease of the first has ended
        gates[0].set()
        assert first.result(WAIT_S).status_code == 409
        gates[1].set()
        assert second.result(WAIT_S).status_code == 201
    assert notes.count() == 1


def test_a_long_first_request_answers_409_with_retry_after(settings: Settings, notes: Notes) -> None:
    with serving(settings.model_copy(update={"idempotency_wait_s": 0.2}), notes) as http:
        bearer = make_client(notes.database, "local").headers(http)
        gate = threading.Event()
        notes.gates = [gate]
        with ThreadPoolExecutor(1) as pool:
            first = pool.submit(send, http, bearer, "k")
            wait_until(lambda: notes.inside == 1)
            refused = send(http, bearer, "k")
            assert refused.status_code == 409
            assert int(refused.headers["retry-after"]) >= 1
            gate.set()
            assert first.result(WAIT_S).status_code == 201
        assert send(http, bearer, "k").json() == first.result().json()


def test_stored_answers_are_encrypted_and_expire(http: TestClient, notes: Notes, bearer: dict[str, str]) -> None:
    assert send(http, bearer, "marker-key", "marker-text").status_code == 201
    with notes.database.write() as session:
        row = session.execute(text("SELECT * FROM idempotent_requests")).one()
        assert "marker" not in str(row)
        session.execute(text("UPDATE idempotent_requests SET expires_at = lease_until"))
        session.execute(text("UPDATE idempotent_requests SET expires_at = '2020-01-01 00:00:00'"))
    assert send(http, bearer, "marker-key", "other").json()["number"] == 2
    with notes.database.read() as session:
        assert session.execute(text("SELECT count(*) FROM idempotent_requests")).scalar_one() == 1


def test_fifty_identical_requests_have_one_effect(http: TestClient, notes: Notes, bearer: dict[str, str]) -> None:
    barrier = threading.Barrier(CALLERS)

    def submit(_: int) -> httpx.Response:
        barrier.wait()
        return send_until_answered(http, bearer, "one")

    with ThreadPoolExecutor(CALLERS) as pool:
        answers = list(pool.map(submit, range(CALLERS)))
    assert {(answer.status_code, answer.content) for answer in answers} == {(201, b'{"number":1,"text":"a"}')}
    assert sum("idempotency-replayed" not in answer.headers for answer in answers) == 1
    assert notes.count() == 1
