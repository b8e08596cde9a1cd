"""Lock-out, codes, idle accounts and what is recorded about them, on SQLite and PostgreSQL."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from people import actions, change_account, code_of, make_account, make_facility, row_of, sign_in, username_of
from small_service import small_service
from sqlalchemy import select
from starlette.testclient import TestClient
from waiting import WAIT_S, wait_until

from tamsoat.inference_service.accounts import endpoints, passwords, service, workflow
from tamsoat.inference_service.accounts import sign_in as rules
from tamsoat.inference_service.audit import service as audit
from tamsoat.inference_service.audit.tables import AuditEntry
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

SESSION = "/api/v1/session"


@pytest.fixture
def settings(database_url: str, tmp_path: Path) -> Settings:
    return Settings(
        database_url=database_url,
        data_dir=tmp_path,
        log_level="warning",
        password_memory_mib=8,
        password_passes=1,
        access="accounts",
    )


@pytest.fixture
def client(settings: Settings) -> Iterator[TestClient]:
    with small_service(settings, [endpoints.router]) as client:
        yield client


@pytest.fixture
def database(client: TestClient) -> Database:
    database: Database = client.app.state.runtime.database  # type: ignore[attr-defined]
    return database


@pytest.fixture
def facility(database: Database) -> str:
    return make_facility(database, "79001", "Bệnh viện Từ Dũ")


def attempt(client: httpx.Client, username: str, password: str, code: str = "") -> httpx.Response:
    return client.post(SESSION, json={"username": username, "password": password, "code": code})


def slug(response: httpx.Response) -> str:
    return str(response.json()["type"]).rsplit(":", 1)[-1]


def test_one_code_sent_many_times_at_once_works_once(database: Database, facility: str, settings: Settings) -> None:
    account_id, password = make_account(database, facility, second_factor=True)
    name, code = username_of(database, account_id), code_of(database, account_id)
    outcomes: list[str] = []

    def once() -> None:
        try:
            rules.sign_in(database, settings, rules.Attempt(password, code, "198.51.100.9", username=name))
            outcomes.append("in")
        except rules.SignInFailedError:
            outcomes.append("refused")

    run_at_once(once, 6)
    assert sorted(outcomes) == ["in"] + ["refused"] * 5


def run_at_once(work: Callable[[], None], count: int) -> None:
    threads = [threading.Thread(target=work) for _ in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)


def test_an_account_is_locked_for_growing_times(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(database, facility)
    name = username_of(database, account_id)
    for _ in range(5):
        assert attempt(client, name, "wrong").status_code == 401
    first = row_of(database, account_id).locked_until
    assert first is not None
    assert 50 < (first - datetime.now(UTC)).total_seconds() <= 60
    assert attempt(client, name, password).status_code == 401
    assert row_of(database, account_id).failed_attempts == 5
    change_account(database, account_id, locked_until=datetime.now(UTC) - timedelta(seconds=1))
    assert attempt(client, name, "wrong").status_code == 401
    second = row_of(database, account_id).locked_until
    assert second is not None
    assert 110 < (second - datetime.now(UTC)).total_seconds() <= 120
    change_account(database, account_id, locked_until=datetime.now(UTC) - timedelta(seconds=1))
    assert attempt(client, name, password).status_code == 200
    row = row_of(database, account_id)
    assert (row.failed_attempts, row.locked_until) == (0, None)
    assert [name for name, _ in actions(database)].count("account:lock") == 2


def test_guesses_at_the_same_time_do_not_slip_past_the_lock(
    database: Database, facility: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The right one, too, was proved before the account was locked, and is judged after it."""
    account_id, password = make_account(database, facility)
    name = username_of(database, account_id)
    change_account(database, account_id, failed_attempts=4)
    barrier = threading.Barrier(5)
    outcomes: list[str] = []
    real_prove = rules._prove

    def prove(database: Database, settings: Settings, sent: rules.Attempt) -> Any:
        proof = real_prove(database, settings, sent)
        if sent.password == password:
            wait_until(lambda: len(outcomes) == 4)
        return proof

    monkeypatch.setattr(rules, "_prove", prove)

    def guess(sent: str) -> None:
        barrier.wait(WAIT_S)
        try:
            rules.sign_in(database, settings, rules.Attempt(sent, "", "198.51.100.9", username=name))
            outcomes.append("in")
        except rules.SignInFailedError:
            outcomes.append("refused")

    threads = [threading.Thread(target=guess, args=(sent,)) for sent in ["wrong"] * 4 + [password]]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT_S)
    assert outcomes == ["refused"] * 5
    assert row_of(database, account_id).failed_attempts == 5


