"""The example facility: made by the real services, idempotent, gone with the first real account."""

from __future__ import annotations

import os
import re
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from machine_clients import make_client
from people import make_account, make_facility, row_of
from sqlalchemy import func, or_, select
from starlette.testclient import TestClient
from waiting import wait_until

from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.administration import Administrator, switch_on
from tamsoat.inference_service.accounts.service import AccountInvalidError
from tamsoat.inference_service.accounts.tables import LOCAL_FACILITY, Account
from tamsoat.inference_service.app import create_app
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.examples import content, people, service
from tamsoat.inference_service.orders.tables import Order
from tamsoat.inference_service.runtime import Runtime
from tamsoat.inference_service.settings import Settings

QUICK = (content.FINISHED, content.CASES[5])
"""One signed by two readers, one that a colleague elsewhere was asked about."""


@pytest.fixture
def example(service_settings: Settings) -> Iterator[TestClient]:
    """A service that works on jobs, with two cases of the example."""
    settings = service_settings.model_copy(update={"run_worker": True})
    with TestClient(create_app(settings), base_url="http://127.0.0.1", raise_server_exceptions=False) as client:
        service.make(runtime_of(client), lambda *_: None, QUICK)
        yield client


def runtime_of(client: TestClient) -> Runtime:
    runtime: Runtime = client.app.state.runtime  # type: ignore[attr-defined]
    return runtime


def entries(client: TestClient) -> int:
    """Entries of things made or signed; the log itself goes on, with checkpoints and files of reports."""
    made = or_(AuditEntry.action.like("%:create"), AuditEntry.action.like("%:sign"))
    with runtime_of(client).database.read() as session:
        return session.scalar(select(func.count()).select_from(AuditEntry).where(made)) or 0


def sign_in(client: TestClient, person: content.Person) -> httpx.Response:
    passwords = people.known_passwords(runtime_of(client).settings.data_folder)
    sent = {"username": person.username, "password": passwords[person.username]}
    return client.post("/api/v1/session", json=sent)


def test_a_finished_case_an_open_one_and_people(example: TestClient) -> None:
    runtime = runtime_of(example)
    signed = example.get("/api/v1/cases?view=signed").json()["items"]
    assert [(case["label"], case["signed_category"], case["example"]) for case in signed] == [
        (f"C-{content.FINISHED.number}", "HSIL", True)
    ]
    with runtime.database.read() as session:
        statuses = {order.number: order.status for order in session.scalars(select(Order))}
        assert audit.verify(session).whole
    assert statuses == {QUICK[0].number: "resulted", QUICK[1].number: "in-progress"}
    file = runtime.settings.data_folder / people.PASSWORDS
    assert file.stat().st_mode & 0o777 == 0o600
    assert set(people.known_passwords(runtime.settings.data_folder)) == {person.username for person in content.PEOPLE}

    page = example.get("/worklist?language=en")
    assert page.status_code == 200, "this machine alone, without sign-in"
    assert "not for patients" in page.text
    assert example.get("/sign-in").status_code == 200, "the people of the example can sign in all the same"
    assert sign_in(example, content.CONSULTANT).status_code == 200
    asked = example.get("/api/v1/cases?view=consultations").json()["items"]
    assert [case["label"] for case in asked] == [f"C-{QUICK[1].number}"]

    before = entries(example)
    again = service.make(runtime, lambda *_: None, QUICK)
    assert again.finished_case == signed[0]["case_id"]
    assert entries(example) == before, "nothing was made twice"

    example.cookies.clear()
    facility = make_facility(runtime.database, "79009")
    account_id, _ = make_account(runtime.database, facility, [Role.ADMINISTRATOR])
    assert example.get("/api/v1/cases").status_code == 401, "real work: everyone signs in"
    assert sign_in(example, content.PATHOLOGIST).status_code == 401
    with runtime.database.read() as session:
        states = {row.username: row.status for row in session.scalars(select(Account).where(Account.example))}
    assert set(states.values()) == {"disabled"}
    with runtime.database.read() as session:
        one = session.scalar(select(Account.id).where(Account.example).limit(1))
    with pytest.raises(AccountInvalidError):
        switch_on(runtime.database, Administrator("local", None), str(one))
    assert row_of(runtime.database, account_id).status == "active"
    with pytest.raises(service.ExampleRefusedError):
        service.make(runtime, lambda *_: None, QUICK)


def test_real_patients_and_clients_keep_the_example_away(client: TestClient) -> None:
    runtime = runtime_of(client)
    assert client.post("/api/v1/patients", json={"name": "Người Thật"}).status_code == 201
    with pytest.raises(service.ExampleRefusedError), runtime.database.read() as session:
        service.refuse(session)


def test_the_first_client_ends_the_example_too(client: TestClient) -> None:
    runtime = runtime_of(client)
    with runtime.database.write() as session:
        people.make(session, runtime.settings)
    assert client.get("/api/v1/cases").status_code == 200
    make_client(runtime.database, LOCAL_FACILITY)
    with runtime.database.read() as session:
        assert set(session.scalars(select(Account.status).where(Account.example))) == {"disabled"}
        with pytest.raises(service.ExampleRefusedError):
            service.refuse(session)


def test_a_new_data_folder_wants_it_and_an_old_one_does_not(tmp_path: Path) -> None:
    settings = Settings(database_url=f"sqlite:///{tmp_path}/new/tamsoat.db")
    assert service.wanted_at(settings)
    (tmp_path / "new").mkdir()
    (tmp_path / "new" / "tamsoat.db").touch()
    assert not service.wanted_at(settings)
    service.unfinished(settings).touch()
    assert service.wanted_at(settings), "an earlier making was cut short"


def test_the_link_that_the_demo_prints_opens(tiny_bundle: Path, tmp_path: Path) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    environment = os.environ | {
        "TAMSOAT_MODEL": str(tiny_bundle), "TAMSOAT_PORT": str(port), "TAMSOAT_THREADS": "1",
        "TAMSOAT_PASSWORD_MEMORY_MIB": "8", "TAMSOAT_PASSWORD_PASSES": "1",
    }  # fmt: skip
    program = [sys.executable, "-m", "tamsoat.inference_service"]
    done = subprocess.run(
        [*program, "demo", "--out", str(tmp_path / "demo"), "--model", str(tiny_bundle)],
        env=environment, capture_output=True, text=True, timeout=300, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr[-2000:]
    command = re.search(r"^  \S+ (serve .+)$", done.stdout, re.MULTILINE)
    link = re.search(r"^  (http://\S+/cases/\S+)$", done.stdout, re.MULTILINE)
    assert command, done.stdout
    assert link, done.stdout
    log = (tmp_path / "serve.log").open("w")
    with log, subprocess.Popen([*program, *command[1].split()], env=environment, stdout=log, stderr=log) as server:
        try:

            def opens() -> bool:
                assert server.poll() is None, (tmp_path / "serve.log").read_text()[-2000:]
                try:
                    return httpx.get(link[1], timeout=30).status_code == 200
                except httpx.TransportError:
                    return False

            wait_until(opens)
            assert content.FINISHED.patient in httpx.get(link[1], timeout=30).text
        finally:
            server.terminate()
            server.wait(60)
