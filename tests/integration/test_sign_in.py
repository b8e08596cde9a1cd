"""Signing in over HTTP: cookies, limits, what is said and what is not."""

from __future__ import annotations

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pyotp
import pytest
from people import actions, change_account, code_of, make_account, make_facility, row_of, sign_in, username_of
from small_service import small_service
from sqlalchemy import select, update
from starlette.testclient import TestClient

from tamsoat.inference_service.accounts import endpoints, passwords, second_factor, service
from tamsoat.inference_service.accounts import sign_in as rules
from tamsoat.inference_service.accounts.access import Role
from tamsoat.inference_service.accounts.tables import AccountSession
from tamsoat.inference_service.db.session import Database
from tamsoat.inference_service.settings import Settings

SESSION = "/api/v1/session"


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return Settings(
        database_url=f"sqlite:///{tmp_path}/service.db",
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


def test_sign_in_who_am_i_sign_out(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(database, facility, [Role.PATHOLOGIST, Role.RESEARCHER])
    assert client.get(SESSION).status_code == 401
    assert client.get(SESSION).headers["www-authenticate"].startswith("Bearer")
    response = attempt(client, username_of(database, account_id).upper(), password)
    assert response.status_code == 200
    person = client.get(SESSION).json()
    assert person["account_id"] == account_id
    assert person["facility_name"] == "Bệnh viện Từ Dũ"
    assert person["roles"] == ["pathologist", "researcher"]
    assert person["pending"] is None
    client.headers["X-CSRF-Token"] = person["csrf_token"]
    assert client.delete(SESSION).status_code == 204
    assert client.get(SESSION).status_code == 401
    names = [name for name, _ in actions(database)]
    assert names[-2:] == ["account:sign-in", "account:sign-out"]


def test_the_cookie_is_plain_on_loopback_and_bound_to_the_host_over_https(
    client: TestClient, database: Database, facility: str, settings: Settings
) -> None:
    account_id, password = make_account(database, facility, second_factor=True)
    name = username_of(database, account_id)
    header = attempt(client, name, password, code_of(database, account_id)).headers["set-cookie"]
    assert header.startswith("tamsoat-session=")
    assert {"HttpOnly", "Path=/", "SameSite=lax"} <= set(header.split("; "))
    assert "Domain" not in header
    secure = settings.model_copy(update={"public_url": "https://tamsoat.hospital.example"})
    with small_service(secure, [endpoints.router]) as public:
        public.base_url = httpx.URL("https://tamsoat.hospital.example")
        header = attempt(public, name, password, code_of(database, account_id)).headers["set-cookie"]
        assert header.startswith("__Host-tamsoat-session=")
        assert {"HttpOnly", "Path=/", "SameSite=lax", "Secure"} <= set(header.split("; "))
        assert "Domain" not in header
        assert public.get(SESSION).status_code == 200


def test_only_a_digest_of_the_cookie_is_stored(client: TestClient, database: Database, facility: str) -> None:
    sign_in(client, database, *make_account(database, facility))
    token = client.cookies["tamsoat-session"]
    with database.read() as session:
        row = session.scalars(select(AccountSession)).one()
        assert token not in str(vars(row))
        assert len(row.token_sha256) == 64


def test_a_change_without_the_sessions_token_is_refused(client: TestClient, database: Database, facility: str) -> None:
    sign_in(client, database, *make_account(database, facility))
    right = client.headers.pop("X-CSRF-Token")
    for wrong in ({}, {"X-CSRF-Token": "wrong"}, {"X-CSRF-Token": right[:-1]}, {"X-CSRF-Token": "ệ".encode()}):
        response = client.delete(SESSION, headers=wrong)  # type: ignore[arg-type]
        assert (response.status_code, slug(response)) == (403, "csrf")
    assert client.get(SESSION).status_code == 200
    assert client.delete(SESSION, headers={"X-CSRF-Token": right}).status_code == 204


def test_another_sites_page_cannot_sign_anyone_in(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(database, facility)
    sent = {"username": username_of(database, account_id), "password": password}
    response = client.post(SESSION, json=sent, headers={"Origin": "https://evil.example"})
    assert (response.status_code, slug(response)) == (403, "cross-site")
    assert client.get(SESSION).status_code == 401


def test_a_session_from_before_the_sign_in_ends(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(database, facility)
    sent = {"username": username_of(database, account_id), "password": password}
    cookies = ["planted-by-somebody-else"]
    for _ in range(2):
        client.cookies.clear()
        response = client.post(SESSION, json=sent, headers={"Cookie": f"tamsoat-session={cookies[-1]}"})
        cookies.append(response.cookies["tamsoat-session"])
    client.cookies.clear()
    assert len(set(cookies)) == 3
    codes = [client.get(SESSION, headers={"Cookie": f"tamsoat-session={value}"}).status_code for value in cookies]
    assert codes == [401, 401, 200]


def test_every_refusal_reads_the_same(client: TestClient, database: Database, facility: str) -> None:
    account_id, password = make_account(database, facility, second_factor=True)
    disabled, its_password = make_account(database, facility)
    expired, old_password = make_account(database, facility)
    locked, locked_password = make_account(database, facility)
    change_account(database, disabled, status="disabled", disabled_reason="administrator")
    change_account(database, expired, password_expires_at=datetime.now(UTC) - timedelta(seconds=1))
    change_account(database, locked, locked_until=datetime.now(UTC) + timedelta(minutes=1))
    answers = [
        attempt(client, "nobody.here", password),
        attempt(client, username_of(database, account_id), "wrong"),
        attempt(client, username_of(database, account_id), password, "000000"),
        attempt(client, username_of(database, disabled), its_password),
        attempt(client, username_of(database, expired), old_password),
        attempt(client, username_of(database, locked), locked_password),
    ]
    assert {answer.status_code for answer in answers} == {401}
    bodies = [{key: value for key, value in answer.json().items() if key != "request_id"} for answer in answers]
    assert all(body == bodies[0] for body in bodies)
    assert all("set-cookie" not in answer.headers for answer in answers)
    reasons = [details for name, details in actions(database) if name == "account:sign-in-fail"]
    assert reasons == [
        f'{{"reason":"{why}"}}' for why in ("unknown", "password", "code", "disabled", "expired", "locked")
    ]


def test_names_are_not_told_apart_by_time(client: TestClient, database: Database, facility: str) -> None:
    account_id, _ = make_account(database, facility)
    known = username_of(database, account_id)
    change_account(database, account_id, failed_attempts=-1000)
    seconds: dict[str, list[float]] = {known: [], "nobody.here": []}
    settings = client.app.state.settings.model_copy(  # type: ignore[attr-defined]
        update={"password_memory_mib": 32, "password_passes": 2, "lockout_source_attempts": 10_000}
    )
    passwords.hasher(settings)
    change_account(database, account_id, password_hash=passwords.hasher(settings).hash("something else"))
    for _ in range(12):
        for name, spent in seconds.items():
            start_s = time.perf_counter()
            with pytest.raises(rules.SignInFailedError):
                rules.sign_in(database, settings, rules.Attempt("wrong", "", "198.51.100.7", username=name))
            spent.append(time.perf_counter() - start_s)
    one, other = (min(spent) for spent in seconds.values())  # what a busy machine adds is not the program's
    assert 0.5 < one / other < 2.0


def test_the_second_factor_is_asked_for_and_each_code_works_once(
    client: TestClient, database: Database, facility: str
) -> None:
    account_id, password = make_account(database, facility, second_factor=True)
    name = username_of(database, account_id)
    response = attempt(client, name, password)
    assert (response.status_code, slug(response)) == (401, "second-factor-required")
    code = code_of(database, account_id)
    assert attempt(client, name, password, code).status_code == 200
    assert attempt(client, name, password, code).status_code == 401
    secret = str(row_of(database, account_id).totp_secret)
    older = pyotp.TOTP(secret).at(time.time() - 30)
    assert attempt(client, name, password, older).status_code == 401
    newer = pyotp.TOTP(secret).at(time.time() + 30)
    assert attempt(client, name, password, newer).status_code == 200


@pytest.mark.parametrize(("steps", "accepted"), [(-2, False), (-1, True), (0, True), (1, True), (2, False)])
def test_a_clock_may_be_one_step_off(steps: int, accepted: bool) -> None:
    secret, now_s = second_factor.new_secret(), 1_800_000_015.0
    code = pyotp.TOTP(secret).at(now_s + 30 * steps)
    assert (second_factor.matching_step(secret, code, now_s) is not None) is accepted
    assert second_factor.matching_step(secret, "١٢٣٤٥٦", now_s) is None


def test_sessions_end_when_idle_and_at_their_limit(client: TestClient, database: Database, facility: str) -> None:
    sign_in(client, database, *make_account(database, facility))
    cache = client.app.state.runtime.access  # type: ignore[attr-defined]

    def move(**values: datetime) -> int:
        with database.write() as session:
            session.execute(update(AccountSession).values(**values))
        cache._sessions.clear()
        return client.get(SESSION).status_code

    now = datetime.now(UTC)
    assert move(last_seen_at=now - timedelta(minutes=29)) == 200
    with database.read() as session:
        assert session.scalars(select(AccountSession.last_seen_at)).one() >= now
    assert move(last_seen_at=now - timedelta(minutes=31)) == 401
    assert move(last_seen_at=now, expires_at=now - timedelta(seconds=1)) == 401
    assert move(expires_at=now + timedelta(minutes=1)) == 200


def test_a_session_ends_at_once_for_this_process_and_within_seconds_for_others(
    client: TestClient, database: Database, facility: str, settings: Settings
) -> None:
    account_id, password = make_account(database, facility)
    sign_in(client, database, account_id, password)
    cookie = {"Cookie": f"tamsoat-session={client.cookies['tamsoat-session']}"}
    assert client.get(SESSION).status_code == 200
    service_row = row_of(database, account_id)
    with database.write() as session:
        service.disable(session, service_row, "administrator")
    assert client.get(SESSION, headers=cookie).status_code == 401