def test_an_address_has_to_wait_after_many_failures(database: Database, facility: str, settings: Settings) -> None:
    strict = settings.model_copy(update={"lockout_source_attempts": 3})
    account_id, password = make_account(database, facility)
    right = rules.Attempt(password, "", "2001:db8:1:2::7", username=username_of(database, account_id))
    for last in range(3):
        with pytest.raises(rules.SignInFailedError):
            rules.sign_in(
                database, strict, rules.Attempt("wrong", "", f"2001:db8:1:2::{last}", username=f"nobody{last}")
            )
    with pytest.raises(rules.lockout.TooManySignInsError) as refused:
        rules.sign_in(database, strict, right)
    assert 1 <= int(refused.value.http_headers()["Retry-After"]) <= 61
    elsewhere = rules.Attempt(right.password, "", "2001:db8:1:3::7", username=right.username)
    assert rules.sign_in(database, strict, elsewhere).pending is None


def test_idle_accounts_are_disabled_at_sign_in_and_by_the_sweep(
    client: TestClient, database: Database, facility: str
) -> None:
    long_ago, recently = datetime.now(UTC) - timedelta(days=46), datetime.now(UTC) - timedelta(days=44)
    at_sign_in, its_password = make_account(database, facility)
    swept, _ = make_account(database, facility)
    never_used, _ = make_account(database, facility)
    in_use, _ = make_account(database, facility)
    new, _ = make_account(database, facility)
    for account_id in (at_sign_in, swept, in_use):
        change_account(database, account_id, enabled_at=long_ago, last_active_at=long_ago)
    change_account(database, never_used, enabled_at=long_ago)
    change_account(database, in_use, last_active_at=recently)
    assert attempt(client, username_of(database, at_sign_in), its_password).status_code == 401
    assert row_of(database, at_sign_in).disabled_reason == "idle"
    workflow.sweep(client.app.state.runtime)  # type: ignore[attr-defined]
    assert service.disable_idle(database) == 0
    states = {name: row_of(database, name).status for name in (at_sign_in, swept, never_used, in_use, new)}
    assert states == {
        at_sign_in: "disabled",
        swept: "disabled",
        never_used: "disabled",
        in_use: "active",
        new: "active",
    }
    disabled = [details for name, details in actions(database) if name == "account:disable"]
    assert disabled == ['{"reason":"idle"}'] * 3


def test_hashes_are_renewed_at_sign_in(database: Database, facility: str, settings: Settings) -> None:
    account_id, password = make_account(database, facility)
    stronger = settings.model_copy(update={"password_passes": 2})
    name = username_of(database, account_id)
    rules.sign_in(database, stronger, rules.Attempt(password, "", "127.0.0.1", username=name))
    assert "m=8192,t=2,p=4" in str(row_of(database, account_id).password_hash)
    rules.sign_in(database, stronger, rules.Attempt(password, "", "127.0.0.1", username=name))


def test_a_short_password_left_alone_has_to_be_changed(database: Database, facility: str, settings: Settings) -> None:
    account_id, _ = make_account(database, facility)
    change_account(database, account_id, password_hash=passwords.hasher(settings).hash("mèo tím ca trù"[:13]))
    name = username_of(database, account_id)
    signed_in = rules.sign_in(database, settings, rules.Attempt("mèo tím ca trù"[:13], "", "127.0.0.1", username=name))
    assert signed_in.pending == "change-password"


def test_reauthentication_needs_the_code_and_counts_failures(
    database: Database, facility: str, settings: Settings
) -> None:
    account_id, password = make_account(database, facility, second_factor=True)
    for wrong in (("wrong", ""), (password, ""), (password, "123")):
        with pytest.raises(rules.ReauthenticationFailedError):
            service.reauthenticate(database, settings, account_id, *wrong, "127.0.0.1")
    assert row_of(database, account_id).failed_attempts == 2
    code = code_of(database, account_id)
    assert service.reauthenticate(database, settings, account_id, password, code, "127.0.0.1") == "totp"
    assert row_of(database, account_id).failed_attempts == 0


def test_the_log_is_whole_and_names_nobody(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(
        database, facility, username="marker-name", display_name="Marker Person", second_factor=True
    )
    attempt(client, "marker-name", "wrong")
    attempt(client, "marker-unknown", "wrong")
    sign_in(client, database, account_id, password)
    client.delete(SESSION)
    with database.read() as session:
        assert audit.verify(session).whole
        rows = session.scalars(select(AuditEntry)).all()
        text = " ".join(str(vars(row)) for row in rows).lower()
    assert "marker" not in text
    assert password not in text
    assert account_id in text
